import { get, participantPath, part } from "../api";
import type { Streak, StreakCalendar } from "../answers";
import { counted } from "../format";
import { useLoad, useNow } from "../hooks";
import { type Cell, DAY, dateOf, PeriodGrid, weekdayOf } from "./period_grid";
import { Trouble } from "./ui";

const WEEKS = 16;

const WORDS: Record<StreakCalendar["periods"][number]["status"], string> = {
  recorded: "recorded",
  open: "not yet recorded",
  forgiven: "missed, forgiven",
  frozen: "missed, covered by a freeze",
  missed: "missed",
  rest: "day of rest",
  none: "before the first",
  upcoming: "to come",
};

/** Where a streak held and where it broke, period by period. */
export function StreakPeriods({ id, streak }: { id: string; streak: Streak }) {
  const now = useNow();
  const daily = streak.period === "daily";
  const last = streak.last_recorded_at === null ? now : Date.parse(streak.last_recorded_at);
  // Where nothing was for long, the weeks up to the last that was.
  const today = Math.floor((now - last > 7 * WEEKS * DAY ? last : now) / DAY) * DAY;
  const start = today - (weekdayOf(today) + 7 * (WEEKS - 1)) * DAY;
  const between = daily ? { start: dateOf(start), end: dateOf(today) } : {};
  const found = useLoad(() => get<StreakCalendar>(participantPath(id, `/streaks/${part(streak.code)}/calendar`), between), [id, streak.code, start, streak.current_count]);
  if (!found.value) return <Trouble error={found.error} />;
  const { periods, timezone, required } = found.value;
  const cells = periods.map(({ date, starts_at, status, times }): Cell => ({
    at: Date.parse(daily ? date : starts_at),
    kind: status,
    words: `${WORDS[status]}${required > 1 ? `, ${times} of ${counted(required, "event")}` : ""}`,
  }));
  const held = periods.filter((each) => each.status === "recorded").length;
  const label = `${streak.name ?? streak.code}: ${held} of ${counted(periods.length, "period")} recorded, ${found.value.start} to ${found.value.end}, ${timezone}`;
  return (
    <>
      <PeriodGrid cells={cells} byWeek={daily} label={label} />
      <p class="legend soft">{(["recorded", "frozen", "forgiven", "missed"] as const).filter((each) => periods.some((its) => its.status === each)).map((each) => <span key={each} class={each}>{WORDS[each]}</span>)}{!daily && ` ${found.value.start} to ${found.value.end}`}</p>
    </>
  );
}
