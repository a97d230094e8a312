// What views share.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { serverNow, shownClock, watchClock } from "./api";

export interface Loaded<T> {
  value: T | null;
  error: Error | null;
  loading: boolean;
  reload: () => void;
}

/** What `read` answers, read anew when one of `on` changes and every so many seconds. What was read before stays meanwhile. */
export function useLoad<T>(read: (signal: AbortSignal) => Promise<T>, on: unknown[], everySeconds = 0): Loaded<T> {
  const [state, setState] = useState<{ value: T | null; error: Error | null; loading: boolean }>({ value: null, error: null, loading: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, loading: true }));
    // In a function of its own: what can't even be asked for is an error as another.
    (async () => latest.current(stop.signal))().then(
      (value) => { if (!stop.signal.aborted) setState({ value, error: null, loading: false }); },
      (error: Error) => { if (!stop.signal.aborted) setState((before) => ({ ...before, error, loading: false })); },
    );
    return () => stop.abort();
  }, [turn, ...on]);
  useEffect(() => {
    if (!everySeconds) return;
    const timer = setInterval(() => { if (!document.hidden) setTurn((before) => before + 1); }, everySeconds * 1000);
    return () => clearInterval(timer);
  }, [everySeconds]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  return { ...state, reload };
}

/** Runs what a button does, one at a time, and keeps what went wrong. */
export function useAction(): { busy: boolean; error: Error | null; run: (work: () => Promise<void>) => Promise<void>; clear: () => void } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const running = useRef(false);
  const run = async (work: () => Promise<void>) => {
    if (running.current) return; // a second click comes before what is drawn follows the first
    running.current = true;
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (caught) {
      setError(caught as Error);
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { busy, error, run, clear: () => setError(null) };
}

export interface Pages {
  /** Of the page that is shown, from 1. */
  number: number;
  cursor: string | null;
  go: (next: string) => void;
  back: () => void;
}

/** The way through a list that has a cursor to the next page only: those before are kept. Back at the first when one of `on` changes. */
export function usePages(on: unknown[]): Pages {
  const list = JSON.stringify(on);
  const [kept, keep] = useState<{ list: string; way: string[] }>({ list, way: [] });
  const way = kept.list === list ? kept.way : [];
  return {
    number: way.length + 1,
    cursor: way.at(-1) ?? null,
    go: (next) => keep({ list, way: [...way, next] }),
    back: () => keep({ list, way: way.slice(0, -1) }),
  };
}

/** A value that follows another once that has stayed for a while, in milliseconds. */
export function useSettled<T>(value: T, milliseconds: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

/** What the environment's own clock shows; null where it reads the real one. */
export function useShownClock(): string | null {
  const [shown, setShown] = useState(shownClock);
  useLayoutEffect(() => watchClock(() => setShown(shownClock())), []);
  return shown;
}

/** Now, in milliseconds: as the environment knows it or, with `real`, by the server's clock. */
export function useNow(real = false): number {
  const shown = useShownClock();
  return real || shown === null ? serverNow() : Date.parse(shown);
}
