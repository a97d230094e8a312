/** Something that a participant did. */
export interface Event {
  event_name: string;
  participant_id: string;
  properties?: Record<string, unknown>;
  /** When it happened; by default, when the server accepts it. */
  timestamp?: Date | string;
  /** Generated if left out, so that a repeated request stays one fact. */
  idempotency_key?: string;
  /** The idempotency key of an event of the same participant, which counts as if it had never been. */
  voids?: string;
}

/** An event as JSON, as it was when it was passed in. */
export function encode(event: Event): string {
  return JSON.stringify({ ...event, idempotency_key: event.idempotency_key ?? randomKey() });
}

/** 128 random bits in hex. Node 18 has no global `crypto` by default; a key needs to be unique there, not secret. */
function randomKey(): string {
  const bytes = new Uint8Array(16);
  if (globalThis.crypto) crypto.getRandomValues(bytes);
  else bytes.forEach((_, index) => (bytes[index] = Math.random() * 256));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
