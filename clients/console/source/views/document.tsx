// The document of the game, in an editor that knows what may stand where; a change is planned before it is applied.
import { useEffect, useRef, useState } from "preact/hooks";
import { change, check, get, plan } from "../api";
import type { GameInForce, Mistake, Plan } from "../answers";
import { askFor } from "../consent";
import { toYaml } from "../editor/yaml";
import type { Editor } from "../editor/editor";
import { counted } from "../format";
import { useAction, useLoad } from "../hooks";
import { Card, Good, Loading, Trouble, When } from "../parts/ui";
import { Refolds, Warnings } from "./game_health";
import { changesOf, PlanCard } from "./plan";

const GAME = "/api/v1/gamify/admin/game";
const START = `# Rules, in YAML. Each part is optional.
points:
  - {code: spend, on: purchase_completed, award: properties.amount}
badges:
  - code: regular
    name: Regular
    criteria: {on: purchase_completed, target: 3}
`;

const CHECK_MILLISECONDS = 500;

/** What was written and not applied: looking at another view must not lose it. */
interface Draft {
  /** The key that it was written with. */
  owner: string;
  text: string;
  /** The game that it changes. */
  base: string;
}

let draft: Draft | null = null;

addEventListener("beforeunload", (event) => { if (draft) event.preventDefault(); });

const textOf = ({ version, game }: GameInForce): string => (version === 0 ? START : toYaml(game) || "points: []\n");

/** What tells one game from another: its version also grows when a recomputation ends. */
const printOf = ({ game }: GameInForce): string => JSON.stringify(game);

/** Whether two plans change the same definitions; how many people that concerns may differ from second to second. */
const same = (one: Plan, other: Plan): boolean => (["added", "changed", "removed", "recomputed"] as const).every((kind) => one[kind].join() === other[kind].join());

