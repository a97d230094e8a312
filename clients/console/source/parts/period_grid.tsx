// Periods as squares: days in columns of a week each, Monday on top; longer and shorter periods line by line.

export interface Cell {
  /** Its start, in milliseconds since the epoch. */
  at: number;
  /** How it is drawn: a class of console.css. */
  kind: string;
  /** What there is to say of it. */
  words: string;
}

export const DAY = 86_400_000; // milliseconds
const STEP = 15;
const ABOVE = 14; // for the names of months
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Which day of the week it is, Monday 0. */
export const weekdayOf = (at: number): number => (new Date(at).getUTCDay() + 6) % 7;

export const dateOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

interface Props {
  /** In order, without gaps; days begin with a Monday. */
  cells: Cell[];
  /** Whether they are days. */
  byWeek: boolean;
  label: string;
}

const ACROSS = 18; // of a line

export function PeriodGrid({ cells, byWeek, label }: Props) {
  const columns = byWeek ? Math.ceil(cells.length / 7) : ACROSS;
  const rows = byWeek ? 7 : Math.ceil(cells.length / ACROSS);
  const above = byWeek ? ABOVE : 0;
  const tops = byWeek ? cells.filter((_, place) => place % 7 === 0) : [];
  const spot = (place: number): [number, number] => (byWeek ? [Math.floor(place / 7), place % 7] : [place % ACROSS, Math.floor(place / ACROSS)]);
  return (
    <svg class="calendar" viewBox={`0 ${-above} ${Math.max(columns, 16) * STEP} ${rows * STEP + above}`} role="img" aria-label={label}>
      {tops.map(({ at }, column) => {
        const month = new Date(at).getUTCMonth();
        const before = tops[column - 1];
        return before && new Date(before.at).getUTCMonth() !== month && <text key={at} x={column * STEP} y="-4">{MONTHS[month]}</text>;
      })}
      {cells.map(({ at, kind, words }, place) => (
        <rect key={at} x={spot(place)[0] * STEP} y={spot(place)[1] * STEP} width="12" height="12" rx="2.5" class={kind}><title>{`${dateOf(at)}: ${words}`}</title></rect>
      ))}
    </svg>
  );
}
