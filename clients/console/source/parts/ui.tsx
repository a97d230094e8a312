// Small parts that every view is made of.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Refusal } from "../api";
import { moment, number, relative } from "../format";
import { useNow } from "../hooks";

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

export const Good = ({ children }: { children: ComponentChildren }) => <p class="notice good" role="status">{children}</p>;

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

/** A moment, with how long ago it is. */
export function When({ at, only }: { at: string; only?: "relative" }) {
  const now = useNow();
  return <time dateTime={at} title={`${moment(at)} UTC`}>{only === "relative" ? relative(at, now) : moment(at)}</time>;
}

export const Chip = ({ kind, children }: { kind?: string; children: ComponentChildren }) => <span class={`chip ${kind ?? ""}`}>{children}</span>;

export const Figure = ({ label, value, note }: { label: string; value: number | string; note?: ComponentChildren }) => (
  <div class="figure">
    <span class="soft">{label}</span>
    <strong>{typeof value === "number" ? number(value) : value}</strong>
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
