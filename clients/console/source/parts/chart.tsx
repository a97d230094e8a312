// A chart over the last quarter of an hour: lines, a readout that follows the pointer and the arrow keys, and the same in words.
import { useId, useState } from "preact/hooks";
import { moment, number } from "../format";

export interface Line {
  name: string;
  /** One for each interval; null where there is none. */
  values: (number | null)[];
  kind: "first" | "second";
}

interface Props {
  title: string;
  unit: string;
  /** The end of each interval. */
  at: string[];
  lines: Line[];
}

const WIDTH = 320;
const HEIGHT = 96;

/** The next round number above. */
function roundUp(value: number): number {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((each) => each * size >= value) ?? 10) * size;
}

export function Chart({ title, unit, at, lines }: Props) {
  const id = useId();
  const [picked, setPicked] = useState<number | null>(null);
  const most = roundUp(Math.max(0, ...lines.flatMap((each) => each.values.map((value) => value ?? 0))));
  const last = at.length - 1;
  const x = (place: number) => (last > 0 ? (place / last) * WIDTH : WIDTH);
  const y = (value: number) => HEIGHT - (value / most) * (HEIGHT - 6);
  const shown = picked === null ? last : Math.min(picked, last);
  const words = (value: number | null | undefined): string => (value === null || value === undefined ? "–" : `${number(value)}${unit && ` ${unit}`}`);
  const pick = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    setPicked(Math.max(0, Math.min(last, Math.round(((event.clientX - box.left) / box.width) * last))));
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
      <p class="readout" id={`${id}-now`}>
        {lines.map((each) => <span key={each.name} class={each.kind}><strong>{words(each.values[shown])}</strong> <span class="soft">{each.name}</span></span>)}
      </p>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" tabIndex={0} aria-labelledby={`${id} ${id}-now`} onPointerMove={pick} onPointerLeave={() => setPicked(null)} onBlur={() => setPicked(null)} onKeyDown={step}>
        <line class="grid" x1="0" x2={WIDTH} y1={y(most)} y2={y(most)} />
        <line class="grid" x1="0" x2={WIDTH} y1={y(most / 2)} y2={y(most / 2)} />
        <line class="grid base" x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
        {lines.map((each) => <path key={each.name} class={each.kind} d={pathOf(each.values, x, y)} />)}
        {picked !== null && <line class="picked" x1={x(shown)} x2={x(shown)} y1="0" y2={HEIGHT} />}
      </svg>
      <p class="scale soft" aria-hidden="true"><span>{at[0] ? moment(at[0]).slice(11, 16) : ""}</span><span>{lines.some((each) => each.values.some((value) => value !== null)) ? `top ${words(most)}` : "none in 15 minutes"}</span><span>{at[last] ? moment(at[last]!).slice(11, 16) : ""}</span></p>
    </figure>
  );
}

/** A line that is broken where there is no value. */
function pathOf(values: (number | null)[], x: (place: number) => number, y: (value: number) => number): string {
  let pen = "M";
  return values.map((value, place) => {
    if (value === null) {
      pen = "M";
      return "";
    }
    const drawn = `${pen}${x(place).toFixed(1)} ${y(value).toFixed(1)}`;
    // A value between two gaps would be a line of no length.
    const alone = pen === "M" && (values[place + 1] ?? null) === null ? "h0.01" : "";
    pen = "L";
    return drawn + alone;
  }).join("");
}
