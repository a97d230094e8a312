// What applying a game would change.
import type { Plan } from "../answers";
import { counted, number } from "../format";
import { Card } from "../parts/ui";

const KINDS = ["added", "changed", "removed"] as const;
const SIGNS = { added: "+", changed: "~", removed: "−" };

/** What is paid for stored facts, in words: `40 points and 1 badge`. */
const paid = (points: number, badges: number): string => [...(points ? [counted(points, "point")] : []), ...(badges ? [counted(badges, "badge")] : [])].join(" and ");

/** The same, line by line, for whoever is asked. */
export function changesOf({ forecast, participants_affected: affected, ...planned }: Plan): string[] {
  const lines = KINDS.flatMap((kind) => planned[kind].map((each) => `${SIGNS[kind]} ${each}, ${kind}`));
  if (lines.length === 0) lines.push("No definition changes");
  const payments = forecast?.payments ?? [];
  const [points, badges] = (["points", "badges"] as const).map((what) => payments.reduce((sum, each) => sum + each[what], 0)) as [number, number];
  if (forecast && payments.length > 0) lines.push(`${paid(points, badges)} awarded to ${counted(forecast.participants, "participant")} for stored facts${forecast.examined < forecast.total ? `, judging by ${number(forecast.examined)} of ${number(forecast.total)}` : ""}`);
  if (affected) lines.push(`${counted(affected, "participant")} recomputed`);
  return lines;
}

/** What would be awarded at once, for what happened before. */
function Forecast({ forecast }: { forecast: Plan["forecast"] }) {
  if (!forecast || forecast.payments.length === 0) return null;
  return (
    <div>
      <h3>Awards {counted(forecast.participants, "participant")} for stored facts</h3>
      <ul class="lines">
        {forecast.payments.map((each) => <li key={each.cause}><code>{each.cause}</code><span>{paid(each.points, each.badges)} <span class="soft">to {number(each.participants)}</span></span></li>)}
      </ul>
      {forecast.examined < forecast.total && <p class="soft">Judging by {number(forecast.examined)} of {counted(forecast.total, "participant")}.</p>}
    </div>
  );
}

interface Props {
  plan: Plan;
  busy: boolean;
  onApply: () => void;
}

export function PlanCard({ plan: planned, busy, onApply }: Props) {
  const nothing = KINDS.every((kind) => planned[kind].length === 0);
  return (
    <Card title="What would change">
      <div role="status"><ul class="diff">
        {KINDS.flatMap((kind) => planned[kind].map((each) => <li key={kind + each} class={kind}><span aria-hidden="true">{SIGNS[kind]}</span> <code>{each}</code> <span class="soft">{kind}</span></li>))}
        {nothing && <li class="soft">No definition changes.</li>}
      </ul></div>
      <p class="soft">{counted(planned.unchanged, "definition")} unchanged, {counted(planned.participants_affected, "participant")} affected{planned.recomputed.length > 0 && `; ${planned.recomputed.join(", ")} recomputed for everyone`}.</p>
      <Forecast forecast={planned.forecast} />
      {planned.warnings.map((each) => <p key={each} class="notice warn">{each.replace(/^\d+:\d+: warning: /, "")}</p>)}
      <p><button type="button" class={nothing ? "" : "primary"} aria-disabled={busy} onClick={onApply}>Apply</button></p>
    </Card>
  );
}
