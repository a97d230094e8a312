// The game: its document, what a change would do, who leads, and what events there are.
import { useEffect, useRef, useState } from "preact/hooks";
import { change, check, get, plan } from "../api";
import type { CatalogueEntry, Fact, GameInForce, Mistake, Plan, Ranking } from "../answers";
import { may, type ViewProps } from "../app";
import { askFor } from "../consent";
import { toYaml } from "../editor/yaml";
import type { Editor } from "../editor/editor";
import { compact, counted, moment, number, percent, spaced } from "../format";
import { useAction, useLoad } from "../hooks";
import { Bar, Card, Chip, Empty, Good, Heading, Loading, Tabs, Trouble, When } from "../parts/ui";
import { link } from "../route";

const GAME = "/api/v1/gamify/admin/game";

export function GameView({ session, rest }: ViewProps) {
  const admin = may(session, "admin");
  const tabs = [...(admin ? [["document", "Document"]] : []), ...(admin ? [["leaderboards", "Leaderboards"]] : []), ["catalogue", "Catalogue"]] as [string, string][];
  const current = tabs.find(([name]) => name === rest[0])?.[0] ?? tabs[0]![0];
  return (
    <>
      <Heading title="Game" />
      <Tabs label="Of the game" tabs={tabs.map(([name, words]) => ({ name: words, href: link("game", name), current: name === current }))} />
      {current === "document" && <Document />}
      {current === "leaderboards" && <Leaderboards />}
      {current === "catalogue" && <Catalogue />}
    </>
  );
}

const START = `# Rules, in YAML. Each part is optional.
points:
  - {code: spend, on: purchase_completed, award: properties.amount}
badges:
  - code: regular
    name: Regular
    criteria: {on: purchase_completed, target: 3}
`;

const CHECK_MILLISECONDS = 500;

function Document() {
  const inForce = useLoad(() => get<GameInForce>(GAME), [], 3);
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const [mistakes, setMistakes] = useState<Mistake[]>([]);
  const [loaded, setLoaded] = useState(false);
  const [edited, setEdited] = useState(false);
  const [backfill, setBackfill] = useState(false);
  const [planned, setPlanned] = useState<Plan | null>(null);
  /** What the plan is of: what is applied is what was shown, whatever was typed since. */
  const asked = useRef({ text: "", backfill: false });
  const [applied, setApplied] = useState<number | null>(null);
  const action = useAction();
  const game = inForce.value;

  const written = (found: GameInForce): string => (found.version === 0 || Object.keys(found.game).length === 0 ? START : toYaml(found.game));
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
  const changed = () => {
    setEdited(true);
    setPlanned(null);
    setApplied(null);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void look().catch(() => {}), CHECK_MILLISECONDS);
  };

  const ready = game !== null;
  useEffect(() => {
    if (!ready || !host.current) return;
    let open = true;
    const place = host.current;
    void import("../editor/editor").then(({ openEditor }) => {
      if (!open) return;
      editor.current = openEditor(place, written(game), true, changed);
      setLoaded(true);
    });
    return () => {
      open = false;
      clearTimeout(timer.current);
      editor.current?.close();
      editor.current = null;
    };
  }, [ready]);

  const makePlan = () => action.run(async () => {
    setApplied(null);
    asked.current = { text: editor.current!.text(), backfill };
    const found = (await look()) ? await plan<Plan>(asked.current.text, backfill) : null;
    setPlanned(editor.current?.text() === asked.current.text ? found : null);
  });
  const apply = () => action.run(async () => {
    if (!planned) return;
    const consent = await askFor({
      title: "Apply this game",
      changes: changesOf(planned),
      verb: "Apply",
      final: planned.removed.length > 0,
    });
    if (!consent) return;
    const done = await change<Plan>(consent, "PUT", GAME, { query: { backfill: asked.current.backfill }, body: asked.current.text, type: "application/yaml" });
    setPlanned(null);
    setEdited(false);
    setApplied(done.version);
    inForce.reload();
  });
  const revert = () => {
    editor.current?.replace(written(game!));
    setEdited(false);
    setPlanned(null);
    show([]);
  };

  if (!game) return <>{inForce.loading && <Loading />}<Trouble error={inForce.error} /></>;
  return (
    <div class="workbench">
      <section class="card flush editing" aria-label="Document">
        <header>
          <h2>{game.version === 0 ? "No game yet" : `Version ${game.version}`}</h2>
          <div class="aside soft">{edited ? "Edited" : game.applied_at ? <>applied <When at={game.applied_at} only="relative" /></> : "A first one to begin with"}</div>
        </header>
        <div class="editor" ref={host} />
        <footer class="row">
          <button type="button" class={planned ? "" : "primary"} disabled={action.busy || !loaded} onClick={makePlan}>Plan</button>
          {edited && <button type="button" onClick={revert}>Back to what is in force</button>}
          <label class="check"><input type="checkbox" checked={backfill} onChange={(event) => { setBackfill(event.currentTarget.checked); setPlanned(null); }} /> Count facts already stored too</label>
        </footer>
      </section>
      <div class="column">
        <Trouble error={action.error} />
        {applied !== null && <Good>Version {applied} is in force.</Good>}
        {mistakes.length > 0 && (
          <Card title={counted(mistakes.length, "remark")}>
            <ul class="mistakes">
              {mistakes.map((each, place) => (
                <li key={place} class={each.severity}><button type="button" class="plain" onClick={() => editor.current?.goTo(each.line, each.column)}>Line {each.line}</button> {each.path && <><code>{each.path}</code> </>}{each.message}</li>
              ))}
            </ul>
          </Card>
        )}
        {planned && <PlanCard plan={planned} busy={action.busy} onApply={() => void apply()} />}
        <Refolds game={game} />
        <Warnings game={game} />
      </div>
    </div>
  );
}

