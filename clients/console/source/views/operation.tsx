// What who runs the server looks after: keys, webhooks, dead letters.
import { useState } from "preact/hooks";
import { base, change, get, part } from "../api";
import type { AuditEntry, DeadLetter, Delivery, Endpoint, Key, Scope } from "../answers";
import { may, type ViewProps } from "../app";
import { askFor } from "../consent";
import { compact, counted, spaced } from "../format";
import { useAction, useLoad } from "../hooks";
import { Card, Chip, Copyable, Empty, Good, Heading, Loading, Tabs, Trouble, When } from "../parts/ui";
import { link } from "../route";

export function OperationView({ session, rest }: ViewProps) {
  const tabs = [
    ...(may(session, "admin") ? [["keys", "Keys"], ["dead-letters", "Dead letters"], ["audit-log", "Audit log"]] : []),
    ...(may(session, "webhooks") ? [["webhooks", "Webhooks"]] : []),
  ] as [string, string][];
  const current = tabs.find(([name]) => name === rest[0])?.[0] ?? tabs[0]![0];
  return (
    <>
      <Heading title="Operation" />
      <Tabs label="Of the operation" tabs={tabs.map(([name, words]) => ({ name: words, href: link("operation", name), current: name === current }))} />
      {current === "keys" && <Keys own={session.key_id} environment={session.environment} />}
      {current === "dead-letters" && <DeadLetters />}
      {current === "audit-log" && <AuditLog />}
      {current === "webhooks" && (rest[1] ? <Deliveries key={rest[1]} id={rest[1]} /> : <Webhooks />)}
    </>
  );
}

const KEYS = "/api/v1/admin/keys";
const SCOPES: [Scope, string][] = [
  ["ingest", "post events"],
  ["read", "read, and rehearse events beside ingest"],
  ["award", "give and take points and badges by hand"],
  ["webhooks", "manage webhooks"],
  ["metrics", "read the server's figures"],
  ["admin", "everything, keys too"],
];

