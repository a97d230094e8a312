// A form for an event: a name that was seen, a participant, and properties as JSON.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { get } from "../api";
import type { CatalogueEntry, Fact } from "../answers";
import { fromLocal } from "../format";
import { useLoad, useSettled } from "../hooks";

export interface EventToSend {
  event_name: string;
  participant_id: string;
  properties: Record<string, unknown>;
  timestamp?: string;
}

interface Props {
  /** Whom it is about, where that is settled. */
  participant?: string;
  /** What to begin with. */
  from?: Fact | null;
  busy: boolean;
  verb: string;
  onSend: (event: EventToSend) => void;
}

const written = (properties: Record<string, unknown>): string => JSON.stringify(properties, null, 2);

export function EventForm({ participant, from, busy, verb, onSend }: Props) {
  const list = useId();
  const [name, setName] = useState(from?.event_name ?? "");
  const [about, setAbout] = useState(participant ?? "");
  const [properties, setProperties] = useState(written(from?.properties ?? {}));
  const [at, setAt] = useState("");
  const [wrong, setWrong] = useState("");
  const touched = useRef(Boolean(from));
  const catalogue = useLoad(() => get<{ events: CatalogueEntry[] }>("/api/v1/events/catalog", { limit: 1000 }), []);
  const settled = useSettled(name, 300);
  useEffect(() => {
    if (!settled || touched.current) return;
    // As the last of its kind: what is likely to be looked for.
    void get<{ facts: Fact[] }>("/api/v1/facts", { event_name: settled, limit: 1 }).then(({ facts }) => {
      if (!touched.current) setProperties(written(facts[0]?.properties ?? {}));
    }, () => {});
  }, [settled]);
  const send = (event: Event) => {
    event.preventDefault();
    let given: unknown;
    try {
      given = JSON.parse(properties || "{}");
    } catch (error) {
      setWrong((error as Error).message);
      return;
    }
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      setWrong("must be an object, such as {\"amount\": 40}");
      return;
    }
    setWrong("");
    onSend({ event_name: name.trim(), participant_id: participant ?? about.trim(), properties: given as Record<string, unknown>, ...(at ? { timestamp: fromLocal(at) } : {}) });
  };
  return (
    <form class="stack" onSubmit={send}>
      <div class="fields">
        <label class="field">
          <span>Event name</span>
          <input value={name} list={list} placeholder="purchase_completed" required maxLength={255} onInput={(event) => setName(event.currentTarget.value)} autocomplete="off" autocapitalize="off" spellcheck={false} />
          <datalist id={list}>{catalogue.value?.events.map((each) => <option key={each.event_name} value={each.event_name} />)}</datalist>
        </label>
        {participant === undefined && (
          <label class="field">
            <span>Participant</span>
            <input value={about} placeholder="ada" required maxLength={255} onInput={(event) => setAbout(event.currentTarget.value)} autocomplete="off" autocapitalize="off" spellcheck={false} />
          </label>
        )}
        <label class="field">
          <span>At (UTC), or now</span>
          <input type="datetime-local" step={1} value={at} onInput={(event) => setAt(event.currentTarget.value)} />
        </label>
      </div>
      <label class="field">
        <span>Properties (JSON)</span>
        <textarea class="mono" rows={Math.min(12, Math.max(3, properties.split("\n").length))} value={properties} spellcheck={false}
          aria-invalid={wrong !== ""} aria-describedby={wrong ? `${list}-wrong` : undefined}
          onInput={(event) => { touched.current = true; setProperties(event.currentTarget.value); }} />
        {wrong && <span class="wrong" id={`${list}-wrong`} role="alert">Properties: {wrong}</span>}
      </label>
      <div class="row"><button type="submit" class="primary" aria-disabled={busy}>{verb}</button></div>
    </form>
  );
}
