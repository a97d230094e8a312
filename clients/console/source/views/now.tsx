// What comes in now and what it causes, and how the server bears it.
import { base, get } from "../api";
import type { Activity } from "../answers";
import { may, type ViewProps } from "../app";
import { counted, number } from "../format";
import { useLoad } from "../hooks";
import { Chart } from "../parts/chart";
import { Chip, Figure, Heading, Trouble } from "../parts/ui";
import { link } from "../route";
import { Feed } from "./feed";

const EVERY_SECONDS = 5;

export function NowView({ session }: ViewProps) {
  return (
    <>
      <Heading title="Now" />
      {may(session, "metrics") && <Server admin={may(session, "admin")} />}
      <Feed canSend={session.environment === "test" && may(session, "ingest")} />
    </>
  );
}

interface Ready { checks: Record<string, string>; warnings: Record<string, string>; durability: string }

/** `/readyz`, whatever it answers. */
async function readiness(signal: AbortSignal): Promise<{ ready: Ready | null; wrong: string[] }> {
  const response = await fetch(`${base}/readyz`, { signal });
  const body = await response.json();
  return response.ok ? { ready: body, wrong: Object.values(body.warnings as Record<string, string>) } : { ready: null, wrong: (body.errors ?? []).map((each: { field: string; detail: string }) => `${each.field}: ${each.detail}`) };
}

function Server({ admin }: { admin: boolean }) {
  const activity = useLoad((signal) => get<Activity>("/api/v1/admin/activity", {}, signal), [], EVERY_SECONDS);
  const ready = useLoad(readiness, [], EVERY_SECONDS);
  const found = activity.value;
  if (!found) return <Trouble error={activity.error} />;
  const { intervals } = found;
  const at = intervals.map((each) => each.at);
  const rate = (count: number, place: number): number => count / seconds(intervals, place, found.interval_seconds);
  const refused = intervals.map((each) => Object.values(each.refused).reduce((sum, count) => sum + count, 0));
  const codes: Record<string, number> = {};
  for (const each of intervals) for (const [code, count] of Object.entries(each.refused)) codes[code] = (codes[code] ?? 0) + count;
  const sorted = Object.entries(codes).sort((one, other) => other[1] - one[1]);
  return (
    <>
      <Trouble error={activity.error} />
      {ready.value?.wrong.map((each) => <p key={each} class={`notice ${ready.value?.ready ? "warn" : "bad"}`} role="status">{each}</p>)}
      <div class="figures">
        <Figure label="Server" value={ready.value ? (ready.value.ready ? "Ready" : "Not ready") : "…"} note={`${counted(sum(intervals.map((each) => each.facts)), "fact")} in 15 minutes`} />
        <Figure label="Queue" value={found.waiting ?? "Unknown"} note={found.oldest_seconds ? `oldest ${number(found.oldest_seconds)} s` : "nothing waits"} />
        <Figure label="Dead letters" value={found.dead_letters ?? "Unknown"} note={found.dead_letters ? (admin ? <a href={link("operation", "dead-letters")}>See why</a> : "given up") : "none given up"} />
        <Figure label="Refused" value={sum(refused)} note={sorted[0] ? `mostly ${sorted[0][0]}` : "in 15 minutes"} />
      </div>
      <div class="charts">
        <Chart title="Events and facts a second" unit="" at={at} lines={[
          { name: "accepted", kind: "first", values: intervals.map((each, place) => rate(each.accepted, place)) },
          { name: "facts", kind: "second", values: intervals.map((each, place) => rate(each.facts, place)) },
        ]} />
        <Chart title="Answered within (p99)" unit="ms" at={at} lines={[{ name: "to accept an event", kind: "first", values: intervals.map((each) => each.accept_p99_ms) }]} />
        <Chart title="Accepted to fact" unit="ms" at={at} lines={[
          { name: "p50", kind: "second", values: intervals.map((each) => each.lag_p50_ms) },
          { name: "p99", kind: "first", values: intervals.map((each) => each.lag_p99_ms) },
        ]} />
        <Chart title="Waiting" unit="" at={at} lines={[{ name: "messages in the queue", kind: "first", values: intervals.map((each) => each.waiting) }]} />
      </div>
      {sorted.length > 0 && <p class="refused soft">Refused: {sorted.map(([code, count]) => <Chip key={code}>{code} {number(count)}</Chip>)}</p>}
    </>
  );
}

const sum = (counts: number[]): number => counts.reduce((all, each) => all + each, 0);

/** How long an interval was: the last one is under way. */
function seconds(intervals: Activity["intervals"], place: number, usual: number): number {
  const before = intervals[place - 1];
  return before ? Math.max(1, (Date.parse(intervals[place]!.at) - Date.parse(before.at)) / 1000) : usual;
}
