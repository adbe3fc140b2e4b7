// The last values of one field since the page was opened, as a small line without axes.

import type { JSX } from "preact";
import { useRef } from "preact/hooks";

const MAX_POINTS = 60;
const MIN_POINTS = 3;
const WIDTH = 96;
const HEIGHT = 28;

interface Props {
  value: number | undefined;
  stamp: number;
}

export function Sparkline({ value, stamp }: Props): JSX.Element {
  const points = useRef<[number, number][]>([]);
  const list = points.current;
  if (value !== undefined && list[list.length - 1]?.[0] !== stamp) {
    list.push([stamp, value]);
    if (list.length > MAX_POINTS) list.shift();
  }
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      {list.length >= MIN_POINTS && <polyline points={line(list)} />}
    </svg>
  );
}

function line(list: [number, number][]): string {
  const values = list.map(([, value]) => value);
  const low = Math.min(...values);
  const range = Math.max(...values) - low || 1;
  const since = list[0]![0];
  const span = list[list.length - 1]![0] - since || 1;
  return list
    .map(([stamp, value]) => {
      const x = ((stamp - since) / span) * (WIDTH - 4) + 2;
      const y = HEIGHT - 3 - ((value - low) / range) * (HEIGHT - 6);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}
