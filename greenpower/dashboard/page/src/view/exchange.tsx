// Meter exchanges of a device: a guided form to enter one, and those that were entered, to be moved or revoked.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { DataType, Page, Problem } from "../data/api";
import { errorAt, get, send } from "../data/api";
import { fieldOf } from "../data/catalogue";
import { mayOperate } from "../data/session";
import { capital, exact, signed, time, unit } from "../lib/format";
import { useAnswer, useShared } from "../lib/hooks";
import { Notice, Trouble } from "../lib/components";
import { ConfirmForm, MoveForm, ReasonField, Refusal, TextField, localInput, numberOf, useFocus, useSending, utcOf, zoneHint } from "../lib/form";

const REFRESH_SECONDS = 60;
const SHOWN_EXCHANGES = 20;
const STEPS = ["When", "Registers", "Check"];

interface Exchange {
  id: string;
  device_id: string;
  new_device_id: string | null;
  at: string;
  reason: string;
  made_by: string;
  made_at: string;
  applied: boolean;
  revoked_by: string | null;
  revoked_at: string | null;
  revoke_reason: string | null;
}

interface Register {
  value: number;
  at: string;
}

interface Row {
  type: string;
  field: string;
  unit: string;
  before: Register | null;
  after: Register | null;
  change: number;
}

interface Proposal {
  at: string;
  new_device_id: string | null;
  results: Row[];
}

interface Props {
  id: number;
  device: string;
  // A time to begin the form with: of an incident that is an exchange.
  suggested: string | null;
  onClose: () => void;
  onChange: () => void;
}

export function ExchangePanel({ id, device, suggested, onClose, onChange }: Props): JSX.Element | null {
  const [open, setOpen] = useState(false);
  const [done, setDone] = useState("");
  const answer = useAnswer(
    (signal) => get<Page<Exchange>>(`/api/devices/${id}/meter-exchanges/`, { page_size: SHOWN_EXCHANGES }, signal),
    [id],
    REFRESH_SECONDS,
  );
  const exchanges = answer.data?.results ?? [];
  const filling = open || suggested !== null;
  const changed = (text: string): void => {
    setDone(text);
    setOpen(false);
    onClose();
    answer.again();
    onChange();
  };
  if (!mayOperate() && !exchanges.length && !answer.error) return null;
  return (
    <section aria-labelledby="exchange" class="panel">
      <div class="head">
        <h2 id="exchange">Meter exchange</h2>
        {mayOperate() && !filling && (
          <button
            type="button"
            class="small"
            onClick={() => {
              setOpen(true);
              setDone("");
            }}
          >
            Enter an exchange
          </button>
        )}
      </div>
      <Trouble error={answer.error} what="Meter exchanges" />
      <div role="status">{done && <Notice kind="good">{done}</Notice>}</div>
      {filling && (
        <ExchangeForm
          key={suggested ?? ""}
          id={id}
          device={device}
          suggested={suggested}
          onDone={changed}
          onCancel={() => {
            setOpen(false);
            onClose();
          }}
        />
      )}
      {answer.data && !exchanges.length && !filling && !done && <Notice>No exchanges.</Notice>}
      <ul class="incidents">
        {exchanges.map((exchange) => (
          <ExchangeItem key={exchange.id} id={id} device={device} exchange={exchange} onDone={changed} />
        ))}
      </ul>
    </section>
  );
}

interface ItemProps {
  id: number;
  device: string;
  exchange: Exchange;
  onDone: (text: string) => void;
}

function ExchangeItem({ id, device, exchange, onDone }: ItemProps): JSX.Element {
  const [asked, setAsked] = useState<"move" | "revoke" | "">("");
  const path = `/api/devices/${id}/meter-exchanges/${exchange.id}/`;
  const revoked = exchange.revoked_at !== null;
  return (
    <li class={revoked ? "revoked" : "confirmed"} data-exchange={exchange.id}>
      <div>
        <strong>{titleOf(exchange, device)}</strong>
        <span class={`tag ${revoked ? "rejected" : "confirmed"}`}>{revoked ? "revoked" : "in force"}</span>
        {!exchange.applied && <span class="tag open">being entered</span>}
      </div>
      <p class="sub">
        {`${time(exchange.at)}. ${exchange.made_by}, ${time(exchange.made_at)}: ${exchange.reason}`}
        {revoked && `. Revoked by ${exchange.revoked_by}, ${time(exchange.revoked_at)}: ${exchange.revoke_reason}`}
      </p>
      {mayOperate() && !revoked && !asked && (
        <p class="deciding">
          <button type="button" class="small" onClick={() => setAsked("move")}>
            Move
          </button>
          <button type="button" class="small" onClick={() => setAsked("revoke")}>
            Revoke
          </button>
        </p>
      )}
      {asked === "revoke" && (
        <ConfirmForm
          title="Revoke this exchange"
          effect="The energy of all registers is counted as before it was entered."
          action="Revoke the exchange"
          send={(reason) => send("DELETE", `${path}?${new URLSearchParams({ reason })}`)}
          onDone={() => onDone("The exchange is revoked.")}
          onCancel={() => setAsked("")}
        />
      )}
      {asked === "move" && (
        <MoveForm
          title="Move this exchange to another time"
          path={path}
          at={exchange.at}
          onDone={() => onDone("The exchange is moved.")}
          onCancel={() => setAsked("")}
        />
      )}
    </li>
  );
}

