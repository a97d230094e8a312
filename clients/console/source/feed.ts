// The feed, read with `fetch` so that the key stays in a header: an EventSource could send none.
import { request } from "./api";
import type { FeedMessage } from "./answers";

const LEAST_WAIT = 500;
const MOST_WAIT = 15_000;

export type FeedState = "connecting" | "open" | "waiting";

export interface FeedFilter { participant_id?: string; event_name?: string }

/** Follow the feed until `stop` is aborted; after a break it goes on where it was. */
export async function follow(filter: FeedFilter, stop: AbortSignal, heard: (message: FeedMessage) => void, changed: (state: FeedState, error: Error | null) => void): Promise<void> {
  let last: string | null = null;
  let wait = LEAST_WAIT;
  while (!stop.aborted) {
    let error: Error | null = null;
    try {
      changed("connecting", null);
      const response = await request("GET", "/api/v1/feed", { query: { ...filter }, signal: stop, ...(last ? { headers: { "Last-Event-ID": last } } : {}) });
      changed("open", null);
      wait = LEAST_WAIT;
      for await (const { id, data } of events(response.body!)) {
        if (id) last = id;
        if (data) heard(JSON.parse(data));
      }
    } catch (caught) {
      if (stop.aborted) return;
      error = caught as Error;
    }
    if (stop.aborted) return;
    changed("waiting", error);
    await new Promise((resume) => setTimeout(resume, wait));
    wait = Math.min(MOST_WAIT, wait * 2);
  }
}

/** The events of a stream (WHATWG HTML, server-sent events), as far as this server uses them. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<{ id: string; data: string }> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const parts = text.split(/\r?\n\r?\n/);
      text = parts.pop()!;
      for (const part of parts) {
        const lines = part.split(/\r?\n/);
        const field = (name: string) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).replace(/^ /, "")).join("\n");
        yield { id: field("id"), data: field("data") };
      }
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}