const SIGNS = { added: "+", changed: "~", removed: "−" } as const;

function changesOf(planned: Plan): string[] {
  const lines = (["added", "changed", "removed"] as const).flatMap((kind) => planned[kind].map((each) => `${SIGNS[kind]} ${each}, ${kind}`));
  if (lines.length === 0) lines.push("No definition changes");
  const forecast = planned.forecast;
  if (forecast && forecast.payments.length > 0) lines.push(`${counted(forecast.payments.reduce((sum, each) => sum + each.points, 0), "point")} and ${counted(forecast.payments.reduce((sum, each) => sum + each.badges, 0), "badge")} awarded to ${counted(forecast.participants, "participant")} for stored facts`);
  if (planned.participants_affected) lines.push(`${counted(planned.participants_affected, "participant")} counted anew`);
  return lines;
}

/** What would be awarded at once, for what happened before. */
function Forecast({ plan: planned }: { plan: Plan }) {
  const found = planned.forecast;
  if (!found || found.payments.length === 0) return null;
  return (
    <div>
      <h3>It would award {counted(found.participants, "participant")} for facts already stored</h3>
      <ul class="lines">
        {found.payments.map((each) => <li key={each.cause}><code>{each.cause}</code><span>{[...(each.points ? [`${number(each.points)} points`] : []), ...(each.badges ? [counted(each.badges, "badge")] : [])].join(", ")} <span class="soft">to {number(each.participants)}</span></span></li>)}
      </ul>
      {found.examined < found.total && <p class="soft">Of the {number(found.examined)} of {counted(found.total, "participant")} that were looked at.</p>}
    </div>
  );
}

function PlanCard({ plan: planned, busy, onApply }: { plan: Plan; busy: boolean; onApply: () => void }) {
  const nothing = planned.added.length + planned.changed.length + planned.removed.length === 0;
  return (
    <Card title="What would change">
      <div role="status"><ul class="diff">
        {(["added", "changed", "removed"] as const).flatMap((kind) => planned[kind].map((each) => <li key={kind + each} class={kind}><span aria-hidden="true">{SIGNS[kind]}</span> <code>{each}</code> <span class="soft">{kind}</span></li>))}
        {nothing && <li class="soft">No definition changes.</li>}
      </ul></div>
      <p class="soft">{counted(planned.unchanged, "definition")} unchanged, {counted(planned.participants_affected, "participant")} affected{planned.recomputed.length > 0 && `; ${planned.recomputed.join(", ")} counted anew for everyone`}.</p>
      <Forecast plan={planned} />
      {planned.warnings.map((each) => <p key={each} class="notice warn">{each.replace(/^\d+:\d+: warning: /, "")}</p>)}
      <p><button type="button" class={nothing ? "" : "primary"} disabled={busy} onClick={onApply}>Apply</button></p>
    </Card>
  );
}

function Refolds({ game }: { game: GameInForce }) {
  const open = game.refolds.filter((each) => each.finished_at === null);
  if (open.length === 0) return null;
  return (
    <Card title="Counted anew">
      {open.map((each) => (
        <div class="item" key={each.started_at + each.definitions.join()}>
          <p>{each.definitions.join(", ")}</p>
          <div class="overall"><Bar value={each.done} target={Math.max(1, each.total)} label="Participants counted anew" /><span>{number(each.done)} of {number(each.total)}</span></div>
        </div>
      ))}
    </Card>
  );
}

