import type { Accepted, BatchResult, Fact, FactPage, Message, Rehearsal, State } from "./answers.js";
import { Batch, type BatchOptions } from "./batch.js";
import { BqError, Refused, Unreachable } from "./errors.js";
import { encode, type Event } from "./events.js";
import { RETRIES, type Retries, retryAfter, sleep, waitAfter } from "./retries.js";

export interface ClientOptions {
  retries?: Partial<Retries>;
  /** Milliseconds for one try; 40,000, longer than the server takes for any answer. */
  timeout?: number;
  /** Instead of the runtime's own `fetch`. */
  fetch?: typeof fetch;
}

type Query = Record<string, string | number>;

/** Requests with one API key. Every method rejects with a `BqError` if all tries failed. */
export class Client {
  readonly #base: string;
  readonly #key: string;
  readonly #retries: Retries;
  readonly #timeout: number;
  readonly #fetch: typeof fetch;

  /** `url` is the server's, without a path. */
  constructor(url: string, key: string, options: ClientOptions = {}) {
    this.#base = `${url.replace(/\/+$/, "")}/api/v1`;
    this.#key = key;
    this.#retries = { ...RETRIES, ...options.retries };
    this.#timeout = options.timeout ?? 40_000;
    // Some runtimes refuse a `fetch` that is called as a method of something else.
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
  }

  /** Queue an event. Waiting for its fact works in test environments only. */
  send(event: Event, options: { wait?: boolean } = {}): Promise<Accepted> {
    return this.#call("POST", "/ingest/events", encode(event), options.wait ? { wait: "fact" } : {});
  }

  /** Process an event at once: its fact, and what it caused. */
  sendSync(event: Event): Promise<Fact> {
    return this.#call("POST", "/ingest/events/sync", encode(event), { include: "effects" });
  }

  /** What an event would cause, and why. Nothing is written. */
  dryRun(event: Event): Promise<Rehearsal> {
    return this.#call("POST", "/ingest/events/sync", encode(event), { dry_run: "true" });
  }

  /** Queue several events in one request. Some may be rejected, even all: see `errors` of the result. */
  sendBatch(events: readonly Event[]): Promise<BatchResult> {
    return this.#sendEncoded(events.map(encode));
  }

  /** A batch that fills and sends itself; see `Batch`. */
  batch(options: BatchOptions = {}): Batch {
    return new Batch((events) => this.#sendEncoded(events), options);
  }

  /** The status of a queued event. */
  message(messageId: string): Promise<Message> {
    return this.#call("GET", `/ingest/messages/${segment(messageId)}`);
  }

  /** Everything that a participant's facts add up to. */
  state(participantId: string): Promise<State> {
    return this.#call("GET", `/gamify/participants/${segment(participantId)}/state`);
  }

  /** The facts that match the filters of `GET /facts`, newest first, across all pages. */
  async *facts(filters: Query = {}): AsyncGenerator<FactPage["facts"][number]> {
    let cursor: string | null = null;
    do {
      const page: FactPage = await this.#call("GET", "/facts", undefined, cursor === null ? filters : { ...filters, cursor });
      yield* page.facts;
      cursor = page.next_cursor;
    } while (cursor !== null);
  }

  #sendEncoded(events: readonly string[]): Promise<BatchResult> {
    return this.#call("POST", "/ingest/events/batch", `{"events":[${events.join(",")}]}`);
  }

  async #call<Answer>(method: string, path: string, body?: string, query: Query = {}): Promise<Answer> {
    const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
    const url = `${this.#base}${path}?${search}`;
    for (let tries = 1; ; tries++) {
      try {
        return (await this.#try(method, url, body)) as Answer;
      } catch (error) {
        const wait = waitAfter(tries, error, this.#retries);
        if (wait === undefined) throw error;
        await sleep(wait);
      }
    }
  }

  async #try(method: string, url: string, body: string | undefined): Promise<unknown> {
    const headers: Record<string, string> = { "X-API-Key": this.#key };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const signal = AbortSignal.timeout(this.#timeout);
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(url, { method, headers, signal, ...(body === undefined ? {} : { body }) });
      text = await response.text();
    } catch (cause) {
      throw new Unreachable(`no answer: ${cause}`, { cause });
    }
    return answerOf(response, text);
  }
}

/** The JSON of a success, or of a batch of which nothing was accepted: it is refused with the answer of a batch. */
function answerOf(response: Response, text: string): unknown {
  const found = parsed(text);
  if (found !== undefined && (response.ok || (response.status === 422 && "message_ids" in found))) return found;
  if (response.ok) throw new BqError(`${response.url} answered ${response.status} without JSON: is it a bq-server?`);
  throw new Refused(response.status, found ?? {}, retryAfter(response.headers.get("Retry-After")));
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null ? (found as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A name as a part of a path of its own. */
function segment(name: string): string {
  // `fetch` takes them for steps of the path, escaped or not.
  if (name === "." || name === "..") throw new RangeError(`${name} can't be a part of a URL's path`);
  return encodeURIComponent(name);
}
