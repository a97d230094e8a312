import { get, participantPath } from "../api";
import type { Fact } from "../answers";
import { counted } from "../format";
import { useLoad, useNow } from "../hooks";
import { type Cell, DAY, dateOf, PeriodGrid, weekdayOf } from "./period_grid";
import { Card, Trouble } from "./ui";

const WEEKS = 16;
const MOST_FACTS = 1000;

/** The days of the last weeks, and how many events each had, of whatever kind. */
export function ActiveDays({ id }: { id: string }) {
  const now = useNow();
  const newest = useLoad(() => get<{ events: { occurred_at: string }[] }>(participantPath(id, "/events"), { page_size: 1 }), [id]);
  const latest = newest.value?.events[0] ? Date.parse(newest.value.events[0].occurred_at) : now;
  // Where nothing was for long, the weeks up to the last that was.
  const today = Math.floor((now - latest > 7 * WEEKS * DAY ? latest : now) / DAY) * DAY;
  const first = today - (weekdayOf(today) + 7 * (WEEKS - 1)) * DAY;
  const facts = useLoad(() => get<{ facts: Fact[]; next_cursor: string | null }>("/api/v1/facts", { participant_id: id, since: new Date(first).toISOString(), until: new Date(today + DAY).toISOString(), limit: MOST_FACTS }), [id, first]);
  const counts = new Map<number, number>();
  for (const each of facts.value?.facts ?? []) {
    const day = Math.floor(Date.parse(each.occurred_at) / DAY) * DAY;
    counts.set(day, (counts.get(day) ?? 0) + 1);
  }
  const most = Math.max(1, ...counts.values());
  const days = Array.from({ length: Math.round((today - first) / DAY) + 1 }, (_, place): Cell => {
    const at = first + place * DAY;
    const count = counts.get(at) ?? 0;
    return { at, kind: `level${Math.ceil((count / most) * 3)}`, words: counted(count, "event") };
  });
  const until = dateOf(today);
  return (
    <Card title="Active days" aside={<span class="soft">{facts.value?.next_cursor ? `of the newest ${MOST_FACTS} events` : `up to ${until}`}</span>}>
      <Trouble error={facts.error} />
      <PeriodGrid cells={days} byWeek label={`${counted(counts.size, "day")} with events in the ${WEEKS} weeks up to ${until}`} />
      <p class="soft">Events of every kind, by days in UTC.</p>
    </Card>
  );
}
