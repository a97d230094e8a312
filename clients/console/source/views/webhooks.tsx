// The endpoints that are told of what happens.
import { useState } from "preact/hooks";
import { base, change, get, part } from "../api";
import type { Endpoint } from "../answers";
import { askFor, type Change, type Consent } from "../consent";
import { counted } from "../format";
import { useAction, useLoad } from "../hooks";
import { Card, Chip, Copyable, Good, Loading, Trouble, When } from "../parts/ui";
import { link } from "../route";

export const ENDPOINTS = "/api/v1/webhooks/endpoints";

export function Webhooks() {
  const endpoints = useLoad(() => get<{ endpoints: Endpoint[] }>(ENDPOINTS), [], 5);
  const [secret, setSecret] = useState<{ secret: string; words: string } | null>(null);
  const [done, setDone] = useState("");
  const action = useAction();
  const doIt = (asked: Change, work: (consent: Consent) => Promise<string>) => void action.run(async () => {
    setDone("");
    const consent = await askFor(asked);
    if (!consent) return;
    setDone(await work(consent));
    endpoints.reload();
  });
  const path = (each: Endpoint, rest = "") => `${ENDPOINTS}/${part(each.endpoint_id)}${rest}`;
  const toggle = (each: Endpoint) => doIt(
    { title: `${each.enabled ? "Disable" : "Enable"} ${each.url}`, changes: [each.enabled ? "Nothing is sent there until it is enabled again" : "It is sent what waits, and what happens from now on"], verb: each.enabled ? "Disable" : "Enable" },
    async (consent) => { await change(consent, "PATCH", path(each), { body: { enabled: !each.enabled } }); return ""; },
  );
  const test = (each: Endpoint) => doIt(
    { title: "Send a test", changes: [`${each.url} is sent a test`], verb: "Send" },
    async (consent) => { await change(consent, "POST", path(each, "/test")); return `A test is on its way to ${each.url}.`; },
  );
  const rotate = (each: Endpoint) => doIt(
    { title: "Rotate the secret", changes: [`${each.url} gets a new secret`, "Requests are signed with the old one too for a day"], verb: "Rotate", final: true },
    async (consent) => {
      const made = await change<{ secret: string }>(consent, "POST", path(each, "/secret"), { body: {} });
      setSecret({ secret: made.secret, words: `The new secret of ${each.url} is below. The old one stays valid for a day.` });
      return "";
    },
  );
  const remove = (each: Endpoint) => doIt(
    { title: `Remove ${each.url}`, changes: ["Nothing is sent there any more", `Its ${counted(each.waiting, "waiting delivery", "waiting deliveries")} and its history are removed`], verb: "Remove", final: true },
    async (consent) => { await change(consent, "DELETE", path(each)); return `${each.url} is removed.`; },
  );
  return (
    <>
      {secret && <div class="notice good" role="status"><p>{secret.words} It is shown only once: copy it now.</p><Copyable label="Secret" text={secret.secret} /></div>}
      {done && <Good>{done}</Good>}
      <Trouble error={action.error ?? endpoints.error} />
      <div class="columns wide-first">
        <div class="column">
          {!endpoints.value ? (!endpoints.error && <Loading />) : endpoints.value.endpoints.length === 0 ? <Card title="No endpoints"><p class="soft">An endpoint is a URL of yours that is sent what happens, signed, at least once and in order per participant.</p></Card> : endpoints.value.endpoints.map((each) => (
            <section class="card" key={each.endpoint_id} aria-label={each.url}>
              <header><h2 class="event"><bdi>{each.url}</bdi></h2><div class="aside">{!each.enabled ? <Chip>Disabled</Chip> : each.failing_since ? <Chip kind="bad">Failing</Chip> : <Chip kind="good">Enabled</Chip>}</div></header>
              {each.description && <p>{each.description}</p>}
              <p class="marks">{each.event_types.map((type) => <Chip key={type}>{type}</Chip>)}</p>
              {each.off_because && <p class="wrong">{each.off_because}</p>}
              {each.failing_since && <p class="wrong">Every try has failed since <When at={each.failing_since} /></p>}
              <p class="row">
                <a class="button small" href={link("operation", "webhooks", each.endpoint_id)}>Deliveries{each.waiting > 0 && ` (${each.waiting} waiting)`}</a>
                <button type="button" class="small" aria-disabled={action.busy} disabled={!each.enabled} onClick={() => test(each)}>Send a test</button>
                <button type="button" class="small" aria-disabled={action.busy} onClick={() => rotate(each)}>Rotate secret…</button>
                <button type="button" class="small" aria-disabled={action.busy} onClick={() => toggle(each)}>{each.enabled ? "Disable" : "Enable"}</button>
                <button type="button" class="small danger" aria-disabled={action.busy} onClick={() => remove(each)}>Remove…</button>
              </p>
            </section>
          ))}
        </div>
        <NewEndpoint onMade={(made) => { setSecret({ secret: made, words: "The endpoint is sent what happens from now on. Its secret is below." }); endpoints.reload(); }} />
      </div>
    </>
  );
}

/** What an endpoint may be sent, as the document of the API has it. */
async function eventTypes(signal: AbortSignal): Promise<string[]> {
  const found = await (await fetch(`${base}/openapi.json`, { signal })).json();
  return found.components.schemas.EndpointIn.properties.event_types.items.enum;
}

function NewEndpoint({ onMade }: { onMade: (secret: string) => void }) {
  const [url, setUrl] = useState("");
  const [description, setDescription] = useState("");
  const [types, setTypes] = useState<string[]>(["points.changed", "badge.awarded"]);
  const known = useLoad(eventTypes, []);
  const action = useAction();
  const create = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      const consent = await askFor({ title: "Create an endpoint", changes: [`${url} is sent ${types.join(", ")}`], verb: "Create" });
      if (!consent) return;
      const made = await change<{ secret: string }>(consent, "POST", ENDPOINTS, { body: { url, description, event_types: types } });
      onMade(made.secret);
      setUrl("");
      setDescription("");
    });
  };
  return (
    <Card title="New endpoint">
      <form class="stack" onSubmit={create}>
        <label class="field"><span>URL</span><input type="url" value={url} required maxLength={2000} placeholder="https://shop.example/hooks" onInput={(event) => setUrl(event.currentTarget.value)} autocomplete="off" /></label>
        <label class="field"><span>Description</span><input value={description} maxLength={500} onInput={(event) => setDescription(event.currentTarget.value)} autocomplete="off" /></label>
        <fieldset>
          <legend>Is sent</legend>
          {known.value?.map((each) => <label class="check" key={each}><input type="checkbox" checked={types.includes(each)} onChange={(event) => setTypes(event.currentTarget.checked ? [...types, each] : types.filter((other) => other !== each))} /> {each}</label>)}
        </fieldset>
        <button type="submit" class="primary" aria-disabled={action.busy} disabled={types.length === 0}>Create endpoint</button>
        <Trouble error={action.error ?? known.error} />
      </form>
    </Card>
  );
}
