// What may stand at a place of the document, from its JSON Schema.
import { base } from "../api";

export interface Schema {
  $ref?: string;
  type?: string;
  title?: string;
  description?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  required?: string[];
}

/** The schema of the game, and those it refers to. */
export class GameSchema {
  private constructor(private readonly all: Record<string, Schema>) {}

  /** From the document of the API, whose request this is the body of. */
  static async load(): Promise<GameSchema> {
    const found = await (await fetch(`${base}/openapi.json`)).json();
    return new GameSchema(found.components.schemas);
  }

  /** What may stand there: every way that the schema leaves open. A number stands for any place in a list. */
  at(path: (string | number)[]): Schema[] {
    let found = this.ways({ $ref: "#/components/schemas/Game" });
    for (const step of path) {
      found = found.flatMap((schema) => {
        const next = typeof step === "number" ? schema.items : (schema.properties?.[step] ?? schema.additionalProperties);
        return typeof next === "object" ? this.ways(next) : [];
      });
    }
    return found;
  }

  /** A schema without references and alternatives. */
  ways(schema: Schema): Schema[] {
    if (schema.$ref) {
      const named = this.all[schema.$ref.split("/").at(-1)!];
      return named ? this.ways({ ...named, ...(schema.description ? { description: schema.description } : {}) }) : [];
    }
    const choices = schema.anyOf ?? schema.oneOf;
    return choices ? choices.flatMap((each) => this.ways(each)) : [schema];
  }
}

const ENTRY = /^(\s*)((?:- +)*)(?:([\w-]+|"[^"]*"):(?: |$))?/;

/** What braces and brackets that a text leaves open lead to. */
function within(text: string): (string | number)[] {
  const open: (string | number)[][] = [];
  let name: string | null = null;
  for (const [token] of text.matchAll(/[\w-]+(?=:(?: |$))|[{}[\],]/g)) {
    if (token === "{" || token === "[") {
      open.push([...(name === null ? [] : [name]), ...(token === "[" ? [0] : [])]);
      name = null;
    } else if (token === "}" || token === "]") {
      open.pop();
    } else {
      name = token === "," ? null : token;
    }
  }
  return open.flat();
}

/** Where a line of YAML is in the document, from the indents above it: the path of what its key would be in. */
export function pathAt(lines: string[], line: number, column: number): (string | number)[] {
  const path: (string | number)[] = [];
  const before = lines[line]!.slice(0, column);
  let [, space = "", dashes = ""] = ENTRY.exec(before)!;
  const indent = space.length + dashes.length;
  if (dashes) path.unshift(0);
  path.push(...within(before.slice(indent)));
  let limit = dashes ? space.length : indent;
  if (limit === 0 && !dashes) return path;
  for (let above = line - 1; above >= 0; above--) {
    const text = lines[above]!;
    if (!text.trim() || text.trim().startsWith("#")) continue;
    const [, itsSpace = "", itsDashes = "", name] = ENTRY.exec(text)!;
    const itsIndent = itsSpace.length + itsDashes.length;
    const isParent = name !== undefined && /:\s*(#.*)?$/.test(text.trimEnd()) && (itsIndent < limit || (itsIndent === limit && dashes !== ""));
    if (isParent && itsIndent <= limit) {
      path.unshift(name.replaceAll('"', ""));
      limit = itsIndent;
      dashes = "";
    }
    if (itsDashes && itsSpace.length < limit || itsDashes && itsIndent === limit && path[0] !== 0) {
      path.unshift(0);
      limit = itsSpace.length;
      dashes = itsDashes;
    }
    if (limit === 0 && !dashes) break;
  }
  return path;
}
