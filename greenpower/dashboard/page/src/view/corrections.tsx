// Corrections of a device: readings left out or multiplied, energy entered or estimated; by whom, why, and withdrawn.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import type { DataType, Field, Page } from "../data/api";
import { errorAt, get, send } from "../data/api";
import { fieldOf } from "../data/catalogue";
import { mayOperate } from "../data/session";
import { ZONE, capital, exact, time, unit } from "../lib/format";
import { useAnswer } from "../lib/hooks";
import { Notice, Select, Trouble } from "../lib/components";
import { ConfirmForm, ReasonField, Refusal, TextField, numberOf, useFocus, useSending, utcOf } from "../lib/form";

const REFRESH_SECONDS = 60;
const SHOWN_CORRECTIONS = 50;
const QUARTER_MS = 900_000;

interface Correction {
  id: string;
  field: string;
  kind: string;
  begin: string;
  end: string | null;
  factor: number | null;
  energy: number | null;
  method: string | null;
  other_device: string | null;
  side: string | null;
  register: number | null;
  group: string | null;
  status: string;
  reason: string;
  made_by: string;
  made_at: string;
  revoked_by: string | null;
  revoked_at: string | null;
  revoke_reason: string | null;
}

const KINDS = [
  ["exclusion", "Leave readings out"],
  ["factor", "Multiply readings"],
  ["fixed", "Enter the energy"],
  ["estimate", "Estimate a silence"],
] as const;
type Kind = (typeof KINDS)[number][0];
const OF_ENERGY = new Set<string>(["fixed", "estimate"]);
const METHODS = [
  ["evenly", "evenly over the silence"],
  ["weekdays", "like the same weekdays before"],
] as const;
const EFFECTS: Record<Kind, string> = {
  exclusion:
    "The values of this field in the span are treated as if they had never been sent: charts, averages and energy are computed again without them. Stored readings stay.",
  factor:
    "The values of this field are multiplied, before anything is computed from them: use 0.001 where a meter sends Wh in place of kWh. Stored readings stay.",
  fixed:
    "The energy of the span is the number you enter, spread evenly, in place of what was counted at its readings. Begin and end lie on quarter-hours.",
  estimate:
    "The energy that a silence brought is spread over it, in place of all at its end. The total stays what the register showed. Readings that come late replace the estimate.",
};

interface Props {
  type: DataType;
  device: string;
  id: number;
  fields: Field[];
  // The fields with energy.
  counters: Field[];
  round: number;
  onChange: () => void;
}

export function CorrectionPanel({ type, device, id, fields, counters, round, onChange }: Props): JSX.Element | null {
  const [adding, setAdding] = useState(false);
  const [done, setDone] = useState("");
  const path = `/api/devices/${id}/corrections/`;
  const answer = useAnswer(
    (signal) => get<Page<Correction>>(path, { type: type.name, page_size: SHOWN_CORRECTIONS }, signal),
    [type, id, round],
    REFRESH_SECONDS,
  );
  const corrections = answer.data?.results ?? [];
  const changed = (text: string): void => {
    setDone(text);
    setAdding(false);
    answer.again();
    onChange();
  };
  if (!mayOperate() && !corrections.length && !answer.error) return null;
  return (
    <section aria-labelledby="corrections" class="panel">
      <div class="head">
        <h2 id="corrections">
          Corrections {corrections.length > 0 && <span class="count">{answer.data?.count}</span>}
        </h2>
        {mayOperate() && !adding && (
          <button
            type="button"
            class="small"
            onClick={() => {
              setAdding(true);
              setDone("");
            }}
          >
            Add a correction
          </button>
        )}
      </div>
      <Trouble error={answer.error} what="Corrections" />
      <div role="status">{done && <Notice kind="good">{done}</Notice>}</div>
      {adding && (
        <CorrectionForm
          type={type}
          device={device}
          path={path}
          fields={fields}
          counters={counters}
          onDone={() => changed("The correction is made.")}
          onCancel={() => setAdding(false)}
        />
      )}
      {answer.data && !corrections.length && !adding && !done && <Notice>No corrections.</Notice>}
      <ul class="incidents">
        {corrections.map((correction) => (
          <CorrectionItem
            key={correction.id}
            type={type}
            correction={correction}
            path={path}
            onDone={() => changed("The correction is withdrawn.")}
          />
        ))}
      </ul>
    </section>
  );
}