function titleOf({ new_device_id: other, device_id: old }: Exchange, device: string): string {
  if (other === null) return "Meter replaced, same device id";
  return other === device ? `Replaced ${old}` : `Replaced by ${other}`;
}

interface FormProps {
  id: number;
  device: string;
  suggested: string | null;
  onDone: (text: string) => void;
  onCancel: () => void;
}

interface Entry {
  last: string;
  first: string;
}

const keyOf = (row: Row): string => `${row.type}/${row.field}`;
const NONE: Entry = { last: "", first: "" };

function ExchangeForm({ id, device, suggested, onDone, onCancel }: FormProps): JSX.Element {
  const { types } = useShared();
  const [step, setStep] = useState(0);
  const [at, setAt] = useState(suggested ? localInput(suggested) : "");
  const [fresh, setFresh] = useState(false);
  const [other, setOther] = useState("");
  const [proposal, setProposal] = useState<Proposal | null>(null);
  const [entries, setEntries] = useState<Record<string, Entry>>({});
  const [reason, setReason] = useState("");
  const sending = useSending();
  const heading = useFocus<HTMLHeadingElement>(step);
  const path = `/api/devices/${id}/meter-exchange/`;
  const given = { at: utcOf(at), new_device_id: fresh ? other.trim() : undefined };
  const rows = proposal?.results ?? [];

  const look = (): Promise<Problem | null> =>
    sending.run(async () => {
      const found = await get<Proposal>(path, given);
      setProposal(found);
      setEntries(Object.fromEntries(found.results.map((row) => [keyOf(row), prefilled(row)])));
      setStep(1);
    });
  const record = async (): Promise<void> => {
    const readings: Record<string, Record<string, { last: number | null; first: number | null }>> = {};
    for (const row of rows) (readings[row.type] ??= {})[row.field] = givenOf(row, entries[keyOf(row)] ?? NONE);
    const refused = await sending.run(() => send("POST", path, { ...given, readings, reason }));
    if (!refused) onDone("The exchange is entered.");
    // To the step whose fields show what is wrong.
    else if (errorAt(refused, "at") || errorAt(refused, "new_device_id")) setStep(0);
    else if (rows.some((row) => errorAt(refused, "readings", row.type, row.field))) setStep(1);
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (step === 0) void look();
    else if (step === 1) setStep(2);
    else void record();
  };
  const back = (): void => {
    sending.clear();
    setStep(step - 1);
  };
  const shown = [[["at"], ["new_device_id"]], rows.map((row) => ["readings", row.type, row.field]), [["reason"]]];
  const errorOf = (row: Row, side: string): string => errorAt(sending.problem, "readings", row.type, row.field, side);
  return (
    <form class="ask exchange" onSubmit={submit} onKeyDown={(event) => event.key === "Escape" && onCancel()}>
      <ol class="steps">
        {STEPS.map((name, number) => (
          <li key={name} aria-current={number === step ? "step" : undefined}>
            {name}
          </li>
        ))}
      </ol>
      <h3 ref={heading} tabIndex={-1}>
        {["When was the meter replaced?", "What did the registers show?", "What the exchange changes"][step]}
      </h3>
      {step === 0 && (
        <>
          <TextField
            label="Time of the exchange"
            name="at"
            type="datetime-local"
            value={at}
            onValue={setAt}
            required
            error={errorAt(sending.problem, "at")}
            hint={`Any time between the last reading of the old meter and the first one of the new meter. ${zoneHint()}`}
          />
          <fieldset>
            <legend>Device id</legend>
            <label>
              <input type="radio" name="id" checked={!fresh} onChange={() => setFresh(false)} />
              {`The new meter sends as ${device}, too`}
            </label>
            <label>
              <input type="radio" name="id" checked={fresh} onChange={() => setFresh(true)} />
              The new meter sends another id
            </label>
          </fieldset>
          {fresh && (
            <TextField
              label="Id of the new meter"
              name="new_device_id"
              value={other}
              onValue={setOther}
              required
              maxLength={64}
              error={errorAt(sending.problem, "new_device_id")}
              hint="It takes over name, zone and greatest power where it has none of its own."
            />
          )}
        </>
      )}
      {step === 1 && (
        <>
          {rows.length ? (
            <p class="sub">
              Filled in with what the meters sent. Correct what the protocol of the exchange says otherwise; what is left
              empty is taken from the readings.
            </p>
          ) : (
            <Notice>No register was sent before or after this time.</Notice>
          )}
          {rows.map((row) => (
            <RegisterEntry
              key={keyOf(row)}
              row={row}
              types={types}
              entry={entries[keyOf(row)] ?? NONE}
              errors={{ last: errorOf(row, "last"), first: errorOf(row, "first") }}
              onEntry={(entry) => setEntries({ ...entries, [keyOf(row)]: entry })}
            />
          ))}
        </>
      )}
      {step === 2 && (
        <>
          <p class="effect">
            {`${time(given.at)}: ${fresh ? `${device} ends, and ${other.trim()} goes on from it` : "readings from then on are from the new meter"}. The energy counted changes by`}
          </p>
          <ul class="effects">
            {rows.map((row) => (
              <li key={keyOf(row)} data-field={row.field} data-change={changeOf(row, entries[keyOf(row)] ?? NONE)}>
                <strong>{`${signed(changeOf(row, entries[keyOf(row)] ?? NONE))} ${unit(row.unit)}`}</strong> {nameOf(types, row)}
                <span class="sub"> {explained(row, entries[keyOf(row)] ?? NONE)}</span>
              </li>
            ))}
          </ul>
          <ReasonField value={reason} onValue={setReason} error={errorAt(sending.problem, "reason")} />
        </>
      )}
      <Refusal problem={sending.problem} shown={shown[step]!} />
      <p class="deciding">
        {step > 0 && (
          <button type="button" class="small" onClick={back}>
            Back
          </button>
        )}
        <button type="submit" class="small go" disabled={sending.busy || (step > 0 && !rows.length)}>
          {step === 2 ? "Enter the exchange" : "Next"}
        </button>
        <button type="button" class="small" onClick={onCancel}>
          Cancel
        </button>
      </p>
    </form>
  );
}

