import type { FactWithEffects } from "../answers";
import { compact } from "../format";
import { link } from "../route";
import { Effects } from "./effects";
import { When } from "./ui";

/** A fact, with what it caused. */
export function FactItem({ fact, who }: { fact: FactWithEffects; who?: boolean }) {
  return (
    <li>
      <div class="between">
        <h2 class="event"><bdi>{fact.event_name}</bdi>{who && <> <span class="soft">by</span> <a href={link("participants", fact.participant_id)}><bdi>{fact.participant_id}</bdi></a></>}</h2>
        <span class="soft"><When at={fact.occurred_at} /></span>
      </div>
      {Object.keys(fact.properties).length > 0 && <p class="properties mono"><bdi>{compact(fact.properties)}</bdi></p>}
      <Effects effects={fact.effects} />
      {fact.warnings.map((each) => <p key={each.code + each.detail} class="notice warn">{each.detail}</p>)}
    </li>
  );
}