interface ItemProps {
  type: DataType;
  correction: Correction;
  path: string;
  onDone: () => void;
}

function CorrectionItem({ type, correction, path, onDone }: ItemProps): JSX.Element {
  const [asked, setAsked] = useState(false);
  const active = correction.status === "active";
  const field = fieldOf(type, correction.field);
  return (
    <li class={active ? "confirmed" : "revoked"} data-correction={correction.kind}>
      <div>
        <strong>{titleOf(correction, field)}</strong>
        <span class={`tag ${active ? "confirmed" : "rejected"}`}>{active ? "in force" : "withdrawn"}</span>
      </div>
      <p class="sub">
        {`${capital(field.title)}, from ${time(correction.begin)}${correction.end ? ` to ${time(correction.end)}` : " on"}. `}
        {`${correction.made_by}, ${time(correction.made_at)}: ${correction.reason}`}
        {!active && `. Withdrawn by ${correction.revoked_by}, ${time(correction.revoked_at)}: ${correction.revoke_reason}`}
      </p>
      {mayOperate() && active && !asked && !correction.group && correction.kind !== "incident" && (
        <p class="deciding">
          <button type="button" class="small" onClick={() => setAsked(true)}>
            Withdraw
          </button>
        </p>
      )}
      {asked && (
        <ConfirmForm
          title={`Withdraw: ${titleOf(correction, field)}`}
          effect="All numbers become what they were without it. It stays in this list."
          action="Withdraw the correction"
          send={(reason) => send("DELETE", `${path}${correction.id}/?${new URLSearchParams({ reason })}`)}
          onDone={onDone}
          onCancel={() => setAsked(false)}
        />
      )}
    </li>
  );
}

function titleOf({ kind, factor, energy, method, side, register, other_device: other }: Correction, field: Field): string {
  const amount = (value: number | null): string => `${exact(value)} ${unit(field.unit)}`.trim();
  const how = METHODS.find(([name]) => name === method)?.[1];
  switch (kind) {
    case "exclusion":
      return "Readings left out";
    case "factor":
      return `Readings multiplied by ${factor}`;
    case "fixed":
      return `Energy entered: ${amount(energy)}`;
    case "estimate":
      return `Silence estimated${how ? `, ${how}` : ""}${energy === null ? "" : `: ${amount(energy)}`}`;
    case "incident":
      return `Decision on an incident: ${amount(energy)}`;
    case "exchange":
      return side === "old" ? `Replaced by ${other} at ${amount(register)}` : `Began after ${other} at ${amount(register)}`;
    default:
      return capital(kind);
  }
}

interface FormProps {
  type: DataType;
  device: string;
  path: string;
  fields: Field[];
  counters: Field[];
  onDone: () => void;
  onCancel: () => void;
}

