// What views share.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Refusal, shownClock, watchClock } from "./api";

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
    latest.current(stop.signal).then(
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
  useEffect(() => watchClock(() => setShown(shownClock())), []);
  return shown;
}

/** Now, as the environment knows it, in milliseconds. */
export function useNow(): number {
  const shown = useShownClock();
  return shown === null ? Date.now() : Date.parse(shown);
}

/** What a field is told by a refusal. */
export const fieldsOf = (error: Error | null): Refusal["fields"] => (error instanceof Refusal ? error.fields : []);
