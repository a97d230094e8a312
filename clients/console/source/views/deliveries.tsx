// What an endpoint was sent, try by try.
import { useState } from "preact/hooks";
import { change, get, part } from "../api";
import type { Delivery, Endpoint } from "../answers";
import { askFor } from "../consent";
import { counted, fromLocal, number } from "../format";
import { useAction, useLoad, usePages } from "../hooks";
import { Card, Chip, Empty, Good, Loading, Pager, Trouble, When } from "../parts/ui";
import { link } from "../route";
import { ENDPOINTS } from "./webhooks";

const STATES = { waiting: ["Waiting", "warn"], delivered: ["Delivered", "good"], aside: ["Failed", "bad"] } as const;
const SHOWN = 20;
const MOST_OF_ANSWER = 200; // characters

export function Deliveries({ id }: { id: string }) {
  const path = (rest = "") => `${ENDPOINTS}/${part(id)}${rest}`;
  const [state, setState] = useState("");
  const pages = usePages([state]);
  const { cursor } = pages;
  const endpoint = useLoad(() => get<Endpoint>(path()), [id]);
  const found = useLoad(() => get<{ deliveries: Delivery[]; next_cursor: string | null }>(path("/deliveries"), { state, cursor, limit: SHOWN }), [id, state, cursor], 5);
  const action = useAction();
  const url = endpoint.value?.url ?? id;
  const retry = (each: Delivery) => void action.run(async () => {
    const consent = await askFor({ title: `Send ${each.event_type} again`, changes: [`${url} is sent ${each.event_type} of ${each.participant_id}`], verb: "Send again" });
    if (!consent) return;
    await change(consent, "POST", path(`/deliveries/${part(each.delivery_id)}/retry`));
    found.reload();
  });
  return (
    <>
      <div class="between deliveries-head">
        <p><a href={link("operation", "webhooks")}>All endpoints</a> <span class="soft"><bdi>{endpoint.value?.url}</bdi></span></p>
        <label class="field inline"><span>Show</span><select value={state} onChange={(event) => setState(event.currentTarget.value)}><option value="">All</option>{Object.entries(STATES).map(([name, [words]]) => <option key={name} value={name}>{words}</option>)}</select></label>
      </div>
      <Trouble error={action.error ?? endpoint.error ?? found.error} />
      {!found.value ? (!found.error && <Loading />) : found.value.deliveries.length === 0 ? <Empty>{state ? "No deliveries like that." : "No deliveries yet. They are kept for 3 days."}</Empty> : (
        <ol class="timeline">
          {found.value.deliveries.map((each) => {
            const [words, kind] = STATES[each.state];
            return (
              <li key={each.delivery_id} class={each.state === "aside" ? "trouble" : ""}>
                <div class="between"><h2 class="event">{each.event_type} <span class="soft">of</span> <bdi>{each.participant_id}</bdi></h2><Chip kind={kind}>{words}</Chip></div>
                <p class="soft"><When at={each.created_at} />{each.next_try_at && <>, next try <When at={each.next_try_at} only="relative" /></>} <span class="mono">{each.delivery_id}</span></p>
                {each.tries.length > 0 && <ol class="tries" aria-label="Tries">{each.tries.map((its) => <Try key={its.tried_at} tried={its} />)}</ol>}
                {each.state !== "waiting" && <p><button type="button" class="small" aria-disabled={action.busy} onClick={() => retry(each)}>Send again</button></p>}
              </li>
            );
          })}
        </ol>
      )}
      {found.value && <Pager pages={pages} next={found.value.next_cursor} />}
      {endpoint.value && <ReplayCard url={endpoint.value.url} path={path("/replay")} onDone={found.reload} />}
    </>
  );
}

function Try({ tried: { tried_at: at, status, milliseconds, answer } }: { tried: Delivery["tries"][number] }) {
  const good = status !== null && status >= 200 && status < 300;
  return (
    <li>
      <code class={good ? "gain" : "loss"}>{status ?? "no answer"}</code>
      <span class="soft"><When at={at} />, {number(milliseconds)} ms</span>
      {answer && <bdi class="mono">{answer.slice(0, MOST_OF_ANSWER)}{answer.length > MOST_OF_ANSWER && "…"}</bdi>}
    </li>
  );
}

/** Sends a span of time again, for a receiver that lost it. */
function ReplayCard({ url, path, onDone }: { url: string; path: string; onDone: () => void }) {
  const [since, setSince] = useState("");
  const [until, setUntil] = useState("");
  const [done, setDone] = useState("");
  const action = useAction();
  const replay = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      setDone("");
      const consent = await askFor({ title: "Send again", changes: [`${url} is sent once more whatever it was sent ${since ? `from ${since}` : "in the last 3 days"}${until ? ` until ${until}` : ""}, under the same ids`], verb: "Send again", final: true });
      if (!consent) return;
      const { deliveries } = await change<{ deliveries: number }>(consent, "POST", path, { body: { ...(since ? { since: fromLocal(since) } : {}), ...(until ? { until: fromLocal(until) } : {}) } });
      setDone(`${counted(deliveries, "delivery", "deliveries")} will be sent again.`);
      onDone();
    });
  };
  return (
    <Card title="Send a span of time again" class="replay">
      <form class="slide" onSubmit={replay}>
        <label class="field"><span>From (UTC)</span><input type="datetime-local" value={since} onInput={(event) => setSince(event.currentTarget.value)} /></label>
        <label class="field"><span>Until (UTC)</span><input type="datetime-local" value={until} onInput={(event) => setUntil(event.currentTarget.value)} /></label>
        <button type="submit" aria-disabled={action.busy}>Send again…</button>
      </form>
      {done && <Good>{done}</Good>}
      <Trouble error={action.error} />
    </Card>
  );
}
