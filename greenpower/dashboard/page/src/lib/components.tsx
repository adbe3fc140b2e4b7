// Small components that several views use.

import type { ComponentChildren, JSX } from "preact";

import type { Problem } from "../data/api";
import type { Realtime } from "../data/realtime";
import { keyOf } from "../data/realtime";
import { ago, time } from "./format";
import { useNow } from "./hooks";

export function Age({ stamp }: { stamp: string | number | null | undefined }): JSX.Element {
  const now = useNow();
  if (stamp === null || stamp === undefined) return <span class="age">never</span>;
  return (
    <time class="age" dateTime={new Date(stamp).toISOString()} title={time(stamp)}>
      {ago(stamp, now)}
    </time>
  );
}

// `online` or `offline` as the server says; `unknown` where it has not said yet.
export function statusOf(live: Realtime, type: string, device: string, registered: string | undefined): string {
  const told = live.statuses.get(keyOf(type, device))?.status ?? registered;
  return told === "online" || told === "offline" ? told : "unknown";
}

export function StatusBadge({ status }: { status: string }): JSX.Element {
  return (
    <span class={`status ${status}`}>
      <span class="dot" aria-hidden="true" />
      {status}
    </span>
  );
}

export function Notice({ children, kind = "" }: { children: ComponentChildren; kind?: string }): JSX.Element {
  return (
    <p class={`notice ${kind}`} role={kind === "bad" ? "alert" : undefined}>
      {children}
    </p>
  );
}

export function Trouble({ error, what }: { error: Problem | null; what: string }): JSX.Element | null {
  return error && <Notice kind="bad">{`${what}: ${error.message}`}</Notice>;
}

interface ChoiceProps<T extends string> {
  label: string;
  options: readonly (readonly [T, string])[];
  value: T | "";
  onChange: (value: T) => void;
}

// A row of buttons, one of them pressed.
export function Choice<T extends string>({ label, options, value, onChange }: ChoiceProps<T>): JSX.Element {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([name, text]) => (
        <button key={name} type="button" aria-pressed={name === value} onClick={() => onChange(name)}>
          {text}
        </button>
      ))}
    </div>
  );
}

export function Select<T extends string>({ label, options, value, onChange }: ChoiceProps<T>): JSX.Element {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
