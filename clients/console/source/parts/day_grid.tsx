// Days as squares, a column for each week, Monday on top.

export interface Day {
  /** Its start, in milliseconds since the epoch. */
  at: number;
  level: 0 | 1 | 2 | 3;
  /** What there is to say of it. */
  words: string;
}

export const DAY = 86_400_000; // milliseconds
const STEP = 15;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Which day of the week it is, Monday 0. */
export const weekdayOf = (at: number): number => (new Date(at).getUTCDay() + 6) % 7;

export const dateOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** `days` are in order, without gaps, and begin with a Monday. */
export function DayGrid({ days, label }: { days: Day[]; label: string }) {
  const weeks = Math.ceil(days.length / 7);
  const first = days.filter((_, place) => place % 7 === 0);
  return (
    <svg class="calendar" viewBox={`0 -14 ${weeks * STEP} ${7 * STEP + 14}`} role="img" aria-label={label}>
      {first.map(({ at }, week) => {
        const month = new Date(at).getUTCMonth();
        const before = first[week - 1];
        return before && new Date(before.at).getUTCMonth() !== month && <text key={at} x={week * STEP} y="-4">{MONTHS[month]}</text>;
      })}
      {days.map(({ at, level, words }, place) => (
        <rect key={at} x={Math.floor(place / 7) * STEP} y={(place % 7) * STEP} width="12" height="12" rx="2.5" class={`level${level}`}><title>{`${dateOf(at)}: ${words}`}</title></rect>
      ))}
    </svg>
  );
}
