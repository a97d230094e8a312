// The editor of the game: CodeMirror in a shadow root, where its styles are style sheets and no elements, as the page's policy
// of content wants.
import { autocompletion, completionKeymap, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { Mistake } from "../answers";
import { GameSchema, pathAt } from "./schema";

export interface Editor {
  text: () => string;
  replace: (text: string) => void;
  mark: (mistakes: Mistake[]) => void;
  goTo: (line: number, column: number) => void;
  close: () => void;
}

const theme = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--surface)", fontSize: "13px", height: "100%" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--text)", padding: "10px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--soft)", border: "none", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--tint) 45%, transparent)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--tint) !important" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--edge)", borderRadius: "8px", overflow: "hidden" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-tooltip.cm-completionInfo": { padding: "6px 10px", maxWidth: "22rem", fontFamily: "var(--sans)" },
  ".cm-diagnostic": { fontFamily: "var(--sans)", padding: "6px 10px" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--red)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--amber)" },
});

const colors = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.string, tags.content], color: "var(--text)" },
  { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--soft)" },
]);

/** An editor in `host`. `changed` is called with each change of a person's. */
export function openEditor(host: HTMLElement, text: string, editable: boolean, changed: () => void): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren();
  const schema = GameSchema.load();
  schema.catch(() => {}); // without it there is no completion, and all else
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        lintGutter(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        indentOnInput(),
        EditorView.lineWrapping,
        bracketMatching(),
        yaml(),
        syntaxHighlighting(colors),
        theme,
        EditorState.tabSize.of(2),
        EditorState.readOnly.of(!editable),
        EditorView.contentAttributes.of({ "aria-label": "Game document (YAML)", tabindex: "0" }),
        autocompletion({ override: [async (context) => complete(context, await schema)], icons: false }),
        // Tab leaves the editor: whoever has no mouse must get out. Ctrl-] and Ctrl-[ indent.
        keymap.of([{ key: "Mod-]", run: indentMore }, { key: "Mod-[", run: indentLess }, ...completionKeymap, ...lintKeymap, ...historyKeymap, ...defaultKeymap]),
        EditorView.updateListener.of((update) => { if (update.docChanged && !update.transactions.some((each) => each.isUserEvent("replace"))) changed(); }),
      ],
    }),
  });
  const place = (line: number, column: number): number => {
    const found = view.state.doc.line(Math.min(Math.max(1, line), view.state.doc.lines));
    return Math.min(found.from + Math.max(0, column - 1), found.to);
  };
  return {
    text: () => view.state.doc.toString(),
    replace: (next) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next }, userEvent: "replace" }),
    mark: (mistakes) => {
      const found: Diagnostic[] = mistakes.map(({ line, column, message, severity }) => {
        const from = place(line, column);
        const rest = view.state.sliceDoc(from, view.state.doc.lineAt(from).to);
        const word = /^[\w-]+|^"[^"]*"|^[^\s,}]+/.exec(rest)?.[0].length ?? 1;
        return { from, to: Math.min(from + word, view.state.doc.length), severity, message };
      });
      view.dispatch(setDiagnostics(view.state, found));
    },
    goTo: (line, column) => {
      view.dispatch({ selection: { anchor: place(line, column) }, scrollIntoView: true });
      view.focus();
    },
    close: () => view.destroy(),
  };
}

function complete(context: CompletionContext, schema: GameSchema): CompletionResult | null {
  const { doc } = context.state;
  const line = doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const lines = doc.toString().split("\n");
  const path = pathAt(lines, line.number - 1, before.length);
  const value = /(?:^|[\s{,-])([\w-]+):\s+([\w-]*)$/.exec(before);
  if (value) {
    const [, name = "", typed = ""] = value;
    const options = schema.at([...path, name]).flatMap((each) => (each.const !== undefined ? [each.const] : each.type === "boolean" ? [true, false] : (each.enum ?? [])));
    return options.length ? { from: context.pos - typed.length, options: options.map((each) => ({ label: String(each), type: "enum" })) } : null;
  }
  const typed = /(?:^|[\s{,-])([\w-]*)$/.exec(before)?.[1];
  if (typed === undefined || (typed === "" && !context.explicit && !/(- |\{|, ?)$/.test(before) && before.trim() !== "")) return null;
  const options = schema.at(path).flatMap((each) => Object.entries(each.properties ?? {}).map(([name, its]) => ({
    label: name,
    type: "property",
    apply: `${name}: `,
    detail: each.required?.includes(name) ? "required" : "",
    info: its.description ?? schema.ways(its)[0]?.description ?? "",
  })));
  const unique = [...new Map(options.map((each) => [each.label, each])).values()];
  return unique.length ? { from: context.pos - typed.length, options: unique } : null;
}
