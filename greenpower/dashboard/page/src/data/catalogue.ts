// The measured fields, as the data types declare them. Nothing here knows a type by name.

import type { DataType, Field } from "./api";
import { get } from "./api";
import { exact, number, unit } from "../lib/format";

// A card has few places: units that people look for first come first.
const PROMINENT = ["kW", "kWh", "Wh", "rpm", "µg/m³", "V", "A", "Hz", "°C", "%", "1"];
const PLACES = 4;

let loading: Promise<DataType[]> | null = null;

export function loadTypes(): Promise<DataType[]> {
  loading ??= get<{ results: DataType[] }>("/api/data-types/").then(
    (answer) => answer.results,
    (error) => {
      loading = null;
      throw error;
    },
  );
  return loading;
}

export function forgetTypes(): void {
  loading = null;
}

export function fieldOf(type: DataType, name: string): Field {
  return type.fields.find((field) => field.name === name) ?? {
    name,
    title: /^\d+$/.test(name) ? `value ${name}` : name.replace(/_/g, " "),
    unit: "",
    quantity: "",
    kind: "gauge",
    codes: {},
    bits: false,
  };
}

// The fields that have values: the declared ones in their order, then the others by name.
export function fieldsIn(type: DataType, names: Iterable<string>): Field[] {
  const there = new Set(names);
  const declared = type.fields.filter((field) => there.delete(field.name));
  return [...declared, ...[...there].sort(byNumber).map((name) => fieldOf(type, name))];
}

function byNumber(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}

// The few values that a card shows: per unit the total, else the first; for meters with registers, the registers.
export function headline(type: DataType, names: Iterable<string>): Field[] {
  const fields = fieldsIn(type, names).filter((field) => field.kind !== "state" && field.kind !== "angle");
  const chosen = new Map<string, Field>();
  for (const field of fields) {
    const there = chosen.get(field.unit);
    if (!there || (isTotal(field) && !isTotal(there))) chosen.set(field.unit, field);
  }
  const registers = fields[0] !== undefined && isRegister(fields[0]);
  const rank = (field: Field): number => {
    const place = PROMINENT.indexOf(field.unit);
    return (place < 0 ? PROMINENT.length : place) - (registers && isRegister(field) ? PROMINENT.length + 1 : 0);
  };
  const first = [...chosen.values()].sort((one, other) => rank(one) - rank(other));
  const rest = fields.filter((field) => !first.includes(field));
  return [...first, ...rest].slice(0, PLACES);
}

// Whether the values are readings of a register.
export function isRegister(field: Field): boolean {
  return field.kind === "counter" || field.kind === "net" || field.kind === "daily";
}

// Whether the field tells what was used or made.
export function hasEnergy(field: Field): boolean {
  return isRegister(field) || field.kind === "delta";
}

// Whether the values are numbers that stand for something: they are not drawn.
export function isCode(field: Field): boolean {
  return field.kind === "state" || field.kind === "enumeration";
}

// The names of an enumeration's value: of the code, or of the bits that are set.
export function codeNames(field: Field, value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (!field.bits) return field.codes[value] ?? String(value);
  const set = Object.keys(field.codes).filter((bit) => Math.floor(value / 2 ** Number(bit)) % 2 === 1);
  return set.length ? set.map((bit) => field.codes[bit]).join(", ") : value ? String(value) : "none";
}

// A value as people read it, with its unit.
export function textOf(field: Field, value: number | null | undefined): string {
  if (field.kind === "enumeration") return codeNames(field, value);
  return `${isRegister(field) ? exact(value) : number(value)} ${unit(field.unit)}`;
}

export function isTotal(field: Field): boolean {
  return /\btotal$/.test(field.title);
}
