// Small parts that every view is made of.
import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Refusal } from "../api";
import { moment, number, relative } from "../format";
import { type Pages, useNow } from "../hooks";

interface CardProps {
  title: string;
  /** Beside the title. */
  aside?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}

export function Card({ title, aside, children, class: own }: CardProps) {
  return (
    <section class={`card ${own ?? ""}`} aria-label={title}>
      <header><h2>{title}</h2>{aside && <div class="aside">{aside}</div>}</header>
      {children}
    </section>
  );
}

/** The head of a view: its name takes the focus when the view is opened, so that a screen reader says where one is. */
export function Heading({ title, children }: { title: string; children?: ComponentChildren }) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · bq-server console`;
    head.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [title]);
  return (
    <div class="heading">
      <h1 ref={head} tabIndex={-1}>{title}</h1>
      {children}
    </div>
  );
}

/** What went wrong, in the server's words. */
export function Trouble({ error }: { error: Error | null }) {
  if (!error) return null;
  const fields = error instanceof Refusal ? error.fields : [];
  return (
    <div class="notice bad" role="alert">
      <p>{fields.length === 0 && error.message}</p>
      {fields.length > 0 && <ul>{fields.map((each) => <li key={each.field + each.detail}><code>{each.field}</code> {each.detail}</li>)}</ul>}
      {error instanceof Refusal && error.requestId && <p class="soft">Request <code>{error.requestId}</code></p>}
    </div>
  );
}

interface BoundaryProps {
  /** Where one is: elsewhere it starts again. */
  at: string;
  children: ComponentChildren;
}

/** Keeps a mistake of ours in the view that made it: the rest of the page goes on. */
export class Boundary extends Component<BoundaryProps, { at: string; error: Error | null }> {
  override state = { at: this.props.at, error: null };

  static override getDerivedStateFromError(error: Error) {
    return { error };
  }

  static override getDerivedStateFromProps({ at }: BoundaryProps, before: { at: string }) {
    return at === before.at ? null : { at, error: null };
  }

  override render() {
    return this.state.error ? <Trouble error={this.state.error} /> : this.props.children;
  }
}

/** What was done. Once the button that did it is gone, the focus comes here, and isn't lost. */
export function Good({ children }: { children: ComponentChildren }) {
  const place = useRef<HTMLParagraphElement>(null);
  const given = useRef(false);
  useEffect(() => {
    if (given.current || document.activeElement !== document.body) return;
    given.current = true;
    place.current?.focus({ preventScroll: true });
  });
  return <p ref={place} class="notice good" role="status" tabIndex={-1}>{children}</p>;
}

export const Empty = ({ children }: { children: ComponentChildren }) => <p class="empty">{children}</p>;

export const Loading = () => <p class="empty" role="status">Loading…</p>;

interface BarProps {
  value: number;
  target: number;
  label: string;
  done?: boolean;
}

/** How far something has come. */
export function Bar({ value, target, label, done }: BarProps) {
  return <progress class={done ? "done" : ""} max={target} value={Math.max(0, Math.min(value, target))} aria-label={label} />;
}

interface WhenProps {
  at: string;
  only?: "relative";
  /** By the server's clock, whatever the clock of the environment. */
  real?: boolean;
}

/** A moment, or how long ago it is. */
export function When({ at, only, real }: WhenProps) {
  const now = useNow(real);
  return <time dateTime={at} title={`${moment(at)} UTC`}>{only === "relative" ? relative(at, now) : moment(at)}</time>;
}

export const Chip = ({ kind, children }: { kind?: string; children: ComponentChildren }) => <span class={`chip ${kind ?? ""}`}>{children}</span>;

/** What the server sent, as it is; written out only once it is opened. */
export function Raw({ value, beside, aside }: { value: unknown; beside?: ComponentChildren; aside?: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  return (
    <div class={`raw ${beside ? "apart" : ""}`}>
      {beside}
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>Details</summary>
        {open && <pre class="mono" tabIndex={0}><bdi>{JSON.stringify(value, null, 2)}</bdi></pre>}
      </details>
      {aside}
    </div>
  );
}

interface FigureProps {
  label: string;
  value: number | string;
  note?: ComponentChildren;
  kind?: "" | "loss";
}

export const Figure = ({ label, value, note, kind }: FigureProps) => (
  <div class="figure">
    <span class="soft">{label}</span>
    <strong class={kind}>{typeof value === "number" ? number(value) : value}</strong>
    {note && <span class="soft">{note}</span>}
  </div>
);

interface TabsProps {
  label: string;
  tabs: { name: string; href: string; current: boolean }[];
}

/** Views of one thing. They are addresses, and so links. */
export function Tabs({ label, tabs }: TabsProps) {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map((each) => <a key={each.href} href={each.href} aria-current={each.current ? "page" : undefined}>{each.name}</a>)}
    </nav>
  );
}

/** To the pages before and after this one; nothing where there is only one. */
export function Pager({ pages, next }: { pages: Pages; next: string | null }) {
  if (pages.number === 1 && next === null) return null;
  return (
    <nav class="more" aria-label="Pages">
      <button type="button" disabled={pages.number === 1} onClick={pages.back}>Previous</button>
      <span class="soft">Page {number(pages.number)}</span>
      <button type="button" disabled={next === null} onClick={() => pages.go(next!)}>Next</button>
    </nav>
  );
}

/** A text to take along, such as a secret that is shown once. */
export function Copyable({ label, text }: { label: string; text: string }) {
  const [copied, setCopied] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const copy = async () => {
    field.current?.select();
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      // Not allowed here: it is selected, so that keys can copy it.
    }
  };
  return (
    <div class="copyable">
      <label class="field"><span>{label}</span><input ref={field} readOnly value={text} class="mono" /></label>
      <button type="button" onClick={copy}>{copied ? "Copied" : "Copy"}</button>
    </div>
  );
}
