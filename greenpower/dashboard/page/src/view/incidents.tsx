// Incidents of a device's registers: what happened, what was counted, and what an operator decides.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { DataType, Page } from "../data/api";
import { get, send } from "../data/api";
import { fieldOf } from "../data/catalogue";
import { mayOperate } from "../data/session";
import { capital, exact, signed, time, unit } from "../lib/format";
import { useAnswer } from "../lib/hooks";
import { Notice, Trouble } from "../lib/components";
import { ConfirmForm, MoveForm } from "../lib/form";

const REFRESH_SECONDS = 60;
const SHOWN_INCIDENTS = 20;
const NAMES: Record<string, string> = {
  dip: "Dip: a short fall, ignored",
  spike: "Spike: a high value, ignored",
  small_fall: "Small fall: the register fell a little and went on from there; nothing counted for the fall",
  fall: "Fall: the register fell; nothing is counted until it is clear why",
  reset: "Reset: restarted from 0",
  rollover: "Rollover: passed its highest value and restarted from 0",
  unit_change: "Unit changed: nothing is counted until this is decided",
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
  // When a fall ended; null while it lasts.
  until?: string | null;
  // False while later readings can still change what it is.
  settled?: boolean | null;
  decided_by?: string | null;
  reason?: string | null;
  // The meter exchange that it is a part of.
  exchange_id?: string | null;
}

// A dip of some length is a fall, or a change of the unit, that came back.
function nameOf({ incident, until, before, value }: Incident): string {
  if (incident === "dip" && until) {
    return before !== null && value !== null && value > before
      ? "Other unit for a while: ignored; what was counted meanwhile is at its end"
      : "Dip: lower for a while; what was counted meanwhile is at its end";
  }
  return NAMES[incident] ?? capital(incident.replace(/_/g, " "));
}

interface Decision {
  status: string;
  text: string;
  meaning: string;
}

// What confirming and rejecting mean, of the incidents that an operator decides. Dips and spikes are ignored values.
const RESTART = ["The register restarted: count it from 0", "It is a reading error: do not count it"] as const;
const MEANINGS: Record<string, readonly [string, string]> = {
  suspect_step: ["It really rose: count it", "It is a reading error: do not count it"],
  suspect_restart: RESTART,
  fall: RESTART,
  reset: RESTART,
  rollover: ["The register passed its highest value: count across it", "It is a reading error: do not count it"],
  small_fall: ["The register really fell; nothing is counted for it", "It is a reading error; nothing is counted for it"],
  unit_change: [
    "The unit changed: count nothing until it changes back or a new meter is entered",
    "The unit is the same: go on counting from here",
  ],
  swap: ["The meter was replaced: count what both meters measured", "The meter was not replaced: undo the exchange"],
};
const DECIDED = new Set(["confirmed", "rejected"]);
const WITHDRAW: Decision = { status: "open", text: "Undo", meaning: "Withdraw the decision" };
// A meter exchange may look like these.
const EXCHANGES = new Set(["fall", "reset", "suspect_restart", "suspect_step", "unit_change"]);

// What is counted for an incident with a status, where that is one number; null where it is not.
function countedFor({ incident, value, before, status: found }: Incident, status: string): number | null {
  if (value === null || before === null) return null;
  const decided = status === "open" ? (DECIDED.has(found) ? "open" : found) : status;
  if (incident === "suspect_step") return decided === "confirmed" ? value - before : 0;
  if (incident === "suspect_restart") return decided === "confirmed" ? Math.max(0, value) : 0;
  return incident === "small_fall" ? 0 : null;
}

// What a decision changes, in words.
function effectOf(incident: Incident, decision: Decision, unitName: string): string {
  const [now, then] = [countedFor(incident, incident.status), countedFor(incident, decision.status)];
  const at = time(incident.at);
  if (now === null || then === null) return `${decision.meaning}. The energy from ${at} on is computed again.`;
  if (now === then) return `${decision.meaning}. No energy changes.`;
  return `${decision.meaning}. The energy at ${at} changes by ${signed(then - now)} ${unitName}.`;
}

