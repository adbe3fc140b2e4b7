// Incidents of a device's registers: resets, suspicious jumps, replaced meters.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { DataType, Page } from "../data/api";
import { Problem, get, send } from "../data/api";
import { fieldOf } from "../data/catalogue";
import { mayOperate } from "../data/session";
import { capital, exact, time, unit } from "../lib/format";
import { useAnswer } from "../lib/hooks";
import { Notice, Trouble } from "../lib/components";

const REFRESH_SECONDS = 60;
const SHOWN_INCIDENTS = 20;
const NAMES: Record<string, string> = {
  dip: "Dip: a short fall, not counted",
  reset: "Reset: restarted from 0",
  rollover: "Rollover: passed its highest value and restarted from 0",
  suspect_step: "Suspicious jump: more than this meter can measure",
  suspect_restart: "Suspicious restart: at a higher value than possible",
  swap: "Meter replaced",
};

interface Incident {
  id: string;
  field: string;
  incident: string;
  at: string;
  value: number | null;
  before: number | null;
  correction: number | null;
  status: string;
}

// Incidents that an operator decides. A dip undoes itself, and a swap was entered by an operator.
const DECIDED = new Set(["reset", "rollover", "suspect_step", "suspect_restart"]);
const DECISIONS = [
  ["confirmed", "Confirm", "It really happened: count it"],
  ["rejected", "Reject", "It is a reading error: do not count it"],
] as const;

interface Props {
  type: DataType;
  device: string;
  // Its number in the registry, once it is known.
  id: number | undefined;
}

export function IncidentPanel({ type, device, id }: Props): JSX.Element {
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [busy, setBusy] = useState("");
  const answer = useAnswer(
    (signal) =>
      get<Page<Incident>>("/api/incidents/", { type: type.name, device_id: device, page_size: SHOWN_INCIDENTS }, signal),
    [type, device],
    REFRESH_SECONDS,
  );
  const incidents = answer.data?.results ?? [];
  const count = answer.data?.count ?? 0;
  const decide = (incident: Incident, status: string): void => {
    setBusy(incident.id);
    send("PATCH", `/api/devices/${id}/incidents/${incident.id}/`, { status })
      .then(() => null, (error) => (error instanceof Problem ? error : new Problem(0, String(error))))
      .then((problem) => {
        setTrouble(problem);
        setBusy("");
        answer.again();
      });
  };
  const decidable = id !== undefined && mayOperate();
  return (
    <section aria-labelledby="incidents" class="panel">
      <h2 id="incidents">
        Meter register incidents {count > 0 && <span class="count">{count}</span>}
      </h2>
      <Trouble error={answer.error} what="Incidents" />
      <Trouble error={trouble} what="Decision" />
      {answer.data && !incidents.length && <Notice>No incidents.</Notice>}
      <ul class="incidents">
        {incidents.map((incident) => {
          const field = fieldOf(type, incident.field);
          return (
            <li key={incident.id} class={incident.status} data-incident={incident.incident}>
              <div>
                <strong>{NAMES[incident.incident] ?? capital(incident.incident.replace(/_/g, " "))}</strong>
                <span class={`tag ${incident.status}`}>{incident.status}</span>
              </div>
              <p class="sub">
                {capital(field.title)}, {time(incident.at)}
                {incident.before !== null && `: ${exact(incident.before)} → ${exact(incident.value)} ${unit(field.unit)}`}
              </p>
              {decidable && DECIDED.has(incident.incident) && (
                <p class="deciding">
                  {DECISIONS.filter(([status]) => status !== incident.status).map(([status, text, meaning]) => (
                    <button
                      key={status}
                      type="button"
                      class="small"
                      title={meaning}
                      disabled={busy === incident.id}
                      onClick={() => decide(incident, status)}
                    >
                      {text}
                    </button>
                  ))}
                </p>
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
