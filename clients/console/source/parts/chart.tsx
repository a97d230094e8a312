// A chart of the last quarter of an hour: lines, a readout that follows the pointer and the arrow keys, and the same in words.
import { useId, useState } from "preact/hooks";
import { moment, number } from "../format";

export interface Line {
  name: string;
  /** One for each interval; null where there is none. */
  values: (number | null)[];
  kind: "first" | "second" | "third" | "fourth";
}

interface Props {
  title: string;
  unit: string;
  /** The end of each interval, the oldest first. */
  at: string[];
  lines: Line[];
  /** Said in place of a readout where there are no lines. */
  empty?: string;
}

interface Point { x: number; y: number }

const WIDTH = 320;
const HEIGHT = 96;
const SPAN = 15 * 60_000; // milliseconds

/** The next round number above. */
function roundUp(value: number): number {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((each) => each * size >= value) ?? 10) * size;
}

export function Chart({ title, unit, at, lines, empty }: Props) {
  const id = useId();
  const [picked, setPicked] = useState<number | null>(null);
  const values = lines.flatMap((each) => each.values.filter((value) => value !== null));
  const most = roundUp(Math.max(0, ...values));
  const last = at.length - 1;
  const times = at.map((each) => Date.parse(each));
  const end = times[last] ?? 0;
  // A server that has just started has a short line at the right, and no long one that says little.
  const x = (place: number) => WIDTH * (1 - (end - times[place]!) / SPAN);
  const y = (value: number) => HEIGHT - (value / most) * (HEIGHT - 6);
  const shown = picked === null ? last : Math.min(picked, last);
  const words = (value: number | null | undefined): string => (value === null || value === undefined ? "–" : `${number(value)}${unit && (unit.startsWith("/") ? unit : ` ${unit}`)}`);
  const clock = (time: number): string => moment(new Date(time).toISOString()).slice(11, 16);
  const pick = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * WIDTH;
    const near = at.map((_, place) => Math.abs(x(place) - wanted));
    setPicked(near.indexOf(Math.min(...near)));
  };
  const step = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    setPicked(Math.max(0, Math.min(last, shown + by)));
  };
  return (
    <figure class="chart">
      <figcaption>
        <span id={id}>{title}</span>
        <span class="soft">{picked === null ? "now" : at[shown] && moment(at[shown]!).slice(11, 19)}</span>
      </figcaption>
      <p class="readout" id={`${id}-now`} aria-live={picked === null ? "off" : "polite"}>
        {lines.map((each) => <span key={each.name} class={each.kind}><strong>{words(each.values[shown])}</strong> <span class="soft">{each.name}</span></span>)}
        {lines.length === 0 && <span class="soft">{empty}</span>}
      </p>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" tabIndex={0} aria-labelledby={`${id} ${id}-now`} onPointerMove={pick} onPointerLeave={() => setPicked(null)} onBlur={() => setPicked(null)} onKeyDown={step}>
        <line class="grid" x1="0" x2={WIDTH} y1={y(most)} y2={y(most)} />
        <line class="grid" x1="0" x2={WIDTH} y1={y(most / 2)} y2={y(most / 2)} />
        <line class="grid base" x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
        {lines.map((each) => runs(each.values, x, y).map((run) => [
          each.kind === "first" && <path class="area" d={`${lineOf(run)}V${HEIGHT}H${run[0]!.x.toFixed(1)}Z`} />,
          <path class={each.kind} d={lineOf(run)} />,
        ]))}
        {picked !== null && at[shown] && <line class="picked" x1={x(shown)} x2={x(shown)} y1="0" y2={HEIGHT} />}
      </svg>
      <p class="scale soft" aria-hidden="true"><span>{end > 0 && clock(end - SPAN)}</span><span>{values.length > 0 ? `top ${words(most)}` : "no data"}</span><span>{end > 0 && clock(end)}</span></p>
    </figure>
  );
}

/** The stretches of a line between which there is no value. */
function runs(values: (number | null)[], x: (place: number) => number, y: (value: number) => number): Point[][] {
  const found: Point[][] = [];
  let open = false;
  values.forEach((value, place) => {
    if (value !== null && !open) found.push([]);
    open = value !== null;
    if (value !== null) found.at(-1)!.push({ x: x(place), y: y(value) });
  });
  return found;
}

/** One point alone is a line of next to no length, which its round ends make a dot. */
const lineOf = (run: Point[]): string => run.map((each, place) => `${place === 0 ? "M" : "L"}${each.x.toFixed(1)} ${each.y.toFixed(1)}`).join("") + (run.length === 1 ? "h0.01" : "");
