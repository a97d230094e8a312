import { Refused, Unreachable } from "./errors.js";

/** How often and after how long a request is retried after 429, 503 or no answer. */
export interface Retries {
  /** Tries after the first; 5. */
  most: number;
  /** Milliseconds; 100. Doubled with every further try, and varied so that clients don't all come back at once. */
  firstWait: number;
  /** Milliseconds; 30,000. If the server asks for a longer wait than this, the request isn't retried. */
  longestWait: number;
}

export const RETRIES: Retries = { most: 5, firstWait: 100, longestWait: 30_000 };

/** Milliseconds to wait after the failure of so many tries; undefined to give up. */
export function waitAfter(tries: number, error: unknown, retries: Retries): number | undefined {
  if (tries > retries.most || !isTemporary(error)) return undefined;
  const backoff = Math.min(retries.longestWait, retries.firstWait * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
  const asked = error instanceof Refused ? error.retryAfter : undefined;
  if (asked === undefined) return backoff;
  return asked <= retries.longestWait ? asked + backoff : undefined;
}

/** Whether the same request may succeed later. */
export function isTemporary(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Refused && (error.status === 429 || error.status === 503));
}

/** The milliseconds that `Retry-After` asks for, in seconds or as a date; undefined without a valid one. */
export function retryAfter(header: string | null): number | undefined {
  if (header === null || header.trim() === "") return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const moment = Date.parse(header);
  return Number.isNaN(moment) ? undefined : Math.max(0, moment - Date.now());
}

export const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
