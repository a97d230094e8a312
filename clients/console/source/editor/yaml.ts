// A game as YAML that a person would write: the server keeps it as JSON.

type Value = string | number | boolean | null | Value[] | { [name: string]: Value };

const PLAIN = /^[A-Za-z_](?!.*(: | #|:$|\s$))[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]*$/;
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const OPENING = /[,[\]{}]/; // ends a plain text within brackets and braces
const ALONE = new Set(["on", "window"]); // may be a text in place of a list of one
const RESERVED = /^(true|false|null|yes|no|on|off|y|n)$/i;
const MOST = 80; // characters of what is written on one line

/** The document. */
export function toYaml(game: Record<string, unknown>): string {
  const parts = Object.entries(game as Record<string, Value>).filter(([, value]) => !(Array.isArray(value) && value.length === 0));
  return parts.map(([name, value]) => entry(name, value, 0)).join("\n");
}

function entry(name: string, given: Value, indent: number): string {
  const head = `${" ".repeat(indent)}${key(name)}:`;
  const value = lone(name, given);
  if (typeof value === "string") return `${head} ${scalar(value, false)}\n`;
  if (isLeaf(value) || fits(value, indent + name.length + 2) && indent > 0) return `${head} ${flow(value)}\n`;
  return `${head}\n${block(value, indent + 2)}`;
}

function block(value: Value, indent: number): string {
  const space = " ".repeat(indent);
  if (Array.isArray(value)) return value.map((each) => item(each, space, indent)).join("");
  return Object.entries(value as Record<string, Value>).map(([name, each]) => entry(name, each, indent)).join("");
}

function item(value: Value, space: string, indent: number): string {
  if (isLeaf(value) || fits(value, indent + 2)) return `${space}- ${flow(value)}\n`;
  return `${space}- ${block(value, indent + 2).slice(indent + 2)}`;
}

function lone(name: string, value: Value): Value {
  if (name === "award" && typeof value === "string" && /^\d{1,15}$/.test(value)) return Number(value); // a formula that is a number
  return ALONE.has(name) && Array.isArray(value) && value.length === 1 ? value[0]! : value;
}

const isLeaf = (value: Value): boolean => typeof value !== "object" || value === null || Object.keys(value).length === 0;

const fits = (value: Value, indent: number): boolean => flow(value).length + indent <= MOST;

function flow(value: Value): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (typeof value === "object" && value !== null) return `{${Object.entries(value).map(([name, each]) => `${key(name)}: ${flow(lone(name, each))}`).join(", ")}}`;
  return typeof value === "string" ? scalar(value, true) : JSON.stringify(value);
}

function scalar(value: string, within: boolean): string {
  const plain = MOMENT.test(value) || (PLAIN.test(value) && !RESERVED.test(value) && !(within && OPENING.test(value)));
  return plain ? value : JSON.stringify(value);
}

// `on` is a word of the document and no truth: its reader knows.
const key = (name: string): string => (/^[A-Za-z_][\w-]*$/.test(name) ? name : JSON.stringify(name));
