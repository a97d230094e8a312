// Whoever changes something has said so. In a live environment every change is asked for, by name; in a test environment
// only what can't be undone.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { legible } from "./format";

let make: () => Consent;

/** That a change may be made. Only `askFor` makes one. */
export class Consent {
  private readonly given = true;
  private constructor() {}

  static {
    make = () => new Consent();
  }

  get isGiven(): boolean {
    return this.given;
  }
}

export interface Change {
  /** «Revoke the key shop» */
  title: string;
  /** What will be another way afterwards, line by line. */
  changes: string[];
  /** The word on the button. */
  verb: string;
  /** It can't be undone, so it is asked for in a test environment too. */
  final?: boolean;
}

interface Asked extends Change {
  live: boolean;
  answer: (consent: Consent | null) => void;
}

let show: (asked: Asked) => void = () => {};
let live = true;

/** Tell which environment the changes are for; until then it counts as live. */
export function actsOn(environment: "live" | "test"): void {
  live = environment !== "test";
}

/** Ask for a change where that is needed; null where it is not wanted. */
export function askFor(change: Change): Promise<Consent | null> {
  if (!live && !change.final) return Promise.resolve(make());
  return new Promise((answer) => show({ ...change, live, answer }));
}

const WORD = "live";

/** The question. There is one of it in the page. */
export function ConsentDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [typed, setTyped] = useState("");
  useLayoutEffect(() => {
    show = (next) => {
      setTyped("");
      setAsked(next);
    };
  }, []);
  useEffect(() => {
    if (asked) dialog.current?.showModal();
  }, [asked]);
  if (!asked) return null;
  const allowed = !asked.live || typed.trim().toLowerCase() === WORD;
  const end = (consent: Consent | null) => {
    dialog.current?.close();
    setAsked(null);
    asked.answer(consent);
  };
  return (
    <dialog ref={dialog} aria-labelledby="consent-title" onCancel={(event) => { event.preventDefault(); end(null); }}>
      <form onSubmit={(event) => { event.preventDefault(); if (allowed) end(make()); }}>
        {asked.live && <p class="eyebrow bad">Live environment</p>}
        <h2 id="consent-title">{legible(asked.title)}</h2>
        <ul class="changes">{asked.changes.map((each) => <li key={each}>{legible(each)}</li>)}</ul>
        {asked.live && (
          <label class="field">
            <span>Type <strong>{WORD}</strong> to confirm</span>
            <input value={typed} onInput={(event) => setTyped(event.currentTarget.value)} autocomplete="off" autocapitalize="off" spellcheck={false} autofocus />
          </label>
        )}
        <div class="row end">
          <button type="button" onClick={() => end(null)}>Cancel</button>
          <button type="submit" class={asked.final || asked.live ? "danger" : "primary"} disabled={!allowed}>{asked.verb}</button>
        </div>
      </form>
    </dialog>
  );
}
