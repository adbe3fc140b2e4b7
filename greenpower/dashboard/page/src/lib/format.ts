// Numbers, times and ages as people read them, in the user's time zone.

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const formats = new Map<number, Intl.NumberFormat>();
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });

export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat("en-GB", { maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return format.format(value);
}

// A register with all its digits, for comparison with the meter.
export function exact(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return new Intl.NumberFormat("en-GB", { maximumFractionDigits: 3 }).format(value);
}

// The same with its sign: a change.
export function signed(value: number): string {
  return new Intl.NumberFormat("en-GB", { maximumFractionDigits: 3, signDisplay: "exceptZero" }).format(value);
}

// A number on an axis whose labels are `step` apart.
export function tick(value: number, step: number): string {
  const digits = Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function unit(text: string): string {
  return text === "1" ? "" : text;
}

export function time(stamp: string | number | null | undefined): string {
  return stamp === null || stamp === undefined ? "never" : moment.format(new Date(stamp));
}

export function timeOfDay(stamp: string | number): string {
  return clock.format(new Date(stamp));
}

export function date(stamp: string | number): string {
  return day.format(new Date(stamp));
}

// `12 s`, `4 min`, `3 h`, `6 days`.
export function span(seconds: number): string {
  if (seconds < 100) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function ago(stamp: string | number, now: number): string {
  const seconds = (now - new Date(stamp).getTime()) / 1000;
  return seconds < 2 ? "just now" : `${span(seconds)} ago`;
}

export function size(text: string): string {
  return text.length > 1024 ? `${number(text.length / 1024)} kB` : `${text.length} characters`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
