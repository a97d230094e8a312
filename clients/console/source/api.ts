// Requests to the server. Whatever changes something needs a `Consent`, which only `consent.tsx` gives.
import type { Consent } from "./consent";
import type { Session } from "./answers";

/** Of the server: the page is at `<base>/console`. */
export const base = location.pathname.replace(/\/console\/?$/, "");

const KEPT = "bq-console-key";
let key = sessionStorage.getItem(KEPT);
/** The key that this tab acts as: another tab may exchange the cookie that they share. */
let actor = "1";
let clock: string | null = null;
/** By how many milliseconds the server's clock is before this machine's. */
let ahead = 0;
const watchers = new Set<() => void>();
let ended: () => void = () => {};

/** What happens once a request finds nobody signed in any more. */
export function whenEnded(then: () => void): void {
  ended = then;
}

/** A refusal of the server, or that it can't be reached. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly fields: { field: string; code: string; detail: string }[] = [],
    readonly requestId = "",
  ) {
    super(detail);
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

interface Sent {
  query?: Query;
  body?: unknown;
  /** Of a body that is sent as it is. */
  type?: string;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

/** A text as a part of a path of its own. Throws `Refusal` for what can't be one. */
export function part(text: string): string {
  // `fetch` takes them for steps of the path, escaped or not: another resource would be asked for, or changed.
  if (text === "." || text === "..") throw new Refusal(0, "no_part_of_a_path", `A browser can't ask for «${text}»: it takes that for a step of the path. The commands of bq-server can.`);
  return encodeURIComponent(text);
}

/** The path of what belongs to a participant. Throws `Refusal`. */
export const participantPath = (id: string, rest = ""): string => `/api/v1/gamify/participants/${part(id)}${rest}`;

/** Ask for a response of any kind. Throws `Refusal`. */
export async function request(method: string, path: string, sent: Sent = {}): Promise<Response> {
  const given = Object.entries(sent.query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  const headers: Record<string, string> = { "X-Console": actor, ...sent.headers };
  if (key !== null) headers["X-API-Key"] = key;
  const options: RequestInit = { method, headers, signal: sent.signal ?? null };
  if (sent.body !== undefined) {
    headers["Content-Type"] = sent.type ?? "application/json";
    options.body = sent.type === undefined ? JSON.stringify(sent.body) : (sent.body as BodyInit);
  }
  let response: Response;
  try {
    response = await fetch(`${base}${path}${query && `?${query}`}`, options);
  } catch (error) {
    if (sent.signal?.aborted) throw error;
    throw new Refusal(0, "unreachable", "The server can't be reached.");
  }
  show(response.headers.get("X-Sandbox-Clock"), path);
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(date)) ahead = date - Date.now();
  if (response.ok) return response;
  if (response.status === 401) ended();
  const problem = await response.json().catch(() => ({}));
  throw new Refusal(
    response.status,
    problem.code ?? "",
    problem.detail ?? `The server answered ${response.status}.`,
    problem.errors ?? [],
    problem.request_id ?? "",
  );
}

async function json<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
  return (await request(method, path, sent)).json();
}

/** Read. */
export const get = <T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> =>
  json("GET", path, signal ? { query, signal } : { query });

/** Read a file. */
export const download = async (path: string): Promise<Blob> => (await request("GET", path)).blob();

/** What an event would cause; nothing happens. */
export const rehearse = <T>(event: object): Promise<T> =>
  json("POST", "/api/v1/ingest/events/sync", { query: { dry_run: true }, body: event });

/** Every mistake in a game; nothing is looked at but the text. */
export const check = <T>(text: string): Promise<T> =>
  json("POST", "/api/v1/gamify/admin/game/check", { body: text, type: "application/yaml" });

/** What a game would change; nothing happens. */
export const plan = <T>(text: string, backfill: boolean): Promise<T> =>
  json("PUT", "/api/v1/gamify/admin/game", { query: { dry_run: true, backfill }, body: text, type: "application/yaml" });

/** Change something. */
export const change = <T>(_: Consent, method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, sent: Sent = {}): Promise<T> =>
  json(method, path, sent);

const SESSION = "/api/v1/console/session";

/** Who is signed in; null for nobody. */
export async function whoIsThere(): Promise<Session | null> {
  actor = "1";
  try {
    return actsAs(await get<Session>(SESSION));
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return null;
    throw error;
  }
}

/** Sign in with a key, which this tab keeps. */
export async function signIn(given: string): Promise<Session> {
  key = given;
  try {
    const session = actsAs(await get<Session>(SESSION));
    sessionStorage.setItem(KEPT, given);
    return session;
  } catch (error) {
    key = null;
    throw error;
  }
}

/** Sign in with what a one-time link holds. */
export async function openLink(link: string): Promise<Session> {
  forget();
  return actsAs(await json<Session>("POST", SESSION, { body: { link } }));
}

function actsAs(session: Session): Session {
  actor = session.key_id;
  return session;
}

export async function signOut(): Promise<void> {
  const asKey = key !== null;
  if (!asKey) await request("DELETE", SESSION);
  forget();
}

/** Forget the key of this tab. */
export function forget(): void {
  key = null;
  actor = "1";
  sessionStorage.removeItem(KEPT);
}

/** The clock of the environment where it has its own, as the last answer showed it; else null. */
export const shownClock = (): string | null => clock;

/** The server's own clock, in milliseconds, to about a second. */
export const serverNow = (): number => Date.now() + ahead;

export function watchClock(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function show(shown: string | null, path: string): void {
  if (!path.startsWith("/api/") || shown === clock) return;
  clock = shown;
  for (const each of watchers) each();
}
