// The keys of the environment: made, rotated, revoked.
import { useState } from "preact/hooks";
import { change, get, part } from "../api";
import type { Key, Scope } from "../answers";
import { askFor } from "../consent";
import { useAction, useLoad } from "../hooks";
import { Card, Chip, Copyable, Loading, Trouble, When } from "../parts/ui";

const KEYS = "/api/v1/admin/keys";
const SCOPES: [Scope, string][] = [
  ["ingest", "posts events"],
  ["read", "reads; with ingest, rehearses events"],
  ["award", "gives and takes points and badges"],
  ["webhooks", "manages webhooks"],
  ["metrics", "reads the server's metrics"],
  ["admin", "everything, including keys"],
];

const nameOf = (key: Key): string => key.name || key.key_id;

export function Keys({ own, environment }: { own: string; environment: string }) {
  const keys = useLoad(() => get<{ keys: Key[] }>(KEYS), [], 30);
  const [made, setMade] = useState<{ key: string; words: string } | null>(null);
  const action = useAction();
  const rotate = (key: Key) => void action.run(async () => {
    const consent = await askFor({ title: `Rotate the key ${nameOf(key)}`, changes: [`${nameOf(key)} (${key.key_id}) expires in a day`, "A new key with the same scopes takes over"], verb: "Rotate", final: true });
    if (!consent) return;
    const { key: secret } = await change<{ key: string }>(consent, "POST", `${KEYS}/${part(key.key_id)}/rotate`, { body: {} });
    setMade({ key: secret, words: `The successor of ${nameOf(key)}` });
    keys.reload();
  });
  const revoke = (key: Key) => void action.run(async () => {
    const consent = await askFor({ title: `Revoke the key ${nameOf(key)}`, changes: [`Whatever uses ${nameOf(key)} (${key.key_id}) is refused within seconds, for good`, ...(key.key_id === own ? ["You are signed in with it, and will be signed out"] : [])], verb: "Revoke", final: true });
    if (!consent) return;
    await change(consent, "DELETE", `${KEYS}/${part(key.key_id)}`);
    keys.reload();
  });
  return (
    <>
      {made && <div class="notice good" role="status"><p>{made.words} is below. It is shown only once: copy it now.</p><Copyable label="New key" text={made.key} /></div>}
      <Trouble error={action.error ?? keys.error} />
      <div class="columns wide-first">
        <div class="card flush">
          {!keys.value ? (!keys.error && <Loading />) : (
            <table class="wide">
              <thead><tr><th scope="col">Key</th><th scope="col">Scopes</th><th scope="col">Last used</th><th scope="col">Expires</th><th scope="col"><span class="unseen">Actions</span></th></tr></thead>
              <tbody>
                {keys.value.keys.map((each) => (
                  <tr key={each.key_id} class={each.valid ? "" : "over"}>
                    <th scope="row" class="name">{each.name || "(no name)"}{each.key_id === own && <> <Chip kind="accent">You</Chip></>}<span class="soft mono">{each.key_id}</span></th>
                    <td data-label="Scopes">{each.scopes.includes("admin") ? "everything" : each.scopes.join(", ")}</td>
                    <td data-label="Last used">{each.last_used_at ? <When at={each.last_used_at} only="relative" real /> : <span class="soft">never</span>}</td>
                    <td data-label="Expires">{each.revoked_at ? <Chip kind="bad">Revoked</Chip> : !each.valid ? <Chip>Expired</Chip> : each.expires_at ? <When at={each.expires_at} only="relative" real /> : <span class="soft">never</span>}</td>
                    <td class="actions">{each.valid && <><button type="button" class="small" aria-disabled={action.busy} onClick={() => rotate(each)} aria-label={`Rotate ${nameOf(each)}`}>Rotate</button> <button type="button" class="small danger" aria-disabled={action.busy} onClick={() => revoke(each)} aria-label={`Revoke ${nameOf(each)}`}>Revoke</button></>}</td>
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

function NewKey({ environment, onMade }: { environment: string; onMade: (key: string, words: string) => void }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<Scope[]>(["ingest"]);
  const [ends, setEnds] = useState("");
  const action = useAction();
  const create = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      const consent = await askFor({ title: `Create the key ${name || "(no name)"}`, changes: [`A new ${environment} key with ${scopes.join(", ")}`], verb: "Create" });
      if (!consent) return;
      const { key } = await change<{ key: string }>(consent, "POST", KEYS, { body: { name, scopes, ...(ends ? { expires_in: ends } : {}) } });
      onMade(key, `The key ${name || "(no name)"}`);
      setName("");
    });
  };
  return (
    <Card title="New key">
      <form class="stack" onSubmit={create}>
        <label class="field"><span>Name</span><input value={name} maxLength={100} onInput={(event) => setName(event.currentTarget.value)} autocomplete="off" /></label>
        <fieldset>
          <legend>Scopes</legend>
          {SCOPES.map(([scope, words]) => (
            <label class="check" key={scope}><input type="checkbox" checked={scopes.includes(scope)} onChange={(event) => setScopes(event.currentTarget.checked ? [...scopes, scope] : scopes.filter((each) => each !== scope))} /> <span>{scope} <span class="soft">{words}</span></span></label>
          ))}
        </fieldset>
        <label class="field"><span>Expires</span><select value={ends} onChange={(event) => setEnds(event.currentTarget.value)}><option value="">Never</option><option value="P1D">In a day</option><option value="P30D">In 30 days</option><option value="P90D">In 90 days</option><option value="P365D">In a year</option></select></label>
        <button type="submit" class="primary" aria-disabled={action.busy} disabled={scopes.length === 0}>Create key</button>
        <Trouble error={action.error} />
      </form>
    </Card>
  );
}
