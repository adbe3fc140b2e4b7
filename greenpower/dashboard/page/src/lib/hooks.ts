// What views share: the time of day that ticks, answers of the API, the parts of the page that live as long as a login.

import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";

import type { DataType } from "../data/api";
import { Problem } from "../data/api";
import type { Live } from "../data/live";

export interface Parts {
  types: DataType[];
  live: Live;
}

export const PartsContext = createContext<Parts | null>(null);

export function useParts(): Parts {
  const parts = useContext(PartsContext);
  if (!parts) throw new Error("not logged in");
  return parts;
}

export interface Answer<T> {
  data: T | null;
  error: Problem | null;
  loading: boolean;
}

// What `ask` answers; asked again when `keys` change and every so many seconds. What was there stays while asking.
export function useAnswer<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  keys: unknown[],
  everySeconds = 0,
): Answer<T> & { again: () => void } {
  const [state, setState] = useState<Answer<T>>({ data: null, error: null, loading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const control = new AbortController();
    setState((old) => ({ ...old, loading: true }));
    ask(control.signal).then(
      (data) => !control.signal.aborted && setState({ data, error: null, loading: false }),
      (error) => {
        if (control.signal.aborted) return;
        const problem = error instanceof Problem ? error : new Problem(0, String(error));
        setState((old) => ({ ...old, error: problem, loading: false }));
      },
    );
    const timer = everySeconds && setTimeout(() => setRound((old) => old + 1), everySeconds * 1000);
    return () => {
      control.abort();
      if (timer) clearTimeout(timer);
    };
  }, [...keys, round]);
  return { ...state, again: () => setRound((old) => old + 1) };
}

const tickers = new Set<() => void>();
let ticking = 0;

// The time of day in milliseconds, every second; one timer for all who look.
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

// Renders again at each change of a device's reading or status, as long as it is wanted, and once when it is again.
export function useDevice(type: string, device: string, wanted = true): void {
  const { live } = useParts();
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

// Whether an element is on the screen, or soon will be.
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
