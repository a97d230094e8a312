// Periods as squares: days in columns of a week each, Monday on top, or longer and shorter periods in one row.

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
  /** In a column: 7 days, or 1 of any other period. */
  rows: 1 | 7;
  label: string;
}

export function PeriodGrid({ cells, rows, label }: Props) {
  const columns = Math.ceil(cells.length / rows);
  const tops = cells.filter((_, place) => place % rows === 0);
  return (
    <svg class={`calendar ${rows === 1 ? "row-of" : ""}`} viewBox={`0 ${-ABOVE} ${Math.max(columns, 16) * STEP} ${rows * STEP + ABOVE}`} role="img" aria-label={label}>
      {tops.map(({ at }, column) => {
        const month = new Date(at).getUTCMonth();
        const before = tops[column - 1];
        return before && new Date(before.at).getUTCMonth() !== month && <text key={at} x={column * STEP} y="-4">{MONTHS[month]}</text>;
      })}
      {cells.map(({ at, kind, words }, place) => (
        <rect key={at} x={Math.floor(place / rows) * STEP} y={(place % rows) * STEP} width="12" height="12" rx="2.5" class={kind}><title>{`${dateOf(at)}: ${words}`}</title></rect>
      ))}
    </svg>
  );
}
