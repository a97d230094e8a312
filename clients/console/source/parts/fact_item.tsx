import type { FactWithEffects } from "../answers";
import { compact } from "../format";
import { link } from "../route";
import { Effects } from "./effects";
import { Raw, When } from "./ui";

interface Props {
  fact: FactWithEffects;
  /** Whether to name the participant. */
  who?: boolean;
  mayRehearse: boolean;
}

/** A fact, with what it caused. */
export function FactItem({ fact, who, mayRehearse }: Props) {
  const Head = who ? "h3" : "h2"; // in a card, which has a heading of its own
  return (
    <li>
      <div class="between">
        <Head class="event"><bdi>{fact.event_name}</bdi>{who && <> <span class="soft">by</span> <a href={link("participants", fact.participant_id)}><bdi>{fact.participant_id}</bdi></a></>}</Head>
        <span class="soft"><When at={fact.occurred_at} /></span>
      </div>
      {Object.keys(fact.properties).length > 0 && <p class="properties mono"><bdi>{compact(fact.properties)}</bdi></p>}
      {fact.warnings.map((each) => <p key={each.code + each.detail} class="notice warn">{each.detail}</p>)}
      <Raw beside={<Effects effects={fact.effects} />} value={fact} aside={mayRehearse && <a href={link("participants", fact.participant_id, "why", fact.fact_id)} aria-label={`Why? ${fact.event_name}`}>Why?</a>} />
    </li>
  );
}
