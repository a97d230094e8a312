// One participant: an overview, what happened, the points ledger, and why an event would or wouldn't count.
import { useEffect, useState } from "preact/hooks";
import { get, part, participantPath, rehearse } from "../api";
import type { Fact, FactWithEffects, Profile, Rehearsal, Transaction } from "../answers";
import { may, type ViewProps } from "../app";
import { number } from "../format";
import { useAction, useLoad } from "../hooks";
import { EventForm } from "../parts/event_form";
import { FactItem } from "../parts/fact_item";
import { Card, Empty, Heading, Loading, Tabs, Trouble, When } from "../parts/ui";
import { Verdicts } from "../parts/verdicts";
import { link } from "../route";
import { Overview } from "./overview";

const TABS = [["", "Overview"], ["timeline", "Timeline"], ["points", "Points"], ["why", "Why?"]] as const;

export function ParticipantView({ id, rest, session }: ViewProps & { id: string }) {
  const mayRehearse = may(session, "ingest");
  const tabs = TABS.filter(([each]) => each !== "why" || mayRehearse);
  const tab = tabs.find(([name]) => name === rest[0])?.[0] ?? "";
  const profile = useLoad(() => get<Profile>(participantPath(id)), [id]);
  const name = profile.value?.display_name;
  return (
    <>
      <p class="crumbs"><a href={link("participants")}>Participants</a></p>
      <Heading title={name || id}>{name && <span class="soft mono"><bdi>{id}</bdi></span>}</Heading>
      <Trouble error={profile.error} />
      {!profile.value && profile.loading && <Loading />}
      {profile.value && (
        <>
          <Tabs label="Of the participant" tabs={tabs.map(([each, words]) => ({ name: words, href: link("participants", id, ...(each ? [each] : [])), current: each === tab }))} />
          {tab === "" && <Overview id={id} profile={profile.value} />}
          {tab === "timeline" && <Timeline id={id} mayRehearse={mayRehearse} />}
          {tab === "points" && <Ledger id={id} />}
          {tab === "why" && <Why key={rest[1]} id={id} factId={rest[1]} />}
        </>
      )}
    </>
  );
}

function Timeline({ id, mayRehearse }: { id: string; mayRehearse: boolean }) {
  const [facts, setFacts] = useState<FactWithEffects[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [begun, setBegun] = useState(false);
  const action = useAction();
  const more = (cursor: string | null, before: FactWithEffects[]) => action.run(async () => {
    const page = await get<{ facts: FactWithEffects[]; next_cursor: string | null }>("/api/v1/facts", { participant_id: id, include: "effects", limit: 20, cursor });
    setFacts([...before, ...page.facts]);
    setNext(page.next_cursor);
    setBegun(true);
  });
  useEffect(() => void more(null, []), [id]);
  return (
    <>
      <Trouble error={action.error} />
      {!begun && !action.error && <Loading />}
      {begun && facts.length === 0 && <Empty>No facts yet.</Empty>}
      <ol class="timeline" aria-label="Facts, newest first">{facts.map((each) => <FactItem key={each.fact_id} fact={each} mayRehearse={mayRehearse} />)}</ol>
      {next && <p class="more"><button type="button" aria-disabled={action.busy} onClick={() => void more(next, facts)}>Show older</button></p>}
    </>
  );
}

function Ledger({ id }: { id: string }) {
  const [page, setPage] = useState(1);
  const ledger = useLoad(() => get<{ transactions: Transaction[]; total: number; page_size: number }>(participantPath(id, "/points/transactions"), { page, page_size: 50 }), [id, page]);
  if (!ledger.value) return <>{ledger.loading && <Loading />}<Trouble error={ledger.error} /></>;
  const { transactions, total, page_size } = ledger.value;
  if (total === 0) return <Empty>No points awarded or spent yet.</Empty>;
  const last = Math.ceil(total / page_size);
  return (
    <>
      <Trouble error={ledger.error} />
      <div class="card flush">
        <table class="wide">
          <thead><tr><th scope="col" class="when">When</th><th scope="col">Cause</th><th scope="col" class="figure-cell">Points</th><th scope="col" class="figure-cell">Balance</th></tr></thead>
          <tbody>
            {transactions.map((each) => (
              <tr key={each.transaction_id}>
                <th scope="row"><When at={each.occurred_at} /></th>
                <td data-label="Cause"><code title={each.cause}>{each.cause.replace(/:fact_\w+$/, "")}</code></td>
                <td data-label="Points" class={`figure-cell ${each.amount < 0 ? "loss" : "gain"}`}>{each.amount < 0 ? "−" : "+"}{number(Math.abs(each.amount))}</td>
                <td data-label="Balance" class="figure-cell">{number(each.balance)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {last > 1 && (
        <nav class="more" aria-label="Pages">
          <button type="button" disabled={page === 1} onClick={() => setPage(page - 1)}>Previous</button>
          <span class="soft">Page {number(page)} of {number(last)}</span>
          <button type="button" disabled={page === last} onClick={() => setPage(page + 1)}>Next</button>
        </nav>
      )}
    </>
  );
}

/** A rehearsal, of any event or of one that was: `factId`. */
function Why({ id, factId }: { id: string; factId: string | undefined }) {
  const [rehearsal, setRehearsal] = useState<Rehearsal | null>(null);
  const action = useAction();
  const again = useLoad(async () => (factId === undefined ? null : get<Fact>(`/api/v1/facts/${part(factId)}`)), [factId]);
  if (factId !== undefined && !again.value) return <>{again.loading && <Loading />}<Trouble error={again.error} /></>;
  return (
    <div class="columns">
      <Card title="Rehearse an event">
        <p class="soft">Nothing is stored: the server works out what the event would cause now, and why each rule would or wouldn't count it.</p>
        <EventForm participant={id} from={again.value} busy={action.busy} verb="Rehearse" onSend={(event) => void action.run(async () => setRehearsal(await rehearse<Rehearsal>(event)))} />
        <Trouble error={action.error} />
      </Card>
      {rehearsal
        ? <Card title="What would happen"><Verdicts rehearsal={rehearsal} /></Card>
        : <Card title="What would happen"><Empty>Rehearse an event to see what it would cause, and each rule's verdict.</Empty></Card>}
    </div>
  );
}