interface EntryProps {
  row: Row;
  types: DataType[];
  entry: Entry;
  errors: Entry;
  onEntry: (entry: Entry) => void;
}

function RegisterEntry({ row, types, entry, errors, onEntry }: EntryProps): JSX.Element {
  const low = row.before && numberOf(entry.last) !== null && numberOf(entry.last)! < row.before.value;
  const high = row.after && numberOf(entry.first) !== null && numberOf(entry.first)! > row.after.value;
  return (
    <fieldset class="registers" data-field={row.field}>
      <legend>{`${nameOf(types, row)}${unit(row.unit) && `, ${unit(row.unit)}`}`}</legend>
      <TextField
        label="Last of the old meter"
        name={`${row.field}.last`}
        type="number"
        value={entry.last}
        onValue={(last) => onEntry({ ...entry, last })}
        error={errors.last}
        hint={row.before ? `Sent: ${exact(row.before.value)}, ${time(row.before.at)}` : "The old meter sent none."}
      />
      <TextField
        label="First of the new meter"
        name={`${row.field}.first`}
        type="number"
        value={entry.first}
        onValue={(first) => onEntry({ ...entry, first })}
        error={errors.first}
        hint={row.after ? `Sent: ${exact(row.after.value)}, ${time(row.after.at)}` : "The new meter has sent none yet."}
      />
      {(low || high) && <p class="note">Less than nothing would be counted here. Look at these numbers once more.</p>}
    </fieldset>
  );
}

function nameOf(types: DataType[], row: Row): string {
  const type = types.find((other) => other.name === row.type);
  return type ? capital(fieldOf(type, row.field).title) : row.field;
}

function prefilled({ before, after }: Row): Entry {
  return { last: before ? String(before.value) : "", first: after ? String(after.value) : "" };
}

// What is sent of an entry: a register that the meter itself sent is left to the server, which may hear better ones yet.
function givenOf(row: Row, entry: Entry): { last: number | null; first: number | null } {
  const sent = prefilled(row);
  return {
    last: entry.last === sent.last ? null : numberOf(entry.last),
    first: entry.first === sent.first ? null : numberOf(entry.first),
  };
}

function parts(row: Row, entry: Entry): { old: number; new: number } {
  const last = numberOf(entry.last);
  const first = numberOf(entry.first);
  return {
    old: row.before && last !== null ? last - row.before.value : 0,
    new: row.after && first !== null ? row.after.value - first : 0,
  };
}

// What the energy counted changes by, in the unit of the register.
function changeOf(row: Row, entry: Entry): number {
  const counted = parts(row, entry);
  return Math.round((row.change + counted.old + counted.new) * 1e6) / 1e6;
}

function explained(row: Row, entry: Entry): string {
  const counted = parts(row, entry);
  return `old meter ${signed(counted.old)} after its last reading, new meter ${signed(counted.new)} before its first`;
}
