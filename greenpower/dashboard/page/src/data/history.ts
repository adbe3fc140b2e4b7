// Rows of the API as a chart needs them: columns, gaps, provisional spans.

import type { Row } from "./api";
import { all } from "./api";

export interface Line {
  name: string;
  values: (number | null | undefined)[];
  low: (number | null | undefined)[] | null;
  high: (number | null | undefined)[] | null;
}

// times: in seconds. provisional: spans in seconds. cut: the API had more rows than are loaded here.
export interface History {
  resolution: string;
  times: number[];
  lines: Line[];
  provisional: [number, number][];
  rows: Row[];
  cut: boolean;
}

const PAGES = 6;
// A gap longer than this many steps interrupts the line.
const GAP_STEPS = 2.6;
const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600 };

export function stepOf(resolution: string): number {
  const [, count = "0", letter = "s"] = /^(\d+)([smh])$/.exec(resolution) ?? [];
  return Number(count) * (UNIT_SECONDS[letter] ?? 1);
}

export interface Span {
  from: number;
  to: number;
}

export async function loadRows(
  path: string,
  device: string,
  fields: string[],
  span: Span,
  resolution: string,
  signal: AbortSignal,
): Promise<{ rows: Row[]; resolution: string; cut: boolean }> {
  const page = await all<Row>(
    path,
    {
      device_id: device,
      start_time: new Date(span.from * 1000).toISOString(),
      end_time: new Date(span.to * 1000).toISOString(),
      fields: fields.join(","),
      resolution,
      stats: true,
      order: "asc",
      page_size: 1000,
      cursor: "",
    },
    PAGES,
    signal,
  );
  return { rows: page.results, resolution: page.resolution ?? "raw", cut: page.next !== null };
}

// `undefined` is a missing value: the line goes on over it. `null` interrupts the line.
export function columns(all: Row[], fields: string[], resolution: string, cut = false): History {
  const rows = all.filter((row) => fields.some((name) => row.payload[name] !== undefined));
  const stamps = rows.map((row) => new Date(row.timestamp).getTime() / 1000);
  const step = stepOf(resolution) || usualStep(stamps);
  const banded = stepOf(resolution) > 0;
  const times: number[] = [];
  const lines: Line[] = fields.map((name) => ({ name, values: [], low: banded ? [] : null, high: banded ? [] : null }));
  const provisional: [number, number][] = [];
  rows.forEach((row, number) => {
    const stamp = stamps[number]!;
    const before = stamps[number - 1];
    if (before !== undefined && step && stamp - before > step * GAP_STEPS) {
      times.push(before + step);
      for (const line of lines) for (const list of [line.values, line.low, line.high]) list?.push(null);
    }
    times.push(stamp);
    for (const line of lines) {
      const stats = row.stats?.[line.name];
      line.values.push(row.payload[line.name]);
      line.low?.push(stats?.min);
      line.high?.push(stats?.max);
    }
    if (row.final === false) {
      const last = provisional[provisional.length - 1];
      if (last && stamp - last[1] < step / 2) last[1] = stamp + step;
      else provisional.push([stamp, stamp + step]);
    }
  });
  return { resolution, times, lines, provisional, rows, cut };
}

function usualStep(stamps: number[]): number {
  const gaps = stamps.slice(1).map((stamp, number) => stamp - stamps[number]!);
  gaps.sort((one, other) => one - other);
  return gaps[Math.floor(gaps.length / 2)] ?? 0;
}
