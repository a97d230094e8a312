// Why each rule did or didn't count an event.
import type { Applied, Rehearsal } from "../answers";
import { counted, number, spaced } from "../format";
import { Effects } from "./effects";
import { Bar, Chip } from "./ui";

const WORDS: Record<string, [string, string]> = {
  matched: ["Counts", "good"],
  condition_false: ["Condition false", ""],
  expression_error: ["Expression failed", "bad"],
  outside_window: ["Outside its window", ""],
  not_enrolled: ["Not enrolled", ""],
  prerequisite_open: ["Prerequisite open", "warn"],
  already_complete: ["Already complete", ""],
  limit_reached: ["Limit reached", "warn"],
  cooling_down: ["Cooling down", "warn"],
  no_team: ["Of no team", ""],
};

function Row({ applied }: { applied: Applied }) {
  const [words, kind] = WORDS[applied.verdict] ?? [applied.verdict, ""];
  const [type, ...code] = applied.definition.split("/");
  const { value, target } = applied;
  const open = value !== null && target !== null && (value < target || applied.verdict === "matched");
  return (
    <li class="verdict">
      <div>
        <strong>{spaced(code.join("/"))}{applied.part && ` · ${spaced(applied.part)}`}</strong>
        <span class="soft">{type}</span>
      </div>
      <div>
        {value !== null && <span class="soft">{number(value)}{target !== null && ` of ${number(target)}`}</span>}
        <Chip kind={kind}>{words}</Chip>
      </div>
      {open && <Bar value={value} target={target} label={`${applied.definition}: progress`} done={value >= target} />}
      {applied.message && <p class="wrong">{applied.message}</p>}
    </li>
  );
}

/** What an event would cause, rule by rule. Those that count come first. */
export function Verdicts({ rehearsal }: { rehearsal: Rehearsal }) {
  const counting = rehearsal.definitions.filter((each) => each.verdict === "matched").length;
  const sorted = [...rehearsal.definitions].sort((one, other) => Number(other.verdict === "matched") - Number(one.verdict === "matched"));
  return (
    <div class="stack" role="status">
      {rehearsal.would_be === "duplicate" && <p class="notice warn">It would only repeat a fact that is there.</p>}
      {rehearsal.warnings.map((each) => <p class="notice warn" key={each.code + each.detail}>{each.detail}</p>)}
      <div><h3>Effects</h3><Effects effects={rehearsal.effects} /></div>
      <div>
        <div class="between"><h3>Rule by rule</h3>{sorted.length > 0 && <span class="soft">{number(counting)} of {counted(sorted.length, "rule")} count it</span>}</div>
        {sorted.length === 0
          ? <p class="soft nothing">No rule of the game listens to this event.</p>
          : <ul class="verdicts">{sorted.map((each) => <Row key={each.definition + (each.part ?? "")} applied={each} />)}</ul>}
      </div>
    </div>
  );
}
