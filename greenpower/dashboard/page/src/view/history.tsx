// The history of a device: a range of time, values of one quantity in a chart, and the same as a table.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { DataType, Field, Row } from "../data/api";
import { headline, isCode, isRegister, isTotal, textOf } from "../data/catalogue";
import { columns, loadRows, type Span } from "../data/history";
import { keyOf } from "../data/realtime";
import { capital, number, time, unit } from "../lib/format";
import { useAnswer, useNow, useShared } from "../lib/hooks";
import { Choice, Notice, Select, Trouble } from "../lib/components";
import { Chart } from "./chart";
import { Table } from "./table";

const LIVE = 600;
const RANGES = [
  [String(LIVE), "Live"],
  ["3600", "1 h"],
  ["86400", "24 h"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
  ["15552000", "6 months"],
  ["31536000", "1 year"],
] as const;
const COLORS = ["c1", "c2", "c3", "c4", "c5", "c6"];
const FIRST_LINES = 3;
const MIN_RANGE_SECONDS = 10;
const MAX_RANGE_SECONDS = 5 * 366 * 86_400;

// A range of some length that ends now, or a fixed one.
type Range = { last: number } | Span;

interface Props {
  type: DataType;
  device: string;
  fields: Field[];
  query: string;
}

export function HistoryPanel({ type, device, fields, query }: Props): JSX.Element {
  const [range, setRange] = useState<Range>(() => readRange(query));
  const groups = useMemo(() => group(fields, headline(type, fields.map((field) => field.name))), [type, fields]);
  const [chosen, setChosen] = useState("");
  const current = groups.find(([name]) => name === chosen) ?? groups[0];
  const members = current?.[1] ?? [];
  const [picked, setPicked] = useState<Record<string, string[]>>({});
  const names = picked[current?.[0] ?? ""] ?? firstOf(members);
  const shown = members.filter((field) => names.includes(field.name));
  const isLive = "last" in range && range.last === LIVE;
  const [point, setPoint] = useState<number | null>(null);

  const now = useNow();
  const rolls = "last" in range;
  const every = isLive ? 60 : rolls ? Math.max(10, Math.min(300, range.last / 360)) : 0;
  // A fixed range is loaded once. One that ends now is loaded again and again, and moves every second while live.
  const asked = useRef<Span>({ from: 0, to: 0 });
  const answer = useAnswer(
    (signal) => {
      asked.current = spanOf(range);
      const resolution = isLive ? "raw" : "auto";
      return loadRows(type.path!, device, shown.map((field) => field.name), asked.current, resolution, signal);
    },
    [type, device, names.join(), JSON.stringify(range)],
    every,
  );
  const fresh = useFresh(type.name, device, isLive);
  const history = useMemo(() => {
    const rows = answer.data?.rows ?? [];
    const last = rows[rows.length - 1]?.timestamp ?? "";
    const more = isLive ? fresh.filter((row) => row.timestamp > last) : [];
    return columns([...rows, ...more], shown.map((field) => field.name), answer.data?.resolution ?? "raw", answer.data?.cut);
  }, [answer.data, fresh, names.join(), isLive]);
  const span = "last" in range ? { from: now / 1000 - range.last, to: now / 1000 } : range;

  const go = (next: Range): void => {
    setRange(next);
    setPoint(null);
    const text = "last" in next ? `last=${next.last}` : `from=${Math.round(next.from)}&to=${Math.round(next.to)}`;
    history_replace(`${location.hash.split("?")[0]}?${text}`);
  };
  const move = (part: number): void => {
    const by = (span.to - span.from) * part;
    if (span.to + by >= Date.now() / 1000) go({ last: span.to - span.from });
    else go({ from: span.from + by, to: span.to + by });
  };
  const scale = (factor: number): void => {
    const length = Math.min(MAX_RANGE_SECONDS, Math.max(MIN_RANGE_SECONDS, (span.to - span.from) * factor));
    if (rolls) return go({ last: length });
    const middle = (span.from + span.to) / 2;
    go({ from: middle - length / 2, to: Math.min(middle + length / 2, Date.now() / 1000) });
  };
  const zoom = (to: Span): void => {
    if (to.to - to.from >= 1) go(to);
  };
  // Where fingers have moved it to. It ends at now at the latest, and then follows the time.
  const place = (to: Span): void => {
    const length = Math.min(MAX_RANGE_SECONDS, Math.max(MIN_RANGE_SECONDS, to.to - to.from));
    if (to.to >= Date.now() / 1000) go({ last: length });
    else go({ from: to.to - length, to: to.to });
  };
  const toggle = (name: string): void => {
    const next = names.includes(name) ? names.filter((other) => other !== name) : [...names, name].slice(-COLORS.length);
    if (next.length) setPicked({ ...picked, [current![0]]: next });
  };
  const colors = shown.map((field) => COLORS[members.indexOf(field) % COLORS.length]!);
  const at = point === null ? history.times.length - 1 : point;

  return (
    <section aria-labelledby="history" class="panel">
      <div class="head">
        <h2 id="history">History</h2>
        <p class="sub" role="status" data-resolution={answer.data?.resolution} aria-busy={answer.loading}>
          {describe(history.resolution, members[0] !== undefined && isRegister(members[0]), answer.data === null)}
        </p>
      </div>
      <div class="bar">
        <Choice label="Range" options={RANGES} value={rolls ? (String(range.last) as "3600") : ""} onChange={(value) => go({ last: Number(value) })} />
        <div class="choice" role="group" aria-label="Move and zoom">
          <button type="button" aria-label="Earlier" onClick={() => move(-0.5)}>←</button>
          <button type="button" aria-label="Later" onClick={() => move(0.5)} disabled={rolls}>→</button>
          <button type="button" aria-label="Zoom in" onClick={() => scale(0.5)}>+</button>
          <button type="button" aria-label="Zoom out" onClick={() => scale(2)}>−</button>
        </div>
        {groups.length > 1 && current && (
          <Select label="Quantity" value={current[0]} onChange={setChosen} options={groups.map(([name]) => [name, name] as const)} />
        )}
      </div>
      <p class="sub span" data-from={Math.round(span.from)} data-to={Math.round(span.to)}>
        {time(span.from * 1000)} – {rolls ? "now" : time(span.to * 1000)}
      </p>
      <Trouble error={answer.error} what="History" />
      <Chart
        label={`${current?.[0] ?? ""} of ${device}`}
        history={history}
        span={span}
        colors={colors}
        onZoom={zoom}
        onMove={place}
        onPan={move}
        onScale={scale}
        onPoint={setPoint}
      />
      {answer.data && !history.times.length && <Notice>No readings in this period.</Notice>}
      {history.cut && <Notice>Too many points; the end is cut off. Zoom in.</Notice>}
      <p class="sub at">{at >= 0 && history.times[at] !== undefined ? time(history.times[at]! * 1000) : " "}</p>
      <div class="legend" role="group" aria-label="Values in the chart">
        {members.map((field, place) => {
          const line = history.lines.find((other) => other.name === field.name);
          const color = COLORS[place % COLORS.length]!;
          return (
            <button key={field.name} type="button" class={color} aria-pressed={names.includes(field.name)} onClick={() => toggle(field.name)}>
              <span class="key" aria-hidden="true" />
              {capital(field.title)}
              {line && <b>{valueAt(field, line.values[at], line.low?.[at], line.high?.[at])}</b>}
            </button>
          );
        })}
      </div>
      {history.provisional.length > 0 && (
        <p class="sub provisional">
          <span class="key stripes" aria-hidden="true" /> provisional: may still change
        </p>
      )}
      <Table rows={history.rows} fields={shown} />
    </section>
  );
}

function history_replace(hash: string): void {
  history.replaceState(null, "", hash);
}

function readRange(query: string): Range {
  const given = new URLSearchParams(query);
  const [last, from, to] = ["last", "from", "to"].map((name) => Number(given.get(name)));
  if (from && to && to > from) return { from, to };
  return { last: last && last >= MIN_RANGE_SECONDS && last <= MAX_RANGE_SECONDS ? last : 86_400 };
}

function spanOf(range: Range): Span {
  const now = Date.now() / 1000;
  return "last" in range ? { from: now - range.last, to: now } : range;
}

// Fields that share a scale: those of one unit and kind. States are not drawn.
function group(fields: Field[], first: Field[]): [string, Field[]][] {
  const groups = new Map<string, Field[]>(first.slice(0, 1).map((field) => [quantityOf(field), []]));
  for (const field of fields) {
    if (!isCode(field)) groups.set(quantityOf(field), [...(groups.get(quantityOf(field)) ?? []), field]);
  }
  const rank = (field: Field): number => (isTotal(field) ? 0 : 1);
  return [...groups]
    .filter(([, members]) => members.length)
    .map(([name, members]) => [name, members.sort((one, other) => rank(one) - rank(other))]);
}

function quantityOf(field: Field): string {
  if (!unit(field.unit)) return field.unit ? "Power factors, counts" : "Other values";
  const what = field.unit === "%" || field.unit === "s" ? field.unit : `${capital(field.quantity)}, ${field.unit}`;
  return isRegister(field) ? `${what}, register` : field.kind === "delta" ? `${what}, used` : what;
}

// The lines that are shown first: one register, else the totals, else the first few.
function firstOf(members: Field[]): string[] {
  const totals = members.filter(isTotal);
  const first = members[0] && isRegister(members[0]) ? members.slice(0, 1) : totals.length ? totals : members.slice(0, FIRST_LINES);
  return first.map((field) => field.name);
}

// The readings that arrived since the panel was opened.
function useFresh(type: string, device: string, wanted: boolean): Row[] {
  const { live } = useShared();
  const [rows, setRows] = useState<Row[]>([]);
  useEffect(() => {
    setRows([]);
    if (!wanted) return;
    return live.on(type, device, () => {
      const reading = live.readings.get(keyOf(type, device));
      if (!reading) return;
      const oldest = Date.now() - LIVE * 1000;
      const timestamp = new Date(reading.timestamp).toISOString();
      const row: Row = { id: null, topic: null, device_id: device, timestamp, payload: reading.payload };
      setRows((old) => {
        const kept = old.filter((other) => other.timestamp !== timestamp && Date.parse(other.timestamp) > oldest);
        return [...kept, row];
      });
    });
  }, [live, type, device, wanted]);
  return rows;
}

const UNIT_NAMES: Record<string, string> = { s: "second", m: "minute", h: "hour" };

function describe(resolution: string, counters: boolean, waiting: boolean): string {
  if (waiting) return "Loading …";
  const [, count, letter = ""] = /^(\d+)([smh])$/.exec(resolution) ?? [];
  if (!count) return "All readings";
  const step = `${count}-${UNIT_NAMES[letter]}`;
  return counters ? `Register at the end of each ${step} step` : `${step} averages; band: minimum to maximum`;
}

function valueAt(
  field: Field,
  value: number | null | undefined,
  low: number | null | undefined,
  high: number | null | undefined,
): string {
  if (value === null || value === undefined) return "–";
  const text = textOf(field, value);
  return typeof low === "number" && typeof high === "number" ? `${text} (${number(low)} to ${number(high)})` : text;
}
