// What only test environments have: a clock to move, a reset, export and import; and an event to send.
import { useRef, useState } from "preact/hooks";
import { change, download, get } from "../api";
import type { Effect, SandboxClock } from "../answers";
import { may, type ViewProps } from "../app";
import { askFor } from "../consent";
import { counted, fromLocal, moment } from "../format";
import { useAction, useLoad } from "../hooks";
import { Effects } from "../parts/effects";
import { EventForm, type EventToSend } from "../parts/event_form";
import { Card, Chip, Empty, Good, Heading, Loading, Raw, Trouble } from "../parts/ui";
import { link } from "../route";

const SANDBOX = "/api/v1/sandbox";

export function SandboxView({ session }: ViewProps) {
  const admin = may(session, "admin");
  if (session.environment !== "test") return <><Heading title="Sandbox" /><Empty>The sandbox is for test environments, and this key is of the live one.</Empty></>;
  return (
    <>
      <Heading title="Sandbox" />
      <div class="columns">
        <div class="column">{may(session, "ingest") && <SendCard />}</div>
        <div class="column">
          <ClockCard admin={admin} />
          <StoryCard admin={admin} />
          {admin && <ResetCard />}
        </div>
      </div>
    </>
  );
}

interface Answer { fact_id: string; effects: Effect[]; warnings?: { code: string; detail: string }[] }
interface Sent { event: EventToSend; answer: Answer }

function SendCard() {
  const [sent, setSent] = useState<Sent[]>([]);
  const action = useAction();
  const send = (event: EventToSend) => void action.run(async () => {
    const consent = await askFor({ title: `Send ${event.event_name}`, changes: [`${event.participant_id} gets a fact, and all that follows from it`], verb: "Send" });
    if (!consent) return;
    const answer = await change<Answer>(consent, "POST", "/api/v1/ingest/events/sync", { query: { include: "effects" }, body: event });
    setSent((before) => [{ event, answer }, ...before].slice(0, 10));
  });
  return (
    <Card title="Send an event">
      <EventForm busy={action.busy} verb="Send" onSend={send} />
      <Trouble error={action.error} />
      <div role="status" class="may-be-empty">
        {sent.length > 0 && <ol class="timeline inner" aria-label="Sent, newest first">
          {sent.map(({ event, answer }) => (
            <li key={answer.fact_id}>
              <h3 class="event"><bdi>{event.event_name}</bdi> <span class="soft">by</span> <a href={link("participants", event.participant_id)}><bdi>{event.participant_id}</bdi></a></h3>
              {answer.warnings?.map((each) => <p key={each.code + each.detail} class="notice warn">{each.detail}</p>)}
              <Raw beside={<Effects effects={answer.effects} />} value={answer} aside={<a href={link("participants", event.participant_id, "why", answer.fact_id)} aria-label={`Why? ${event.event_name}`}>Why?</a>} />
            </li>
          ))}
        </ol>}
      </div>
    </Card>
  );
}

const JUMPS: [string, string][] = [["+1 hour", "PT1H"], ["+1 day", "P1D"], ["+1 week", "P7D"], ["+30 days", "P30D"]];
const MOST_DAYS = 90;

