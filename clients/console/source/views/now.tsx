// What comes in now and what it causes, and how the server is doing.
import { base, get } from "../api";
import type { Activity } from "../answers";
import { may, type ViewProps } from "../app";
import { counted, number } from "../format";
import { useLoad } from "../hooks";
import { Chart, type Line } from "../parts/chart";
import { Figure, Heading, Trouble } from "../parts/ui";
import { link } from "../route";
import { Feed } from "./feed";

const EVERY_SECONDS = 5;
const SHOWN_BELOW = "dead_letters"; // by a figure of its own, with a link

export function NowView({ session }: ViewProps) {
  const figures = may(session, "metrics");
  return (
    <>
      <Heading title="Now" />
      <div class={figures ? "watch" : ""}>
        {figures && <Server admin={may(session, "admin")} />}
        <Feed canSend={session.environment === "test" && may(session, "ingest")} mayRehearse={may(session, "ingest")} admin={may(session, "admin")} />
      </div>
    </>
  );
}

interface Health {
  ready: boolean;
  /** What is wrong, or needs attention, by part. */
  wrong: Record<string, string>;
  parts: number;
}

/** `/readyz`, whatever it answers. */
async function readHealth(signal: AbortSignal): Promise<Health> {
  const response = await fetch(`${base}/readyz`, { signal });
  const body = await response.json();
  if (response.ok) return { ready: true, wrong: body.warnings, parts: Object.keys(body.checks).length };
  return { ready: false, wrong: Object.fromEntries((body.errors ?? []).map((each: { field: string; detail: string }) => [each.field, each.detail])), parts: 0 };
}

function Server({ admin }: { admin: boolean }) {
  const activity = useLoad((signal) => get<Activity>("/api/v1/admin/activity", {}, signal), [], EVERY_SECONDS);
  const health = useLoad(readHealth, [], EVERY_SECONDS);
  const found = activity.value;
  if (!found) return <Trouble error={activity.error} />;
  return (
    <>
      <div class="vitals">
        <Trouble error={activity.error} />
        {health.value && Object.entries(health.value.wrong).filter(([part]) => part !== SHOWN_BELOW).map(([part, words]) => <p key={part} class={`notice ${health.value!.ready ? "warn" : "bad"}`} role="status"><span><strong>{part.replaceAll("_", " ")}</strong>: {words}</span></p>)}
        <Vitals activity={found} health={health.value} admin={admin} />
      </div>
      <Charts activity={found} />
    </>
  );
}

/** The state of the consumer in a word, and why. */
function consumerOf(health: Health | null): [string, string | null] {
  if (health === null) return ["…", null];
  if (!("consumer" in health.wrong)) return ["Running", null];
  return health.ready ? ["Retrying", "some messages wait for another try"] : ["Stopped", "nothing becomes a fact"];
}

function Vitals({ activity, health, admin }: { activity: Activity; health: Health | null; admin: boolean }) {
  const facts = sum(activity.intervals.map((each) => each.facts));
  const [consumer, why] = consumerOf(health);
  const { waiting, oldest_seconds: oldest, dead_letters: dead } = activity;
  return (
    <div class="figures">
      <Figure label="Server" value={health === null ? "…" : health.ready ? "Ready" : "Not ready"} kind={health?.ready === false ? "loss" : ""} note={health?.ready ? `${health.parts} checks pass` : undefined} />
      <Figure label="Consumer" value={consumer} kind={why === null ? "" : "loss"} note={why ?? `${counted(facts, "fact")} in 15 min`} />
      <Figure label="Queue" value={waiting ?? "Unknown"} note={waiting ? `oldest ${number(oldest ?? 0)} s, full at ${number(activity.queue_limit)}` : waiting === 0 ? "nothing waits" : "the stream doesn't answer"} />
      <Figure label="Dead letters" value={dead ?? "Unknown"} kind={dead ? "loss" : ""} note={dead ? (admin ? <a href={link("operation", "dead-letters")}>See why</a> : "can't be processed") : dead === 0 ? "everything can be processed" : "the stream doesn't answer"} />
    </div>
  );
}

const KINDS = ["first", "second", "third", "fourth"] as const;

function Charts({ activity: { intervals, interval_seconds: usual } }: { activity: Activity }) {
  const at = intervals.map((each) => each.at);
  const rate = (count: number, place: number): number => count / seconds(intervals, place, usual);
  return (
    <div class="charts">
      <Chart title="Throughput" unit="/s" at={at} lines={[
        { name: "accepted", kind: "first", values: intervals.map((each, place) => rate(each.accepted, place)) },
        { name: "facts", kind: "second", values: intervals.map((each, place) => rate(each.facts, place)) },
      ]} />
      <Chart title="Time to accept" unit="ms" at={at} lines={[{ name: "p99", kind: "first", values: intervals.map((each) => each.accept_p99_ms) }]} />
      <Chart title="Lag to fact" unit="ms" at={at} lines={[
        { name: "p99", kind: "first", values: intervals.map((each) => each.lag_p99_ms) },
        { name: "p50", kind: "second", values: intervals.map((each) => each.lag_p50_ms) },
      ]} />
      <Chart title="Queue" unit="" at={at} lines={[{ name: "messages", kind: "first", values: intervals.map((each) => each.waiting) }]} />
      <Chart title={`Refused, per ${usual} s`} unit="" at={at} lines={refusals(intervals)} empty="none in 15 minutes" />
    </div>
  );
}

/** A line for each of the commonest codes, and one for the rest. */
function refusals(intervals: Activity["intervals"]): Line[] {
  const totals: Record<string, number> = {};
  for (const each of intervals) for (const [code, count] of Object.entries(each.refused)) totals[code] = (totals[code] ?? 0) + count;
  const codes = Object.keys(totals).sort((one, other) => totals[other]! - totals[one]!);
  const own = codes.length > KINDS.length ? codes.slice(0, KINDS.length - 1) : codes;
  const rest = codes.slice(own.length);
  const line = (name: string, which: string[], place: number): Line => ({
    name: `${name} (${number(sum(which.map((code) => totals[code]!)))} in all)`,
    kind: KINDS[place]!,
    values: intervals.map((each) => sum(which.map((code) => each.refused[code] ?? 0))),
  });
  return [...own.map((code, place) => line(code, [code], place)), ...(rest.length > 0 ? [line("others", rest, own.length)] : [])];
}

const sum = (counts: number[]): number => counts.reduce((all, each) => all + each, 0);

/** How long an interval was: the last one is under way. */
function seconds(intervals: Activity["intervals"], place: number, usual: number): number {
  const before = intervals[place - 1];
  return before ? Math.max(1, (Date.parse(intervals[place]!.at) - Date.parse(before.at)) / 1000) : usual;
}
