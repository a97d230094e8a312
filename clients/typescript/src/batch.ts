import type { BatchResult, Rejection } from "./answers.js";
import { Refused, Unsent } from "./errors.js";
import { encode, type Event } from "./events.js";
import { isTemporary } from "./retries.js";

export interface BatchOptions {
  /** Events in one request; 100. */
  size?: number;
  /** Longest that an event waits for others, in milliseconds; 1,000. */
  wait?: number;
  /** Events held before adding one more waits; 10,000. */
  capacity?: number;
  /** Called with an event that the server will never accept, and the reason; by default it warns on the console. */
  onRejected?: (event: Event, rejection: Rejection) => void;
}

interface Held {
  event: Event;
  encoded: string;
}

/** Between two rounds of tries, in milliseconds, if the server doesn't say how long to wait. */
const PAUSE = 5_000;

/** A timer set for longer fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Events are sent together, once there are `size` of them, or the first has waited long enough.
 *
 * While the server can't be reached they are kept and retried, and `add` waits when there are `capacity` of them.
 * If they can't be sent for another reason, such as a revoked key, the next call rejects with `Unsent`, which holds them.
 * A program that ends because nothing is left to do sends what is left first; before `process.exit`, or at the end of
 * a request at the edge (`waitUntil`), call `close`.
 */
export class Batch {
  readonly #send: (events: string[]) => Promise<BatchResult>;
  readonly #size: number;
  readonly #wait: number;
  readonly #capacity: number;
  readonly #onRejected: (event: Event, rejection: Rejection) => void;
  readonly #held: Held[] = [];
  /** Events in one request, once the server has found `size` of them too many. */
  #most: number;
  #due = 0;
  #added = 0;
  #done = 0;
  #wanted = 0;
  #closing = false;
  #abandoned = false;
  #failure: unknown;
  #sending = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endPause: (() => void) | undefined;
  #waiting: (() => void)[] = [];

  /** Made by `Client.batch`. */
  constructor(send: (events: string[]) => Promise<BatchResult>, options: BatchOptions) {
    this.#send = send;
    this.#size = this.#most = options.size ?? 100;
    this.#wait = options.wait ?? 1_000;
    this.#capacity = options.capacity ?? 10_000;
    this.#onRejected = options.onRejected ?? warn;
    if (this.#size < 1 || this.#capacity < this.#size) throw new RangeError("size must be 1 to capacity");
  }

  /** Add an event. Rejects with `Unsent` if earlier ones can't be sent, and has then not added this one. */
  async add(event: Event): Promise<void> {
    const held = { event, encoded: encode(event) };
    await this.#until(() => this.#held.length < this.#capacity || this.#closing || this.#failure !== undefined);
    this.#check();
    if (this.#held.length === 0) this.#due = Date.now() + this.#wait;
    this.#held.push(held);
    this.#added++;
    this.#schedule();
  }

  /** Send everything, and wait until it is accepted or rejected. */
  async flush(): Promise<void> {
    this.#check();
    await this.#sendAll();
  }

  /** Send everything and accept no more; try for so many milliseconds. Rejects with `Unsent`. */
  async close(timeout = 30_000): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const timer = setTimeout(() => {
      this.#abandoned = true;
      this.#endPause?.();
      this.#changed();
    }, timeout);
    try {
      await this.#sendAll();
    } finally {
      clearTimeout(timer);
    }
  }

  async #sendAll(): Promise<void> {
    const wanted = (this.#wanted = this.#added);
    this.#schedule();
    await this.#until(() => this.#done >= wanted || this.#failure !== undefined || this.#abandoned);
    if (this.#done < wanted) throw this.#unsent();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#unsent();
    if (this.#closing) throw new Error("the batch is closed");
  }

  #unsent(): Unsent {
    return new Unsent(this.#held.map(({ event }) => event), this.#failure);
  }

  /** Send now, or when it is time. A timer keeps the program alive until then. */
  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#sending || this.#abandoned || this.#failure !== undefined || this.#held.length === 0) return;
    const now = this.#closing || this.#held.length >= this.#size || this.#done < this.#wanted;
    const wait = now ? 0 : this.#due - Date.now();
    if (wait <= 0) void this.#sendNext();
    else this.#timer = setTimeout(() => this.#schedule(), wait);
  }

  async #sendNext(): Promise<void> {
    this.#sending = true;
    const events = this.#held.slice(0, this.#most);
    try {
      const result = await this.#send(events.map(({ encoded }) => encoded));
      this.#settle(events, result.errors ?? []);
    } catch (error) {
      await this.#fail(events, error);
    }
    this.#sending = false;
    this.#changed();
    this.#schedule();
  }

  #settle(events: Held[], rejections: Rejection[]): void {
    for (const rejection of rejections) {
      const held = events[rejection.index];
      try {
        if (held) this.#onRejected(held.event, rejection);
      } catch (error) {
        console.error("onRejected failed", error);
      }
    }
    this.#held.splice(0, events.length);
    this.#done += events.length;
    this.#due = Date.now() + this.#wait;
  }

  /** Keep the events, unless it is a single one that the server will never accept. */
  async #fail(events: Held[], error: unknown): Promise<void> {
    if (isTemporary(error)) {
      await this.#pause((error instanceof Refused ? error.retryAfter : undefined) ?? PAUSE);
    } else if (error instanceof Refused && (error.status === 413 || error.status === 422)) {
      if (events.length > 1) {
        this.#most = events.length >> 1;
      } else {
        this.#settle(events, [{ index: 0, field: "", code: error.code, detail: error.detail }]);
        this.#most = this.#size;
      }
    } else {
      this.#failure = error;
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(milliseconds, LONGEST_TIMER));
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(() => (condition() ? resolve() : void this.#until(condition).then(resolve)));
    });
  }

  #changed(): void {
    for (const look of this.#waiting.splice(0)) look();
  }
}

function warn(event: Event, rejection: Rejection): void {
  console.warn("bq-client: an event was rejected", event, rejection);
}