function Keys({ own, environment }: { own: string; environment: string }) {
  const keys = useLoad(() => get<{ keys: Key[] }>(KEYS), [], 30);
  const [made, setMade] = useState<{ key: string; words: string } | null>(null);
  const action = useAction();
  const rotate = (key: Key) => void action.run(async () => {
    const consent = await askFor({ title: `Rotate the key ${nameOf(key)}`, changes: [`${nameOf(key)} ends in a day`, "A new key with the same scopes takes over"], verb: "Rotate", final: true });
    if (!consent) return;
    const { key: secret } = await change<{ key: string }>(consent, "POST", `${KEYS}/${part(key.key_id)}/rotate`, { body: {} });
    setMade({ key: secret, words: `The successor of ${nameOf(key)}` });
    keys.reload();
  });
  const revoke = (key: Key) => void action.run(async () => {
    const consent = await askFor({ title: `Revoke the key ${nameOf(key)}`, changes: [`Whatever uses ${nameOf(key)} is refused within seconds, for good`, ...(key.key_id === own ? ["You are signed in with it, and will be signed out"] : [])], verb: "Revoke", final: true });
    if (!consent) return;
    await change(consent, "DELETE", `${KEYS}/${part(key.key_id)}`);
    keys.reload();
  });
  return (
    <>
      {made && <div class="notice good"><p>{made.words}. It is shown only now.</p><Copyable label="New key" text={made.key} /></div>}
      <Trouble error={action.error ?? keys.error} />
      <div class="columns wide-first">
        <div class="card flush">
          {!keys.value ? <Loading /> : (
            <table class="wide">
              <thead><tr><th scope="col">Key</th><th scope="col">Scopes</th><th scope="col">Used</th><th scope="col">Ends</th><th scope="col"><span class="unseen">Actions</span></th></tr></thead>
              <tbody>
                {keys.value.keys.map((each) => (
                  <tr key={each.key_id} class={each.valid ? "" : "over"}>
                    <th scope="row" class="name">{each.name || "(no name)"}{each.key_id === own && <> <Chip kind="accent">You</Chip></>}<span class="soft mono">{each.key_id}</span></th>
                    <td data-label="Scopes">{each.scopes.includes("admin") ? "everything" : each.scopes.join(", ")}</td>
                    <td data-label="Used">{each.last_used_at ? <When at={each.last_used_at} only="relative" /> : <span class="soft">never</span>}</td>
                    <td data-label="Ends">{each.revoked_at ? <Chip kind="bad">Revoked</Chip> : !each.valid ? <Chip>Ended</Chip> : each.expires_at ? <When at={each.expires_at} only="relative" /> : <span class="soft">never</span>}</td>
                    <td class="actions">{each.valid && <><button type="button" class="small" disabled={action.busy} onClick={() => rotate(each)} aria-label={`Rotate ${nameOf(each)}`}>Rotate</button> <button type="button" class="small danger" disabled={action.busy} onClick={() => revoke(each)} aria-label={`Revoke ${nameOf(each)}`}>Revoke</button></>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </div>
        <NewKey environment={environment} onMade={(key, words) => { setMade({ key, words }); keys.reload(); }} />
      </div>
    </>
  );
}

const nameOf = (key: Key): string => key.name || key.key_id;

function NewKey({ environment, onMade }: { environment: string; onMade: (key: string, words: string) => void }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<Scope[]>(["ingest"]);
  const [ends, setEnds] = useState("");
  const action = useAction();
  const create = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      const consent = await askFor({ title: `Make the key ${name || "(no name)"}`, changes: [`A ${environment} key with ${scopes.join(", ")} is made`], verb: "Make" });
      if (!consent) return;
      const { key } = await change<{ key: string }>(consent, "POST", KEYS, { body: { name, scopes, ...(ends ? { expires_in: ends } : {}) } });
      onMade(key, `The key ${name || "(no name)"} is made`);
      setName("");
    });
  };
  return (
    <Card title="New key">
      <form class="stack" onSubmit={create}>
        <label class="field"><span>Name</span><input value={name} maxLength={100} onInput={(event) => setName(event.currentTarget.value)} autocomplete="off" /></label>
        <fieldset>
          <legend>May</legend>
          {SCOPES.map(([scope, words]) => (
            <label class="check" key={scope}><input type="checkbox" checked={scopes.includes(scope)} onChange={(event) => setScopes(event.currentTarget.checked ? [...scopes, scope] : scopes.filter((each) => each !== scope))} /> <span>{scope} <span class="soft">{words}</span></span></label>
          ))}
        </fieldset>
        <label class="field"><span>Ends</span><select value={ends} onChange={(event) => setEnds(event.currentTarget.value)}><option value="">Never</option><option value="P1D">In a day</option><option value="P30D">In 30 days</option><option value="P90D">In 90 days</option><option value="P365D">In a year</option></select></label>
        <button type="submit" class="primary" disabled={action.busy || scopes.length === 0}>Make a key</button>
        <Trouble error={action.error} />
      </form>
    </Card>
  );
}

const DEAD = "/api/v1/admin/dead-letters";

function DeadLetters() {
  const [before, setBefore] = useState<string | null>(null);
  const letters = useLoad(() => get<{ dead_letters: DeadLetter[]; next_before: string | null }>(DEAD, { before }), [before], 10);
  const [done, setDone] = useState("");
  const action = useAction();
  const retry = (letter: DeadLetter) => void action.run(async () => {
    const consent = await askFor({ title: `Try ${letter.event_name} again`, changes: [`${letter.event_name} of ${letter.participant_id} goes into the stream once more`], verb: "Try again" });
    if (!consent) return;
    await change(consent, "POST", `${DEAD}/${part(letter.message_id)}/retry`);
    setDone(`${letter.event_name} of ${letter.participant_id} is tried again.`);
    letters.reload();
  });
  const drop = (letter: DeadLetter) => void action.run(async () => {
    const consent = await askFor({ title: `Drop ${letter.event_name}`, changes: [`The accepted event ${letter.event_name} of ${letter.participant_id} is removed for good, and never becomes a fact`], verb: "Drop", final: true });
    if (!consent) return;
    await change(consent, "DELETE", `${DEAD}/${part(letter.message_id)}`);
    setDone(`${letter.event_name} of ${letter.participant_id} is gone.`);
    letters.reload();
  });
  return (
    <>
      {done && <Good>{done}</Good>}
      <Trouble error={action.error ?? letters.error} />
      {!letters.value ? <Loading /> : letters.value.dead_letters.length === 0 ? <Empty>No dead letters: everything accepted was processed.</Empty> : (
        <ol class="timeline">
          {letters.value.dead_letters.map((each) => (
            <li key={each.message_id}>
              <div class="between"><h2 class="event"><bdi>{each.event_name}</bdi> <span class="soft">by</span> <bdi>{each.participant_id}</bdi></h2><span class="soft">given up <When at={each.died_at} only="relative" /></span></div>
              <p class="wrong">{each.reason}</p>
              {Object.keys(each.properties).length > 0 && <p class="properties mono"><bdi>{compact(each.properties)}</bdi></p>}
              <p class="row"><button type="button" class="small" disabled={action.busy} onClick={() => retry(each)}>Try again</button><button type="button" class="small danger" disabled={action.busy} onClick={() => drop(each)}>Drop…</button><span class="soft mono">{each.message_id}</span></p>
            </li>
          ))}
        </ol>
      )}
      {letters.value?.next_before && <p class="more"><button type="button" onClick={() => setBefore(letters.value!.next_before)}>Older</button></p>}
      {before && <p class="more"><button type="button" onClick={() => setBefore(null)}>Newest</button></p>}
    </>
  );
}

/** What was done that is no event, by whom. */
function AuditLog() {
  const [cursor, setCursor] = useState<string | null>(null);
  const log = useLoad(() => get<{ entries: AuditEntry[]; next_cursor: string | null }>("/api/v1/admin/audit-log", { cursor, limit: 50 }), [cursor], 10);
  if (!log.value) return <>{log.loading && <Loading />}<Trouble error={log.error} /></>;
  if (log.value.entries.length === 0) return <Empty>Nothing was done yet that is no event.</Empty>;
  return (
    <>
      <Trouble error={log.error} />
      <div class="card flush">
        <table class="wide">
          <thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">By</th><th scope="col">About</th></tr></thead>
          <tbody>
            {log.value.entries.map((each) => (
              <tr key={each.at + each.action + JSON.stringify(each.about)}>
                <th scope="row"><When at={each.at} /></th>
                <td data-label="What">{spaced(each.action)}</td>
                <td data-label="By">{each.command ? <code>{each.command}</code> : <span class="mono">{each.key_id}</span>}{each.address && <span class="soft"> from {each.address}</span>}</td>
                <td data-label="About" class="mono"><bdi>{compact(each.about)}</bdi></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="more">
        {cursor && <button type="button" onClick={() => setCursor(null)}>Newest</button>}
        {log.value.next_cursor && <button type="button" onClick={() => setCursor(log.value!.next_cursor)}>Older</button>}
      </p>
    </>
  );
}

const ENDPOINTS = "/api/v1/webhooks/endpoints";

function Webhooks() {
  const endpoints = useLoad(() => get<{ endpoints: Endpoint[] }>(ENDPOINTS), [], 5);
  const [secret, setSecret] = useState("");
  const [done, setDone] = useState("");
  const action = useAction();
  const toggle = (each: Endpoint) => void action.run(async () => {
    const consent = await askFor({ title: `Switch ${each.enabled ? "off" : "on"} ${each.url}`, changes: [each.enabled ? "Nothing is sent there until it is switched on" : "It is sent what waits, and what happens from now on"], verb: each.enabled ? "Switch off" : "Switch on" });
    if (!consent) return;
    await change(consent, "PATCH", `${ENDPOINTS}/${part(each.endpoint_id)}`, { body: { enabled: !each.enabled } });
    endpoints.reload();
  });
  const test = (each: Endpoint) => void action.run(async () => {
    const consent = await askFor({ title: "Send a test", changes: [`${each.url} is sent a test`], verb: "Send" });
    if (!consent) return;
    await change(consent, "POST", `${ENDPOINTS}/${part(each.endpoint_id)}/test`);
    setDone(`A test is on its way to ${each.url}.`);
    endpoints.reload();
  });
  const remove = (each: Endpoint) => void action.run(async () => {
    const consent = await askFor({ title: `Remove ${each.url}`, changes: ["The endpoint is told nothing any more", `Its ${counted(each.waiting, "waiting delivery", "waiting deliveries")} and its history are removed`], verb: "Remove", final: true });
    if (!consent) return;
    await change(consent, "DELETE", `${ENDPOINTS}/${part(each.endpoint_id)}`);
    endpoints.reload();
  });
  return (
    <>
      {secret && <div class="notice good"><p>The endpoint is told of what happens from now on. Its secret is shown only now.</p><Copyable label="Secret" text={secret} /></div>}
      {done && <Good>{done}</Good>}
      <Trouble error={action.error ?? endpoints.error} />
      <div class="columns wide-first">
        <div class="column">
          {!endpoints.value ? <Loading /> : endpoints.value.endpoints.length === 0 ? <Empty>No endpoint is told of what happens.</Empty> : endpoints.value.endpoints.map((each) => (
            <section class="card" key={each.endpoint_id} aria-label={each.url}>
              <header><h2 class="event"><bdi>{each.url}</bdi></h2><div class="aside">{!each.enabled ? <Chip>Off</Chip> : each.failing_since ? <Chip kind="bad">Failing</Chip> : <Chip kind="good">On</Chip>}</div></header>
              {each.description && <p>{each.description}</p>}
              <p class="soft">{each.event_types.join(", ")}</p>
              {each.off_because && <p class="wrong">{each.off_because}</p>}
              {each.failing_since && <p class="wrong">Every try has failed since <When at={each.failing_since} /></p>}
              <p class="row">
                <a class="button small" href={link("operation", "webhooks", each.endpoint_id)}>Deliveries{each.waiting > 0 && ` (${each.waiting} waiting)`}</a>
                <button type="button" class="small" disabled={action.busy} onClick={() => test(each)}>Send a test</button>
                <button type="button" class="small" disabled={action.busy} onClick={() => toggle(each)}>{each.enabled ? "Switch off" : "Switch on"}</button>
                <button type="button" class="small danger" disabled={action.busy} onClick={() => remove(each)}>Remove…</button>
              </p>
            </section>
          ))}
        </div>
        <NewEndpoint onMade={(made) => { setSecret(made); endpoints.reload(); }} />
      </div>
    </>
  );
}

/** What an endpoint may be told of, as the document of the API has it. */
async function eventTypes(signal: AbortSignal): Promise<string[]> {
  const found = await (await fetch(`${base}/openapi.json`, { signal })).json();
  return found.components.schemas.EndpointIn.properties.event_types.items.enum;
}

function NewEndpoint({ onMade }: { onMade: (secret: string) => void }) {
  const [url, setUrl] = useState("");
  const [types, setTypes] = useState<string[]>(["points.changed", "badge.awarded"]);
  const known = useLoad(eventTypes, []);
  const action = useAction();
  const create = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      const consent = await askFor({ title: "Make an endpoint", changes: [`${url} is told of ${types.join(", ")}`], verb: "Make" });
      if (!consent) return;
      const made = await change<{ secret: string }>(consent, "POST", ENDPOINTS, { body: { url, event_types: types } });
      onMade(made.secret);
      setUrl("");
    });
  };
  return (
    <Card title="New endpoint">
      <form class="stack" onSubmit={create}>
        <label class="field"><span>URL</span><input type="url" value={url} required maxLength={2000} placeholder="https://shop.example/hooks" onInput={(event) => setUrl(event.currentTarget.value)} autocomplete="off" /></label>
        <fieldset>
          <legend>Is told of</legend>
          {known.value?.map((each) => <label class="check" key={each}><input type="checkbox" checked={types.includes(each)} onChange={(event) => setTypes(event.currentTarget.checked ? [...types, each] : types.filter((other) => other !== each))} /> {each}</label>)}
        </fieldset>
        <button type="submit" class="primary" disabled={action.busy || types.length === 0}>Make an endpoint</button>
        <Trouble error={action.error ?? known.error} />
      </form>
    </Card>
  );
}

const STATES = { waiting: ["Waiting", "warn"], delivered: ["Delivered", "good"], aside: ["Given up", "bad"] } as const;

function Deliveries({ id }: { id: string }) {
  const path = `${ENDPOINTS}/${part(id)}`;
  const [state, setState] = useState("");
  const endpoint = useLoad(() => get<Endpoint>(path), [id]);
  const found = useLoad(() => get<{ deliveries: Delivery[] }>(`${path}/deliveries`, { state, limit: 50 }), [id, state], 5);
  const action = useAction();
  const retry = (each: Delivery) => void action.run(async () => {
    const consent = await askFor({ title: `Send ${each.event_type} again`, changes: [`${endpoint.value?.url ?? id} is sent ${each.event_type} of ${each.participant_id}`], verb: "Send again" });
    if (!consent) return;
    await change(consent, "POST", `${path}/deliveries/${part(each.delivery_id)}/retry`);
    found.reload();
  });
  return (
    <>
      <div class="between">
        <p><a href={link("operation", "webhooks")}>All endpoints</a> <span class="soft"><bdi>{endpoint.value?.url}</bdi></span></p>
        <label class="field inline"><span>Show</span><select value={state} onChange={(event) => setState(event.currentTarget.value)}><option value="">All</option>{Object.entries(STATES).map(([name, [words]]) => <option key={name} value={name}>{words}</option>)}</select></label>
      </div>
      <Trouble error={action.error ?? endpoint.error ?? found.error} />
      {!found.value ? (!found.error && <Loading />) : found.value.deliveries.length === 0 ? <Empty>No deliveries.</Empty> : (
        <ol class="timeline">
          {found.value.deliveries.map((each) => {
            const [words, kind] = STATES[each.state];
            return (
              <li key={each.delivery_id}>
                <div class="between"><h2 class="event">{each.event_type} <span class="soft">of</span> <bdi>{each.participant_id}</bdi></h2><Chip kind={kind}>{words}</Chip></div>
                <p class="soft"><When at={each.created_at} />{each.next_try_at && <>, next try <When at={each.next_try_at} only="relative" /></>}</p>
                {each.tries.length > 0 && <ul class="tries">{each.tries.map((its) => <li key={its.tried_at}><code class={its.status !== null && its.status < 300 ? "gain" : "loss"}>{its.status ?? "none"}</code> <span class="soft"><When at={its.tried_at} />, {its.milliseconds} ms</span> <bdi class="mono">{its.answer.slice(0, 200)}</bdi></li>)}</ul>}
                {each.state !== "waiting" && <p><button type="button" class="small" disabled={action.busy} onClick={() => retry(each)}>Send again</button></p>}
              </li>
            );
          })}
        </ol>
      )}
    </>
  );
}
