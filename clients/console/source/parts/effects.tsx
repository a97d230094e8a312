// What a fact caused, in words.
import type { Effect } from "../answers";
import { number, percent, spaced } from "../format";

interface Told {
  kind: "gain" | "loss" | "award" | "progress";
  text: string;
}

const text = (value: unknown): string => (typeof value === "string" ? value : String(value));
const count = (value: unknown): string => number(Number(value));

/** An effect as a line for a person. */
export function told(effect: Effect): Told {
  switch (effect.type) {
    case "points": {
      const amount = Number(effect.amount);
      return { kind: amount < 0 ? "loss" : "gain", text: `${amount < 0 ? "−" : "+"}${number(Math.abs(amount))} points` };
    }
    case "badge":
      return { kind: "award", text: `Badge ${text(effect.name)}` };
    case "tier":
      return { kind: "award", text: `Tier ${text(effect.name)}` };
    case "milestone": {
      const at = Number(effect.at);
      return { kind: "award", text: `Milestone ${effect.of === "challenge" ? percent(at) : count(at)} of ${spaced(text(effect.code))}` };
    }
    case "objective":
      return { kind: "progress", text: `${spaced(text(effect.challenge))} · ${spaced(text(effect.objective))}: ${count(effect.value)} of ${count(effect.target)}` };
    case "challenge":
      return effect.completed
        ? { kind: "award", text: `Challenge ${spaced(text(effect.challenge))} completed` }
        : { kind: "progress", text: `${spaced(text(effect.challenge))}: ${percent(Number(effect.progress))}` };
    case "streak":
      return { kind: "progress", text: `Streak ${spaced(text(effect.code))}: ${count(effect.current)}` };
    case "enrolment":
      return { kind: "progress", text: `Enrolled in ${spaced(text(effect.challenge))}` };
    default:
      return { kind: "progress", text: text(effect.type) };
  }
}

const ORDER = ["gain", "loss", "award", "progress"];

/** The effects of a fact; what is won comes first. */
export function Effects({ effects }: { effects: Effect[] }) {
  if (effects.length === 0) return <p class="soft nothing">No effects</p>;
  const boards = [...new Set(effects.filter((each) => each.type === "leaderboard").map((each) => spaced(text(each.code))))];
  const lines = effects.filter((each) => each.type !== "leaderboard").map(told).sort((one, other) => ORDER.indexOf(one.kind) - ORDER.indexOf(other.kind));
  return (
    <ul class="effects" aria-label="Effects">
      {lines.map((each, place) => <li key={place} class={each.kind}>{each.text}</li>)}
      {boards.length > 0 && <li class="progress">{boards.length === 1 ? "Leaderboard" : "Leaderboards"} {boards.join(", ")}</li>}
    </ul>
  );
}
