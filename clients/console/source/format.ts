// Values in words.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

export const number = (value: number): string => NUMBER.format(value);

export const counted = (count: number, one: string, many = `${one}s`): string => `${number(count)} ${count === 1 ? one : many}`;

export const percent = (share: number): string => `${Math.round(share * 100)}%`;

/** `2026-04-02 09:00:00`, UTC, without the seconds where they are none. */
export function moment(iso: string): string {
  const text = iso.replace("T", " ").replace(/(\.\d+)?(Z|\+00:00)$/, "");
  return text.replace(/^(\d{4}-\d\d-\d\d \d\d:\d\d):00$/, "$1");
}

/** What a `datetime-local` field holds, which is meant in UTC here, as ISO 8601. */
export const fromLocal = (text: string): string => `${text.length === 16 ? `${text}:00` : text}Z`;

/** A text in which a name can't turn around or break what stands beside it: marks of direction and control characters show as `�`. */
export const legible = (text: string): string => text.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");

/** How long before or after another moment: `3 min ago`, `in 2 days`. */
export function relative(iso: string, now: number): string {
  const seconds = (Date.parse(iso) - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return "now";
  const [count, unit] = size < 90 ? [size, "s"] : size < 5400 ? [size / 60, "min"] : size < 129_600 ? [size / 3600, "h"] : [size / 86_400, "days"];
  const words = `${Math.round(count as number)} ${unit as string}`;
  return seconds < 0 ? `${words} ago` : `in ${words}`;
}

/** JSON on one line, as short as it can be read. */
export function compact(value: unknown, most = 160): string {
  const text = JSON.stringify(value).replace(/^\{|\}$/g, "").replace(/"([A-Za-z_]\w*)":/g, "$1: ").replace(/,(?=[\w"{[])/g, ", ");
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** `level_completed` as a person would write it. */
export const spaced = (code: string): string => code.replaceAll("_", " ");
