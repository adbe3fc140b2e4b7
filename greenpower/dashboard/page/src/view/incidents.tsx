// What befell a device's counters: resets, steps that cannot be, exchanged meters.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { DataType, Page } from "../data/api";
import { Problem, get, send } from "../data/api";
import { fieldOf } from "../data/catalogue";
import { mayOperate } from "../data/session";
import { capital, exact, time, unit } from "../lib/format";
import { useAnswer } from "../lib/hooks";
import { Notice, Trouble } from "../lib/part";

const REFRESH_SECONDS = 60;
const SHOWN = 20;
const NAMES: Record<string, string> = {
  dip: "Dip: a low value, taken back",
  reset: "Reset: it began again from 0",
  rollover: "Rollover: it passed its end",
  suspect_step: "Suspect step: it rose by more than can be",
  suspect_restart: "Suspect restart: it began again at more than can be",
  swap: "Another meter",
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

// A dip is taken back by the meter itself, and a swap was said by an operator: neither leaves anything to decide.
const DECIDED = new Set(["reset", "rollover", "suspect_step", "suspect_restart"]);
const DECISIONS = [
  ["confirmed", "Confirm", "It is real, and counts"],
  ["rejected", "Reject", "Nothing was counted there"],
] as const;

interface Props {
  type: DataType;
  device: string;
  // Its number in the registry, as soon as that is known.
  id: number | undefined;
}

export function IncidentPanel({ type, device, id }: Props): JSX.Element {
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [busy, setBusy] = useState("");
  const answer = useAnswer(
    (signal) =>
      get<Page<Incident>>("/api/incidents/", { type: type.name, device_id: device, page_size: SHOWN }, signal),
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
        Incidents of its counters {count > 0 && <span class="count">{count}</span>}
      </h2>
      <Trouble error={answer.error} what="Incidents" />
      <Trouble error={trouble} what="The decision" />
      {answer.data && !incidents.length && <Notice>None: its registers only rose, as they should.</Notice>}
      <ul class="incidents">
        {incidents.map((incident) => {
          const field = fieldOf(type, incident.field);
          return (
            <li key={incident.id} class={incident.status}>
              <div>
                <strong>{NAMES[incident.incident] ?? incident.incident}</strong>
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
