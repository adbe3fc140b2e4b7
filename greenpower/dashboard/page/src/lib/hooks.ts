// Hooks that views share: the clock, answers of the API, and the objects that live as long as a session.

import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";

import type { DataType } from "../data/api";
import { Problem } from "../data/api";
import type { Realtime } from "../data/realtime";

const RETRY_SECONDS = 5;

export interface Shared {
  types: DataType[];
  live: Realtime;
}

export const SharedContext = createContext<Shared | null>(null);

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (!shared) throw new Error("not logged in");
  return shared;
}

export interface Answer<T> {
  data: T | null;
  error: Problem | null;
  loading: boolean;
}

// An error as the problem that a view shows; a temporary one says that it is retried, which the caller then does.
export function problemOf(error: unknown): Problem {
  const problem = error instanceof Problem ? error : new Problem(0, error instanceof Error ? error.message : String(error));
  return problem.temporary ? new Problem(problem.status, `${problem.message.replace(/\.$/, "")}, retrying …`) : problem;
}

// What `ask` returns. Asked again when `keys` change, every so many seconds, and some seconds after a temporary problem.
// The last answer stays while the next is awaited.
export function useAnswer<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  keys: unknown[],
  everySeconds = 0,
): Answer<T> & { again: () => void } {
  const [state, setState] = useState<Answer<T>>({ data: null, error: null, loading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const control = new AbortController();
    let retry = 0;
    setState((old) => ({ ...old, loading: true }));
    ask(control.signal).then(
      (data) => !control.signal.aborted && setState({ data, error: null, loading: false }),
      (error) => {
        if (control.signal.aborted) return;
        const problem = problemOf(error);
        setState((old) => ({ ...old, error: problem, loading: false }));
        if (problem.temporary && !everySeconds) {
          retry = window.setTimeout(() => setRound((old) => old + 1), RETRY_SECONDS * 1000);
        }
      },
    );
    const timer = everySeconds && setTimeout(() => setRound((old) => old + 1), everySeconds * 1000);
    return () => {
      control.abort();
      clearTimeout(retry);
      if (timer) clearTimeout(timer);
    };
  }, [...keys, round]);
  return { ...state, again: () => setRound((old) => old + 1) };
}

const tickers = new Set<() => void>();
let ticking = 0;

// The current time in milliseconds, updated every second; one timer for all components.
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const tick = (): void => setNow(Date.now());
    tickers.add(tick);
    ticking ||= window.setInterval(() => {
      if (!document.hidden) for (const ticker of tickers) ticker();
    }, 1000);
    return () => {
      tickers.delete(tick);
      if (!tickers.size) {
        clearInterval(ticking);
        ticking = 0;
      }
    };
  }, []);
  return now;
}

// Renders again at each change of a device's reading or status while `wanted`, and once when `wanted` becomes true.
export function useDevice(type: string, device: string, wanted = true): void {
  const { live } = useShared();
  const [, setRound] = useState(0);
  useEffect(() => {
    if (!wanted) return;
    setRound((old) => old + 1);
    return live.on(type, device, () => setRound((old) => old + 1));
  }, [live, type, device, wanted]);
}

const seen = new WeakMap<Element, (visible: boolean) => void>();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) seen.get(entry.target)?.(entry.isIntersecting);
  },
  { rootMargin: "50%" },
);

// Whether an element is visible, or near the visible area.
export function useVisible(place: { current: Element | null }): boolean {
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    seen.set(element, setVisible);
    watcher.observe(element);
    return () => watcher.unobserve(element);
  }, []);
  return visible;
}

export function useHash(): string {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const change = (): void => setHash(location.hash);
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  return hash;
}