function CorrectionForm({ type, device, path, fields, counters, onDone, onCancel }: FormProps): JSX.Element {
  const [kind, setKind] = useState<Kind>("exclusion");
  const [name, setName] = useState((counters[0] ?? fields[0])!.name);
  const [begin, setBegin] = useState("");
  const [end, setEnd] = useState("");
  const [factor, setFactor] = useState("");
  const [energy, setEnergy] = useState("");
  const [method, setMethod] = useState<string>("evenly");
  const [reason, setReason] = useState("");
  const sending = useSending();
  const heading = useFocus<HTMLHeadingElement>("");
  const ofEnergy = OF_ENERGY.has(kind);
  const choices = ofEnergy ? counters : fields;
  const field = choices.find((one) => one.name === name) ?? choices[0]!;
  const kinds = counters.length ? KINDS : KINDS.filter(([one]) => !OF_ENERGY.has(one));
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const body = {
      type: type.name,
      field: field.name,
      kind,
      begin: utcOf(begin),
      end: utcOf(end) ?? null,
      ...(kind === "factor" && { factor: numberOf(factor) }),
      ...(ofEnergy && energy && { energy: numberOf(energy) }),
      ...(kind === "estimate" && { method }),
      reason,
    };
    if (!(await sending.run(() => send("POST", path, body)))) onDone();
  };
  const error = (one: string): string => errorAt(sending.problem, one);
  const shown = ["begin", "end", "factor", "energy", "method", "field", "reason"].map((one) => [one]);
  return (
    <form class="ask" onSubmit={submit} onKeyDown={(event) => event.key === "Escape" && onCancel()}>
      <h3 ref={heading} tabIndex={-1}>
        Add a correction
      </h3>
      <div class="bar">
        <Select label="What" value={kind} onChange={setKind} options={kinds} />
        <Select
          label={ofEnergy ? "Register" : "Field"}
          value={field.name}
          onChange={setName}
          options={choices.map((one) => [one.name, capital(one.title)] as const)}
        />
        {kind === "estimate" && <Select label="How" value={method} onChange={setMethod} options={METHODS} />}
      </div>
      {error("field") && <p class="error">{error("field")}</p>}
      <div class="entries">
        <TextField label="From" name="begin" type="datetime-local" value={begin} onValue={setBegin} required error={error("begin")} hint={`Time zone: ${ZONE.replace(/_/g, " ")}`} />
        <TextField
          label="To"
          name="end"
          type="datetime-local"
          value={end}
          onValue={setEnd}
          required={ofEnergy}
          error={error("end")}
          hint={ofEnergy ? "The first time after it." : "The first time after it; empty: no end."}
        />
        {kind === "factor" && (
          <TextField label="Factor" name="factor" type="number" value={factor} onValue={setFactor} required error={error("factor")} hint="Such as 0.001" />
        )}
        {(kind === "fixed" || (kind === "estimate" && method === "evenly")) && (
          <TextField
            label={`Energy, ${unit(field.unit)}`}
            name="energy"
            type="number"
            value={energy}
            onValue={setEnergy}
            required={kind === "fixed"}
            error={error("energy")}
            hint={kind === "fixed" ? "Of the whole span." : "Only while the silence lasts; after it the register tells."}
          />
        )}
      </div>
      <p class="effect">{EFFECTS[kind]}</p>
      <Touched type={type} device={device} field={field} energy={ofEnergy} begin={utcOf(begin)} end={utcOf(end)} />
      <ReasonField value={reason} onValue={setReason} error={error("reason")} />
      <Refusal problem={sending.problem} shown={shown} />
      <p class="deciding">
        <button type="submit" class="small go" disabled={sending.busy}>
          Make the correction
        </button>
        <button type="button" class="small" onClick={onCancel}>
          Cancel
        </button>
      </p>
    </form>
  );
}

interface TouchedProps {
  type: DataType;
  device: string;
  field: Field;
  energy: boolean;
  begin: string | undefined;
  end: string | undefined;
}

// What lies in the span now: how many readings, or how much energy.
function Touched({ type, device, field, energy, begin, end }: TouchedProps): JSX.Element | null {
  const [text, setText] = useState("");
  useEffect(() => {
    setText("");
    if (!begin || (energy && !end) || (end && end <= begin)) return;
    const control = new AbortController();
    const found = energy ? counted(type, device, field, begin, end!, control.signal) : held(type, device, begin, end, control.signal);
    found.then(setText, () => undefined);
    return () => control.abort();
  }, [type, device, field.name, energy, begin, end]);
  return text ? <p class="sub">{text}</p> : null;
}

async function held(type: DataType, device: string, begin: string, end: string | undefined, signal: AbortSignal): Promise<string> {
  // The end of a list is included, that of a correction is not.
  const until = end && new Date(Date.parse(end) - 1).toISOString();
  const range = { device_id: device, start_time: begin, end_time: until, page_size: 1 };
  const page = await get<Page<unknown>>(type.path!, range, signal);
  return page.count === null ? "" : `${exact(page.count)} readings lie in this span now.`;
}

async function counted(type: DataType, device: string, field: Field, begin: string, end: string, signal: AbortSignal): Promise<string> {
  if (Date.parse(begin) % QUARTER_MS || Date.parse(end) % QUARTER_MS) return "Begin and end must lie on quarter-hours.";
  const until = new Date(Date.parse(end) - 1).toISOString();
  const range = { bucket: "hour", tz: "UTC", device_id: device, field: field.name, start_time: begin, end_time: until };
  const found = await get<{ total: number | null; unit: string }>(`${type.path}consumption/`, range, signal);
  return `The hours of this span count ${exact(found.total)} ${unit(found.unit)} now.`;
}