export function Document({ owner }: { owner: string }) {
  const inForce = useLoad(() => get<GameInForce>(GAME), [], 3);
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const [mistakes, setMistakes] = useState<Mistake[]>([]);
  const [loaded, setLoaded] = useState(false);
  const [edited, setEdited] = useState(draft?.owner === owner);
  /** The game that the text stems from. */
  const base = useRef("");
  /** The version that was in force once this tab had applied one: what was read before that is old. */
  const since = useRef(0);
  const [backfill, setBackfill] = useState(false);
  const [planned, setPlanned] = useState<Plan | null>(null);
  /** What the plan is of: what is applied is what was shown, whatever was typed since. */
  const asked = useRef({ text: "", backfill: false });
  const [applied, setApplied] = useState<number | null>(null);
  const action = useAction();
  const game = inForce.value;

  /** Whether it could be applied. */
  const look = async (): Promise<boolean> => {
    const text = editor.current!.text();
    const found = await check<{ valid: boolean; mistakes: Mistake[] }>(text);
    if (editor.current?.text() === text) show(found.mistakes);
    return found.valid;
  };
  const show = (found: Mistake[]) => {
    setMistakes(found);
    editor.current?.mark(found);
  };
  const lookSoon = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void look().catch(() => {}), CHECK_MILLISECONDS);
  };
  const changed = () => {
    draft = { owner, text: editor.current!.text(), base: base.current };
    setEdited(true);
    setPlanned(null);
    setApplied(null);
    lookSoon();
  };

  const ready = game !== null;
  useEffect(() => {
    if (!ready || !host.current) return;
    let open = true;
    const place = host.current;
    void import("../editor/editor").then(({ openEditor }) => {
      if (!open) return;
      const kept = draft?.owner === owner ? draft : null;
      base.current = kept?.base ?? printOf(game);
      editor.current = openEditor(place, kept?.text ?? textOf(game), true, changed);
      setLoaded(true);
      if (kept) lookSoon();
    }).catch((error: Error) => void action.run(() => Promise.reject(error)));
    return () => {
      open = false;
      clearTimeout(timer.current);
      editor.current?.close();
      editor.current = null;
    };
  }, [ready]);

  const reset = (found: GameInForce) => {
    draft = null;
    base.current = printOf(found);
    editor.current?.replace(textOf(found));
    setEdited(false);
    setPlanned(null);
    setApplied(null);
    show([]);
  };
  // Another game is in force, applied elsewhere: it is shown, unless that would overwrite what was written.
  const elsewhere = loaded && game !== null && !action.busy && game.version >= since.current && printOf(game) !== base.current;
  useEffect(() => { if (elsewhere && !edited) reset(game); }, [elsewhere, edited]);

  const makePlan = () => action.run(async () => {
    setApplied(null);
    asked.current = { text: editor.current!.text(), backfill };
    const found = (await look()) ? await plan<Plan>(asked.current.text, backfill) : null;
    setPlanned(editor.current?.text() === asked.current.text ? found : null);
  });
  const apply = () => action.run(async () => {
    if (!planned) return;
    const consent = await askFor({ title: "Apply this game", changes: changesOf(planned), verb: "Apply", final: planned.removed.length > 0 });
    if (!consent) return;
    const { text, backfill: paying } = asked.current;
    // The environment has gone on since: what was agreed to must still be what happens.
    const now = await plan<Plan>(text, paying);
    if (!same(now, planned)) {
      setPlanned(now);
      throw new Error("What would change is different by now. Look at it again: nothing has been applied.");
    }
    const done = await change<Plan>(consent, "PUT", GAME, { query: { backfill: paying }, body: text, type: "application/yaml" });
    if (editor.current?.text() === text) {
      draft = null;
      setEdited(false);
    }
    const after = await get<GameInForce>(GAME);
    base.current = printOf(after);
    since.current = after.version;
    setPlanned(null);
    setApplied(done.version);
    inForce.reload();
  });

  if (!game) return <>{inForce.loading && <Loading />}<Trouble error={inForce.error} /></>;
  return (
    <div class="workbench">
      <section class="card flush editing" aria-label="Document">
        <header>
          <h2>{game.version === 0 ? "No game yet" : `Version ${game.version}`}</h2>
          <div class="aside soft">{edited ? "Edited, not applied" : game.applied_at ? <>applied <When at={game.applied_at} only="relative" /></> : "An example to start from"}</div>
        </header>
        {elsewhere && edited && <p class="notice warn">Version {game.version} was applied meanwhile. A plan shows how your document differs from it.</p>}
        <div class="editor" ref={host}>{!loaded && <Loading />}</div>
        <footer class="row">
          <button type="button" class={planned ? "" : "primary"} aria-disabled={action.busy} disabled={!loaded} onClick={makePlan}>Plan</button>
          {edited && <button type="button" onClick={() => reset(game)}>Discard changes</button>}
          <label class="check"><input type="checkbox" checked={backfill} onChange={(event) => { setBackfill(event.currentTarget.checked); setPlanned(null); }} /> Count stored facts too</label>
        </footer>
      </section>
      <div class="column">
        <Trouble error={action.error ?? inForce.error} />
        {applied !== null && <Good>Version {applied} is in force.</Good>}
        {mistakes.length > 0 && (
          <Card title={counted(mistakes.length, "problem")}>
            <ul class="mistakes">
              {mistakes.map((each, place) => (
                <li key={place} class={each.severity}><button type="button" class="plain" onClick={() => editor.current?.goTo(each.line, each.column)}>Line {each.line}</button> {each.path && <><code>{each.path}</code> </>}{each.message}</li>
              ))}
            </ul>
          </Card>
        )}
        {planned && <PlanCard plan={planned} busy={action.busy} onApply={() => void apply()} />}
        {!planned && mistakes.length === 0 && applied === null && <Card title="What would change"><p class="soft">Plan to see what applying this document would change and award. A plan changes nothing.</p><p class="soft">In the editor, <kbd>Ctrl</kbd>+<kbd>Space</kbd> completes, <kbd>Ctrl</kbd>+<kbd>]</kbd> and <kbd>Ctrl</kbd>+<kbd>[</kbd> indent.</p></Card>}
        <Refolds game={game} />
        <Warnings game={game} />
      </div>
    </div>
  );
}