function ClockCard({ admin }: { admin: boolean }) {
  const clock = useLoad(() => get<SandboxClock>(`${SANDBOX}/clock`), [], 5);
  const [days, setDays] = useState(3);
  const [at, setAt] = useState("");
  const [frozen, setFrozen] = useState(true);
  const action = useAction();
  const move = (title: string, changes: string, work: (consent: NonNullable<Awaited<ReturnType<typeof askFor>>>) => Promise<unknown>) => void action.run(async () => {
    const consent = await askFor({ title, changes: [changes], verb: "Move the clock" });
    if (!consent) return;
    await work(consent);
    clock.reload();
  });
  const jump = (by: string) => move("Move the clock ahead", `Every «now» of the environment is ${by} later`, (consent) => change(consent, "POST", `${SANDBOX}/clock/advance`, { body: { by } }));
  const state = clock.value;
  return (
    <Card title="Clock" aside={state && <Chip kind={state.real ? "" : "accent"}>{state.real ? "Real clock" : state.frozen ? "Frozen" : "Running"}</Chip>}>
      {!state && (clock.error ? <Trouble error={clock.error} /> : <Loading />)}
      {state && <p class="clock-face"><time dateTime={state.now}>{moment(state.now.slice(0, 19) + "Z")}</time> <span class="soft">UTC</span></p>}
      {admin && (
        <div class="stack">
          <div class="row" role="group" aria-label="Jump ahead">{JUMPS.map(([words, by]) => <button type="button" key={by} aria-disabled={action.busy} onClick={() => jump(by)}>{words}</button>)}</div>
          <div class="slide">
            <label class="field"><span>{counted(days, "day")} ahead</span><input type="range" min={1} max={MOST_DAYS} value={days} onInput={(event) => setDays(Number(event.currentTarget.value))} /></label>
            <button type="button" aria-disabled={action.busy} onClick={() => jump(`P${days}D`)}>Jump</button>
          </div>
          <form class="slide" onSubmit={(event) => { event.preventDefault(); move("Set the clock", `Every «now» of the environment is ${at} UTC`, (consent) => change(consent, "PUT", `${SANDBOX}/clock`, { body: { now: fromLocal(at), frozen } })); }}>
            <label class="field"><span>Set to (UTC)</span><input type="datetime-local" value={at} required onInput={(event) => setAt(event.currentTarget.value)} /></label>
            <label class="check"><input type="checkbox" checked={frozen} onChange={(event) => setFrozen(event.currentTarget.checked)} /> Frozen</label>
            <button type="submit" aria-disabled={action.busy}>Set</button>
          </form>
          {state && !state.real && <p><button type="button" aria-disabled={action.busy} onClick={() => move("Use the real clock", "Every «now» of the environment is the real one", (consent) => change(consent, "DELETE", `${SANDBOX}/clock`))}>Use the real clock</button></p>}
          <Trouble error={action.error} />
        </div>
      )}
    </Card>
  );
}

function StoryCard({ admin }: { admin: boolean }) {
  const action = useAction();
  const [done, setDone] = useState("");
  const picked = useRef<HTMLInputElement>(null);
  const take = () => void action.run(async () => {
    setDone("");
    const story = await download(`${SANDBOX}/export`);
    const address = URL.createObjectURL(story);
    const anchor = document.createElement("a");
    anchor.href = address;
    anchor.download = "environment.ndjson";
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
  const bring = () => void action.run(async () => {
    const file = picked.current?.files?.[0];
    if (!file) return;
    setDone("");
    const consent = await askFor({ title: `Import ${file.name}`, changes: ["The facts, the participants and the game of the file are added to this environment"], verb: "Import" });
    if (!consent) return;
    const brought = await change<{ facts: number; participants: number; game: boolean }>(consent, "POST", `${SANDBOX}/import`, { body: file, type: "application/x-ndjson" });
    setDone(`${counted(brought.facts, "fact")} imported${brought.game ? ", and the game is in force" : ""}.`);
  });
  return (
    <Card title="Export and import">
      <p class="soft">An export holds the game, the participants and the facts. It can be imported where there are no facts yet.</p>
      <div class="row"><button type="button" aria-disabled={action.busy} onClick={take}>Export</button></div>
      {admin && (
        <div class="slide">
          <label class="field"><span>File to import</span><input ref={picked} type="file" accept=".ndjson" /></label>
          <button type="button" aria-disabled={action.busy} onClick={bring}>Import</button>
        </div>
      )}
      {done && <Good>{done}</Good>}
      <Trouble error={action.error} />
    </Card>
  );
}

function ResetCard() {
  const [game, setGame] = useState(false);
  const [done, setDone] = useState("");
  const action = useAction();
  const reset = () => void action.run(async () => {
    setDone("");
    const changes = ["Every fact, participant and award of the test environment is removed", "The clock is the real one again", ...(game ? ["The game is removed too"] : ["The game stays in force"])];
    const consent = await askFor({ title: "Reset the test environment", changes, verb: "Reset", final: true });
    if (!consent) return;
    await change(consent, "POST", `${SANDBOX}/reset`, { body: { game } });
    setDone("The environment was reset: it is empty.");
  });
  return (
    <Card title="Reset">
      <p class="soft">Removes every fact, participant and award, so that a story can be played again.</p>
      <div class="row">
        <button type="button" class="danger" aria-disabled={action.busy} onClick={reset}>Reset the environment…</button>
        <label class="check"><input type="checkbox" checked={game} onChange={(event) => setGame(event.currentTarget.checked)} /> Remove the game too</label>
      </div>
      {done && <Good>{done}</Good>}
      <Trouble error={action.error} />
    </Card>
  );
}
