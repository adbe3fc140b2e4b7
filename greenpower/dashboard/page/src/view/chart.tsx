// Lines over time, drawn by uPlot: bands from minimum to maximum, gaps, provisional spans.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import type { History, Span } from "../data/history";
import { tick } from "../lib/format";
import { color, onTheme } from "../lib/theme";
import { onTouch } from "../lib/touch";

const HEIGHT = 320;
const NARROW_HEIGHT = 240;
const NARROW_PIXELS = 560;
const MIN_DRAG_PIXELS = 6;
const MIN_AXIS_PIXELS = 58;
const AXIS_MARGIN_PIXELS = 16;
const LETTER_PIXELS = 7;
const FONT = "12px system-ui, sans-serif";

interface Props {
  label: string;
  history: History;
  span: Span;
  colors: string[];
  onZoom: (span: Span) => void;
  onMove: (span: Span) => void;
  onPan: (part: number) => void;
  onScale: (factor: number) => void;
  onPoint: (index: number | null) => void;
}

export function Chart(props: Props): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  // The span that fingers have moved it to, until they are lifted.
  const held = useRef<Span | null>(null);
  const [theme, setTheme] = useState(0);
  useEffect(() => onTheme(() => setTheme((old) => old + 1)), []);
  const shape = props.history.lines.map((line) => `${line.name}${line.low ? "+" : ""}`).join();

  useEffect(() => {
    const element = place.current!;
    const made = new uPlot(options(element, latest, held), dataOf(latest.current.history), element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize(sizeOf(element)));
    observer.observe(element);
    const untouch = onTouch(made.over, {
      span: () => latest.current.span,
      place: () => made.over.getBoundingClientRect(),
      show: (span) => {
        held.current = span;
        if (span) made.setScale("x", { min: span.from, max: span.to });
      },
      done: (span) => latest.current.onMove(span),
    });
    return () => {
      untouch();
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, theme, props.colors.join()]);

  useEffect(() => {
    plot.current?.batch(() => {
      plot.current?.setData(dataOf(props.history), false);
      plot.current?.setScale("x", { min: props.span.from, max: props.span.to });
    });
  }, [props.history, props.span.from, props.span.to, shape, theme]);

  const keys: Record<string, () => void> = {
    ArrowLeft: () => props.onPan(-0.25),
    ArrowRight: () => props.onPan(0.25),
    "+": () => props.onScale(0.5),
    "-": () => props.onScale(2),
  };
  return (
    <div
      class="chart"
      ref={place}
      tabIndex={0}
      role="group"
      aria-label={`${props.label}. Use the arrow keys to move, plus and minus to zoom.`}
      onKeyDown={(event) => {
        const action = keys[event.key];
        if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        action();
      }}
      onWheel={(event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        props.onScale(event.deltaY < 0 ? 0.5 : 2);
      }}
    />
  );
}

function widthOf(_: uPlot, labels: string[] | null): number {
  const longest = Math.max(0, ...(labels ?? []).map((label) => label.length));
  return Math.max(MIN_AXIS_PIXELS, AXIS_MARGIN_PIXELS + longest * LETTER_PIXELS);
}

function rangeOf(span: Span): [number, number] {
  return [span.from, span.to];
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  const width = element.clientWidth || 300;
  return { width, height: width < NARROW_PIXELS ? NARROW_HEIGHT : HEIGHT };
}

function dataOf(history: History): uPlot.AlignedData {
  const data: unknown[] = [history.times];
  for (const line of history.lines) {
    data.push(line.values);
    if (line.low) data.push(line.low, line.high);
  }
  return data as uPlot.AlignedData;
}

function options(
  element: HTMLElement,
  latest: { current: Props },
  held: { current: Span | null },
): uPlot.Options {
  const { history, colors } = latest.current;
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  history.lines.forEach((line, place) => {
    const stroke = color(colors[place] ?? "c1");
    series.push({ stroke, width: 2, points: { size: 5, fill: stroke } });
    if (line.low) {
      const edge: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false } };
      bands.push({ series: [series.length + 1, series.length], fill: `${stroke}2e` });
      series.push(edge, { ...edge });
    }
  });
  const grid = { stroke: color("line"), width: 1 };
  const axis = { stroke: color("soft"), font: FONT, grid, ticks: { ...grid, size: 4 } };
  return {
    ...sizeOf(element),
    series,
    bands,
    legend: { show: false },
    scales: { x: { time: true, range: () => rangeOf(held.current ?? latest.current.span) } },
    axes: [
      { ...axis, values: stamps, space: 76, size: 42 },
      { ...axis, values: (_, splits, __, ___, step) => splits.map((split) => tick(split, step)), size: widthOf },
    ],
    cursor: {
      drag: { x: true, y: false, setScale: false },
      points: { size: 8 },
      y: false,
      bind: { dblclick: () => () => (latest.current.onScale(4), null) },
    },
    hooks: {
      drawClear: [(u) => shade(u, latest.current.history.provisional)],
      setCursor: [(u) => latest.current.onPoint(u.cursor.idx ?? null)],
      setSelect: [
        (u) => {
          const { left, width } = u.select;
          if (width < MIN_DRAG_PIXELS) return;
          latest.current.onZoom({ from: u.posToVal(left, "x"), to: u.posToVal(left + width, "x") });
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

// Stripes behind provisional spans.
function shade(u: uPlot, spans: [number, number][]): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  for (const [from, to] of spans) {
    const left = Math.max(bbox.left, u.valToPos(from, "x", true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(to, "x", true));
    if (right > left) ctx.rect(left, bbox.top, Math.max(right - left, 2), bbox.height);
  }
  ctx.clip();
  ctx.fillStyle = color("shade");
  ctx.fillRect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.strokeStyle = color("stripe");
  ctx.lineWidth = 2;
  ctx.beginPath();
  for (let x = bbox.left - bbox.height; x < bbox.left + bbox.width; x += 12) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  ctx.restore();
}

const DAY = 86_400;

// The time, with the date below it where that changes.
function stamps(_: uPlot, splits: number[], __: number, ___: number, step: number): string[] {
  let before = "";
  return splits.map((split) => {
    const moment = new Date(split * 1000);
    const day = moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    if (step >= 28 * DAY) return moment.toLocaleDateString("en-GB", { month: "short", year: "2-digit" });
    if (step >= DAY) return day;
    const seconds = step < 60 ? "2-digit" : undefined;
    const clock = moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: seconds });
    const text = day === before ? clock : `${clock}\n${day}`;
    before = day;
    return text;
  });
}
