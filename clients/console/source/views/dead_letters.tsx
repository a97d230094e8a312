// Accepted events that can't be processed: why, and what is to become of them.
import { useState } from "preact/hooks";
import { change, get, part } from "../api";
import type { DeadLetter } from "../answers";
import { askFor } from "../consent";
import { compact } from "../format";
import { useAction, useLoad, usePages } from "../hooks";
import { Empty, Good, Loading, Pager, Raw, Trouble, When } from "../parts/ui";

const DEAD = "/api/v1/admin/dead-letters";

export function DeadLetters() {
  const pages = usePages([]);
  const { cursor } = pages;
  const letters = useLoad(() => get<{ dead_letters: DeadLetter[]; next_before: string | null }>(DEAD, { before: cursor }), [cursor], 10);
  const [done, setDone] = useState("");
  const action = useAction();
  const retry = (letter: DeadLetter) => void action.run(async () => {
    const consent = await askFor({ title: `Retry ${letter.event_name}`, changes: [`${letter.event_name} of ${letter.participant_id} goes into the stream once more`], verb: "Retry" });
    if (!consent) return;
    await change(consent, "POST", `${DEAD}/${part(letter.message_id)}/retry`);
    setDone(`${letter.event_name} of ${letter.participant_id} is in the queue again.`);
    letters.reload();
  });
  const drop = (letter: DeadLetter) => void action.run(async () => {
    const consent = await askFor({ title: `Drop ${letter.event_name}`, changes: [`The accepted event ${letter.event_name} of ${letter.participant_id} is removed for good, and never becomes a fact`], verb: "Drop", final: true });
    if (!consent) return;
    await change(consent, "DELETE", `${DEAD}/${part(letter.message_id)}`);
    setDone(`${letter.event_name} of ${letter.participant_id} was dropped.`);
    letters.reload();
  });
  return (
    <>
      {done && <Good>{done}</Good>}
      <Trouble error={action.error ?? letters.error} />
      {!letters.value ? (!letters.error && <Loading />) : letters.value.dead_letters.length === 0 ? <Empty>No dead letters: every accepted event could be processed.</Empty> : (
        <ol class="timeline">
          {letters.value.dead_letters.map((each) => (
            <li key={each.message_id} class="trouble">
              <div class="between"><h2 class="event"><bdi>{each.event_name}</bdi> <span class="soft">by</span> <bdi>{each.participant_id}</bdi></h2><span class="soft"><When at={each.died_at} only="relative" real /></span></div>
              <p class="wrong">{each.reason}</p>
              {Object.keys(each.properties).length > 0 && <p class="properties mono"><bdi>{compact(each.properties)}</bdi></p>}
              <p class="row"><button type="button" class="small" aria-disabled={action.busy} onClick={() => retry(each)}>Retry</button><button type="button" class="small danger" aria-disabled={action.busy} onClick={() => drop(each)}>Drop…</button></p>
              <Raw value={each} />
            </li>
          ))}
        </ol>
      )}
      {letters.value && <Pager pages={pages} next={letters.value.next_before} />}
    </>
  );
}