// What an operator can do about an incident now.
function decisionsOf(incident: Incident): Decision[] {
  const meanings = MEANINGS[incident.incident];
  if (!meanings || incident.exchange_id) return [];
  const decisions = [
    { status: "confirmed", text: "Confirm", meaning: meanings[0] },
    { status: "rejected", text: "Reject", meaning: meanings[1] },
  ].filter((decision) => decision.status !== incident.status);
  // An exchange was entered by an operator: it stands or it does not.
  return decisions.length < 2 && incident.incident !== "swap" ? [...decisions, WITHDRAW] : decisions;
}

interface Props {
  type: DataType;
  device: string;
  // Its number in the registry, once it is known.
  id: number | undefined;
  // Changes when something was corrected elsewhere on the page.
  round: number;
  onChange: () => void;
  // Opens the form of an exchange at a time.
  onExchange: (at: string) => void;
}

export function IncidentPanel({ type, device, id, round, onChange, onExchange }: Props): JSX.Element {
  const [asked, setAsked] = useState<{ id: string; decision: Decision } | null>(null);
  const answer = useAnswer(
    (signal) =>
      get<Page<Incident>>("/api/incidents/", { type: type.name, device_id: device, page_size: SHOWN_INCIDENTS }, signal),
    [type, device, round],
    REFRESH_SECONDS,
  );
  const incidents = answer.data?.results ?? [];
  const count = answer.data?.count ?? 0;
  const [moved, setMoved] = useState("");
  const done = (): void => {
    setAsked(null);
    setMoved("");
    answer.again();
    onChange();
  };
  const decidable = id !== undefined && mayOperate();
  return (
    <section aria-labelledby="incidents" class="panel">
      <h2 id="incidents">
        Meter register incidents {count > 0 && <span class="count">{count}</span>}
      </h2>
      <Trouble error={answer.error} what="Incidents" />
      {answer.data && !incidents.length && <Notice>No incidents.</Notice>}
      <ul class="incidents">
        {incidents.map((incident) => {
          const field = fieldOf(type, incident.field);
          return (
            <li key={incident.id} class={incident.status} data-incident={incident.incident}>
              <div>
                <strong>{nameOf(incident)}</strong>
                <span class={`tag ${incident.status}`}>{incident.status}</span>
              </div>
              <p class="sub">
                {capital(field.title)}, {time(incident.at)}
                {incident.until ? ` to ${time(incident.until)}` : ""}
                {incident.before !== null && `: ${exact(incident.before)} → ${exact(incident.value)} ${unit(field.unit)}`}
                {DECIDED.has(incident.status) && incident.decided_by ? `. Decided by ${incident.decided_by}` : ""}
                {DECIDED.has(incident.status) && incident.reason ? `: ${incident.reason}` : ""}
                {incident.exchange_id ? ". Part of a meter exchange" : ""}
                {incident.status === "open" && incident.settled === false ? ". Later readings may still explain it" : ""}
              </p>
              {decidable && asked?.id !== incident.id && moved !== incident.id && decisionsOf(incident).length > 0 && (
                <p class="deciding">
                  {decisionsOf(incident).map((decision) => (
                    <button
                      key={decision.status}
                      type="button"
                      class="small"
                      title={decision.meaning}
                      onClick={() => setAsked({ id: incident.id, decision })}
                    >
                      {decision.text}
                    </button>
                  ))}
                  {incident.incident === "swap" && incident.status === "confirmed" && (
                    <button type="button" class="small" onClick={() => setMoved(incident.id)}>
                      Move
                    </button>
                  )}
                  {EXCHANGES.has(incident.incident) && !DECIDED.has(incident.status) && (
                    <button type="button" class="small plain" onClick={() => onExchange(incident.at)}>
                      The meter was replaced …
                    </button>
                  )}
                </p>
              )}
              {moved === incident.id && (
                <MoveForm
                  path={`/api/devices/${id}/meter-swaps/${incident.id}/`}
                  at={incident.at}
                  title="Move this exchange to another time"
                  onDone={done}
                  onCancel={() => setMoved("")}
                />
              )}
              {asked?.id === incident.id && (
                <ConfirmForm
                  title={`${asked.decision.text}: ${nameOf(incident)}`}
                  effect={effectOf(incident, asked.decision, unit(field.unit))}
                  action="Save the decision"
                  send={(reason) =>
                    send("PATCH", `/api/devices/${id}/incidents/${incident.id}/`, { status: asked.decision.status, reason })
                  }
                  onDone={done}
                  onCancel={() => setAsked(null)}
                />
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
