// What only test environments have: a clock to move, a reset, a copy to take along; and an event to send.
import { useRef, useState } from "preact/hooks";
import { change, get, request } from "../api";
import type { Effect, SandboxClock } from "../answers";
import { may, type ViewProps } from "../app";
import { askFor } from "../consent";
import { counted, moment } from "../format";
import { useAction, useLoad } from "../hooks";
import { Effects } from "../parts/effects";
import { EventForm, type EventToSend } from "../parts/event_form";
import { Card, Chip, Empty, Good, Heading, Loading, Trouble } from "../parts/ui";
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

interface Sent { event: EventToSend; effects: Effect[] }

function SendCard() {
  const [sent, setSent] = useState<Sent[]>([]);
  const action = useAction();
  const send = (event: EventToSend) => void action.run(async () => {
    const consent = await askFor({ title: `Send ${event.event_name}`, changes: [`${event.participant_id} gets a fact, and all that follows from it`], verb: "Send" });
    if (!consent) return;
    const { effects } = await change<{ effects: Effect[] }>(consent, "POST", "/api/v1/ingest/events/sync", { query: { include: "effects" }, body: event });
    setSent((before) => [{ event, effects }, ...before].slice(0, 10));
  });
  return (
    <Card title="Send an event">
      <EventForm busy={action.busy} verb="Send" onSend={send} />
      <Trouble error={action.error} />
      <ol class="timeline inner" role="status">
        {sent.map(({ event, effects }, place) => (
          <li key={sent.length - place}>
            <h3 class="event"><bdi>{event.event_name}</bdi> <span class="soft">by</span> <a href={link("participants", event.participant_id)}><bdi>{event.participant_id}</bdi></a></h3>
            <Effects effects={effects} />
          </li>
        ))}
      </ol>
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
    <Card title="Clock" aside={state && <Chip kind={state.real ? "" : "accent"}>{state.real ? "Real clock" : state.frozen ? "Stands still" : "Goes on"}</Chip>}>
      {!state && (clock.error ? <Trouble error={clock.error} /> : <Loading />)}
      {state && <p class="clock-face"><time dateTime={state.now}>{moment(state.now.slice(0, 19) + "Z")}</time> <span class="soft">UTC</span></p>}
      {admin && (
        <div class="stack">
          <div class="row" role="group" aria-label="Jump ahead">{JUMPS.map(([words, by]) => <button type="button" key={by} disabled={action.busy} onClick={() => jump(by)}>{words}</button>)}</div>
          <div class="slide">
            <label class="field"><span>{counted(days, "day")} ahead</span><input type="range" min={1} max={MOST_DAYS} value={days} onInput={(event) => setDays(Number(event.currentTarget.value))} /></label>
            <button type="button" disabled={action.busy} onClick={() => jump(`P${days}D`)}>Jump</button>
          </div>
          <form class="slide" onSubmit={(event) => { event.preventDefault(); move("Set the clock", `Every «now» of the environment is ${at} UTC`, (consent) => change(consent, "PUT", `${SANDBOX}/clock`, { body: { now: `${at.length === 16 ? `${at}:00` : at}Z`, frozen } })); }}>
            <label class="field"><span>Set to (UTC)</span><input type="datetime-local" value={at} required onInput={(event) => setAt(event.currentTarget.value)} /></label>
            <label class="check"><input type="checkbox" checked={frozen} onChange={(event) => setFrozen(event.currentTarget.checked)} /> Stands still</label>
            <button type="submit" disabled={action.busy}>Set</button>
          </form>
          {state && !state.real && <p><button type="button" disabled={action.busy} onClick={() => move("Read the real clock again", "Every «now» of the environment is the real one", (consent) => change(consent, "DELETE", `${SANDBOX}/clock`))}>Read the real clock again</button></p>}
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
    const story = await (await request("GET", `${SANDBOX}/export`)).blob();
    const address = URL.createObjectURL(story);
    const anchor = document.createElement("a");
    anchor.href = address;
    anchor.download = "environment.ndjson";
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
  const lay = () => void action.run(async () => {
    const file = picked.current?.files?.[0];
    if (!file) return;
    setDone("");
    const consent = await askFor({ title: `Import ${file.name}`, changes: ["The facts, participants and the game of the file are laid into this environment"], verb: "Import" });
    if (!consent) return;
    const laid = await change<{ facts: number; participants: number; game: boolean }>(consent, "POST", `${SANDBOX}/import`, { body: file, type: "application/x-ndjson" });
    setDone(`${counted(laid.facts, "fact")} imported${laid.game ? ", and their game is in force" : ""}.`);
  });
  return (
    <Card title="Take it along">
      <p class="soft">An export holds the game, the participants and the facts. It can be imported where there are no facts yet.</p>
      <div class="row"><button type="button" disabled={action.busy} onClick={take}>Export</button></div>
      {admin && (
        <div class="slide">
          <label class="field"><span>Export to import</span><input ref={picked} type="file" accept=".ndjson" /></label>
          <button type="button" disabled={action.busy} onClick={lay}>Import</button>
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
    const changes = ["Every fact, participant and award of the test environment is removed", "The clock is the real one again", ...(game ? ["The game is removed too"] : ["The game stays"])];
    const consent = await askFor({ title: "Empty the test environment", changes, verb: "Empty it", final: true });
    if (!consent) return;
    await change(consent, "POST", `${SANDBOX}/reset`, { body: { game } });
    setDone("The environment is empty.");
  });
  return (
    <Card title="Start over">
      <div class="row">
        <button type="button" class="danger" disabled={action.busy} onClick={reset}>Empty the environment…</button>
        <label class="check"><input type="checkbox" checked={game} onChange={(event) => setGame(event.currentTarget.checked)} /> The game too</label>
      </div>
      {done && <Good>{done}</Good>}
      <Trouble error={action.error} />
    </Card>
  );
}
