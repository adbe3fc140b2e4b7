// Touch on a chart: one finger moves it in time, two fingers zoom. Moving up and down scrolls the page.

import type { Span } from "../data/history";

export interface Touched {
  // The span that is shown, and where it is drawn: pixels from the left of the window, and width.
  span: () => Span;
  place: () => { left: number; width: number };
  // Called while fingers move; null when they are lifted.
  show: (span: Span | null) => void;
  done: (span: Span) => void;
}

const MIN_DRAG_PIXELS = 6;
const MIN_SPAN_SECONDS = 10;

// The span in which what was below each finger at the beginning is below it now.
export function moved(span: Span, width: number, from: number[], to: number[]): Span {
  const scale = (span.to - span.from) / width;
  if (from.length < 2 || to.length < 2) {
    const by = (from[0]! - to[0]!) * scale;
    return { from: span.from + by, to: span.to + by };
  }
  const apart = Math.max(Math.abs(to[1]! - to[0]!), MIN_DRAG_PIXELS);
  const next = Math.max((scale * Math.abs(from[1]! - from[0]!)) / apart, MIN_SPAN_SECONDS / width);
  const middle = span.from + ((from[0]! + from[1]!) / 2) * scale;
  const start = middle - ((to[0]! + to[1]!) / 2) * next;
  return { from: start, to: start + width * next };
}

export function onTouch(element: HTMLElement, touched: Touched): () => void {
  let begun: { span: Span; width: number; left: number; fingers: number[] } | null = null;
  let now: Span | null = null;

  const fingers = (event: TouchEvent, left: number): number[] =>
    [...event.touches].slice(0, 2).map((touch) => touch.clientX - left);

  // Each finger that comes or goes begins anew from what is shown.
  const begin = (event: TouchEvent): void => {
    const { left, width } = touched.place();
    begun = { span: now ?? touched.span(), width, left, fingers: fingers(event, left) };
  };
  const move = (event: TouchEvent): void => {
    if (!begun || !event.touches.length) return;
    const here = fingers(event, begun.left);
    if (here.length !== begun.fingers.length) return begin(event);
    if (here.length === 1 && now === null && Math.abs(here[0]! - begun.fingers[0]!) < MIN_DRAG_PIXELS) return;
    if (event.cancelable) event.preventDefault();
    now = moved(begun.span, begun.width, begun.fingers, here);
    touched.show(now);
  };
  const end = (event: TouchEvent): void => {
    if (event.touches.length) return begin(event);
    const last = now;
    begun = now = null;
    touched.show(null);
    if (last && event.type === "touchend") touched.done(last);
  };

  element.addEventListener("touchstart", begin, { passive: true });
  element.addEventListener("touchmove", move, { passive: false });
  element.addEventListener("touchend", end);
  element.addEventListener("touchcancel", end);
  return () => {
    element.removeEventListener("touchstart", begin);
    element.removeEventListener("touchmove", move);
    element.removeEventListener("touchend", end);
    element.removeEventListener("touchcancel", end);
  };
}