function Warnings({ game }: { game: GameInForce }) {
  if (game.warnings.length === 0) return null;
  return (
    <Card title="Expressions without a value" aside={<span class="soft">These facts didn't match</span>}>
      {game.warnings.map((each) => (
        <div class="item" key={each.definition + each.message}>
          <div class="between"><h3><code>{each.definition}</code></h3><Chip kind="warn">{counted(each.count, "fact")}</Chip></div>
          <p class="wrong">{each.message}</p>
          <Sample id={each.sample_fact_id} />
        </div>
      ))}
    </Card>
  );
}

function Sample({ id }: { id: string }) {
  const fact = useLoad(() => get<Fact>(`/api/v1/facts/${id}`), [id]);
  if (!fact.value) return null;
  return <p class="soft">Such as <bdi>{fact.value.event_name}</bdi> by <a href={link("participants", fact.value.participant_id, "timeline")}><bdi>{fact.value.participant_id}</bdi></a>: <bdi class="mono">{compact(fact.value.properties)}</bdi></p>;
}

interface Board { code: string; name?: string; window?: string | string[] }

function Leaderboards() {
  const game = useLoad(() => get<GameInForce>(GAME), []);
  if (!game.value) return <>{game.loading && <Loading />}<Trouble error={game.error} /></>;
  const boards = (game.value.game.leaderboards ?? []) as Board[];
  if (boards.length === 0) return <Empty>The game has no leaderboards.</Empty>;
  return <div class="columns even">{boards.map((each) => <BoardCard key={each.code} board={each} />)}</div>;
}

const CHANGES = { up: "▲", same: "•", down: "▼", new: "new" };

function BoardCard({ board }: { board: Board }) {
  const windows = [board.window ?? "all_time"].flat();
  const [period, setPeriod] = useState(windows[0]!);
  const ranking = useLoad(() => get<Ranking>(`/api/v1/gamify/leaderboards/${board.code}`, { period, limit: 10 }), [period], 5);
  const pick = windows.length > 1 && (
    <select value={period} aria-label={`Window of ${board.name ?? board.code}`} onChange={(event) => setPeriod(event.currentTarget.value)}>{windows.map((each) => <option key={each} value={each}>{spaced(each)}</option>)}</select>
  );
  return (
    <Card title={board.name ?? board.code} aside={pick || <span class="soft">{spaced(period)}</span>}>
      <Trouble error={ranking.error} />
      {ranking.value && (ranking.value.entries.length === 0 ? <Empty>Nobody has a score in this window.</Empty> : (
        <ol class="ranking">
          {ranking.value.entries.map((each) => (
            <li key={each.participant_id}>
              <span class="place">{each.rank}</span>
              <a href={link("participants", each.participant_id)}><bdi>{each.participant_id}</bdi></a>
              {each.change && <span class={`move ${each.change}`} title="Against the window before">{CHANGES[each.change]}<span class="unseen"> against the window before: {each.change}</span></span>}
              <strong>{number(each.score)}</strong>
            </li>
          ))}
        </ol>
      ))}
      {ranking.value && ranking.value.total_participants > 10 && <p class="soft">Of {counted(ranking.value.total_participants, "participant")}</p>}
    </Card>
  );
}

function Catalogue() {
  const found = useLoad(() => get<{ events: CatalogueEntry[] }>("/api/v1/events/catalog"), [], 10);
  if (!found.value) return <>{found.loading && <Loading />}<Trouble error={found.error} /></>;
  if (found.value.events.length === 0) return <Empty>No event has been seen yet.</Empty>;
  return (
    <div class="columns even">
      {found.value.events.map((each) => (
        <section class="card" key={each.event_name} aria-label={each.event_name}>
          <header><h2 class="event"><bdi>{each.event_name}</bdi></h2><div class="aside soft">{counted(each.count, "event")}</div></header>
          {each.similar_to.length > 0 && <p class="notice warn">Likely a slip of <strong><bdi>{each.similar_to[0]}</bdi></strong></p>}
          {each.properties.length === 0 ? <p class="soft">Without properties</p> : (
            <ul class="lines">
              {each.properties.map((its) => <li key={its.name}><bdi class="mono">{its.name}</bdi><span class="soft">{Object.keys(its.types).join(" or ")}{its.share < 1 && `, in ${percent(its.share)}`}</span></li>)}
            </ul>
          )}
          <p class="soft">First {moment(each.first_seen_at).slice(0, 10)}, last <When at={each.last_seen_at} only="relative" /></p>
        </section>
      ))}
    </div>
  );
}
