// What was done that is no event: by whom, when, and about what.
import { useState } from "preact/hooks";
import { get } from "../api";
import type { AuditEntry, Key } from "../answers";
import { fromLocal, spaced } from "../format";
import { useLoad, usePages, useSettled } from "../hooks";
import { Empty, Loading, Pager, Trouble, When } from "../parts/ui";

const PATH = "/api/v1/admin/audit-log";
const SHOWN = 50;

export function AuditLog() {
  const [action, setAction] = useState("");
  const [key, setKey] = useState("");
  const [since, setSince] = useState("");
  const [until, setUntil] = useState("");
  const wanted = { action: useSettled(action.trim().replaceAll(" ", "_"), 300), key_id: key, since: since && fromLocal(since), until: until && fromLocal(until) };
  const narrowed = Object.values(wanted).some(Boolean);
  const pages = usePages(Object.values(wanted));
  const { cursor } = pages;
  const keys = useLoad(() => get<{ keys: Key[] }>("/api/v1/admin/keys"), []);
  const log = useLoad(() => get<{ entries: AuditEntry[]; next_cursor: string | null }>(PATH, { ...wanted, cursor, limit: SHOWN }), [cursor, ...Object.values(wanted)], 10);
  const names = new Map(keys.value?.keys.map((each) => [each.key_id, each.name]));
  const entries = log.value?.entries ?? [];
  const clear = () => { setAction(""); setKey(""); setSince(""); setUntil(""); };
  return (
    <>
      <div role="search" class="filters" aria-label="Filter the audit log">
        <label class="field"><span>Action</span><input value={action} placeholder="game_applied" list="audit-actions" onInput={(event) => setAction(event.currentTarget.value)} autocomplete="off" autocapitalize="off" spellcheck={false} /></label>
        <datalist id="audit-actions">{[...new Set(entries.map((each) => each.action))].map((each) => <option key={each} value={each} />)}</datalist>
        <label class="field"><span>Key</span><select value={key} onChange={(event) => setKey(event.currentTarget.value)}><option value="">All keys and commands</option>{keys.value?.keys.map((each) => <option key={each.key_id} value={each.key_id}>{each.name || each.key_id}</option>)}</select></label>
        <label class="field"><span>From (UTC)</span><input type="datetime-local" value={since} onInput={(event) => setSince(event.currentTarget.value)} /></label>
        <label class="field"><span>Before (UTC)</span><input type="datetime-local" value={until} onInput={(event) => setUntil(event.currentTarget.value)} /></label>
        {narrowed && <button type="button" onClick={clear}>Clear</button>}
      </div>
      <Trouble error={log.error} />
      {!log.value ? (!log.error && <Loading />) : entries.length === 0 ? <Empty>{narrowed ? "No entry matches." : "Nothing yet. Keys, games, resets, clocks, awards by hand and the like are recorded here."}</Empty> : (
        <div class="card flush">
          <table class="wide">
            <thead><tr><th scope="col">When</th><th scope="col">Action</th><th scope="col">By</th><th scope="col">About</th></tr></thead>
            <tbody>
              {entries.map((each) => (
                <tr key={each.at + each.action + JSON.stringify(each.about)}>
                  <th scope="row"><When at={each.at} /></th>
                  <td data-label="Action" class="what">{spaced(each.action)}{each.environment === null && <span class="soft"> in all environments</span>}</td>
                  <td data-label="By" class="by">{each.command ? <code>{each.command}</code> : (names.get(each.key_id!) || <span class="mono">{each.key_id}</span>)}{each.address && <span class="soft"> from {each.address}</span>}</td>
                  <td data-label="About"><About about={each.about} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {log.value && <Pager pages={pages} next={log.value.next_cursor} />}
    </>
  );
}

const said = (value: unknown): string => (typeof value === "string" ? value : Array.isArray(value) && value.every((each) => typeof each === "string") ? value.join(", ") : JSON.stringify(value));

function About({ about }: { about: Record<string, unknown> }) {
  const told = Object.entries(about).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0) && value !== "");
  return <ul class="about">{told.map(([name, value]) => <li key={name}><span class="soft">{spaced(name)}</span> <bdi class="mono">{said(value)}</bdi></li>)}</ul>;
}
