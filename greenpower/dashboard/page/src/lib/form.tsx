// Parts of forms: fields with what the server says of them, a reason, times, and sending.

import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";

import { Problem, errorAt, send } from "../data/api";
import { ZONE } from "./format";
import { Notice } from "./components";

interface FieldProps {
  label: string;
  name: string;
  value: string;
  onValue: (value: string) => void;
  error?: string;
  hint?: ComponentChildren;
  type?: "text" | "number" | "datetime-local";
  required?: boolean;
  maxLength?: number;
  // Read by screen readers only: the label is in the heading of a table.
  quiet?: boolean;
}

// A value to be entered. An error is tied to it, so that a screen reader tells it too.
export function TextField({ label, name, value, onValue, error = "", hint, type = "text", quiet = false, ...rest }: FieldProps): JSX.Element {
  const id = useId();
  const notes = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div class={`entry ${error ? "wrong" : ""}`}>
      <label for={id} class={quiet ? "unseen" : undefined}>
        {label}
      </label>
      <input
        id={id}
        name={name}
        type={type as "text"}
        step={type === "number" ? "any" : type === "datetime-local" ? 1 : undefined}
        value={value}
        aria-invalid={error ? true : undefined}
        aria-describedby={notes || undefined}
        onInput={(event) => onValue(event.currentTarget.value)}
        {...rest}
      />
      {hint && (
        <p id={`${id}-hint`} class="sub">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} class="error">
          {error}
        </p>
      )}
    </div>
  );
}

interface ReasonProps {
  value: string;
  onValue: (value: string) => void;
  error?: string;
}

export function ReasonField({ value, onValue, error }: ReasonProps): JSX.Element {
  return (
    <TextField label="Reason" name="reason" value={value} onValue={onValue} error={error ?? ""} required maxLength={300} hint="Kept with your name and the time." />
  );
}

// What the server refused, where no field shows it. shown: the paths that fields show.
export function Refusal({ problem, shown }: { problem: Problem | null; shown: string[][] }): JSX.Element | null {
  if (!problem) return null;
  const elsewhere = shown.some((path) => errorAt(problem, ...path));
  return <Notice kind="bad">{elsewhere ? "Some values cannot be used, see above." : problem.text}</Notice>;
}

export interface Sending {
  busy: boolean;
  problem: Problem | null;
  clear: () => void;
  // Does something once. Returns what the server refused, null where it did not.
  run: (act: () => Promise<unknown>) => Promise<Problem | null>;
}

export function useSending(): Sending {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const run = async (act: () => Promise<unknown>): Promise<Problem | null> => {
    setBusy(true);
    setProblem(null);
    const refused = await act().then(
      () => null,
      (error) => (error instanceof Problem ? error : new Problem(0, String(error))),
    );
    setProblem(refused);
    setBusy(false);
    return refused;
  };
  return { busy, problem, clear: () => setProblem(null), run };
}

// Moves the focus to an element when it appears, or when `key` changes: a form that opened, its next step.
export function useFocus<T extends HTMLElement>(key: unknown): { current: T | null } {
  const place = useRef<T>(null);
  useLayoutEffect(() => place.current?.focus(), [key]);
  return place;
}

interface ConfirmProps {
  title: string;
  // What will change.
  effect: ComponentChildren;
  action: string;
  onDone: () => void;
  onCancel: () => void;
  // Sends it, with the reason that was given.
  send: (reason: string) => Promise<unknown>;
  children?: ComponentChildren;
  shown?: string[][];
}

// Asks for a reason before something is decided, withdrawn or moved.
export function ConfirmForm({ title, effect, action, onDone, onCancel, send: sent, children, shown = [] }: ConfirmProps): JSX.Element {
  const [reason, setReason] = useState("");
  const sending = useSending();
  const heading = useFocus<HTMLHeadingElement>(title);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (!(await sending.run(() => sent(reason)))) onDone();
  };
  return (
    <form class="ask" onSubmit={submit} onKeyDown={(event) => event.key === "Escape" && onCancel()}>
      <h3 ref={heading} tabIndex={-1}>
        {title}
      </h3>
      <p class="effect">{effect}</p>
      {children}
      <ReasonField value={reason} onValue={setReason} error={errorAt(sending.problem, "reason")} />
      <Refusal problem={sending.problem} shown={[...shown, ["reason"]]} />
      <p class="deciding">
        <button type="submit" class="small go" disabled={sending.busy}>
          {action}
        </button>
        <button type="button" class="small" onClick={onCancel}>
          Cancel
        </button>
      </p>
    </form>
  );
}

interface MoveProps {
  title: string;
  // Where the new time is sent to.
  path: string;
  at: string;
  onDone: () => void;
  onCancel: () => void;
}

// Asks for another time of something that an operator entered.
export function MoveForm({ title, path, at, onDone, onCancel }: MoveProps): JSX.Element {
  const [time, setTime] = useState(localInput(at));
  const [refused, setRefused] = useState<Problem | null>(null);
  const sent = (reason: string): Promise<unknown> =>
    send("PATCH", path, { at: utcOf(time), reason }).catch((error) => {
      setRefused(error instanceof Problem ? error : null);
      throw error;
    });
  return (
    <ConfirmForm
      title={title}
      effect="Readings from then on are from the new meter. The registers that were entered stay."
      action="Move the exchange"
      shown={[["at"]]}
      send={sent}
      onDone={onDone}
      onCancel={onCancel}
    >
      <TextField label="New time" name="at" type="datetime-local" value={time} onValue={setTime} required error={errorAt(refused, "at")} hint={zoneHint()} />
    </ConfirmForm>
  );
}

// In which zone times are entered.
export function zoneHint(): string {
  return `Time zone: ${ZONE.replace(/_/g, " ")}`;
}

// A time as `datetime-local` wants it, in the time zone of the browser.
export function localInput(stamp: string | number): string {
  const at = new Date(stamp);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
  return `${date}T${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":")}`;
}

// The time that was entered, in UTC; undefined where there is none.
export function utcOf(value: string): string | undefined {
  const at = new Date(value);
  return value && !Number.isNaN(at.getTime()) ? at.toISOString() : undefined;
}

// What was entered as a number; null where nothing was.
export function numberOf(value: string): number | null {
  return value.trim() === "" ? null : Number(value);
}
