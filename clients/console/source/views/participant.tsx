// One participant: where they stand, what happened, and why something would or wouldn't count.
import { useEffect, useState } from "preact/hooks";
import { get, part, rehearse } from "../api";
import type { Badge, Challenge, Fact, FactWithEffects, Profile, Rehearsal, State, Streak, Transaction } from "../answers";
import { may, type ViewProps } from "../app";
import { compact, counted, moment, number, percent, spaced } from "../format";
import { useAction, useLoad, useNow } from "../hooks";
import { EventForm } from "../parts/event_form";
import { FactItem } from "../parts/fact_item";
import { Bar, Card, Chip, Empty, Figure, Heading, Loading, Tabs, Trouble, When } from "../parts/ui";
import { Verdicts } from "../parts/verdicts";
import { link } from "../route";

const path = (id: string, rest = ""): string => `/api/v1/gamify/participants/${part(id)}${rest}`;

const TABS = [["", "Standing"], ["timeline", "Timeline"], ["points", "Points"], ["why", "Why?"]] as const;

export function ParticipantView({ id, rest, session }: ViewProps & { id: string }) {
  const tab = TABS.find(([name]) => name === rest[0])?.[0] ?? "";
  const profile = useLoad(() => get<Profile>(path(id)), [id]);
  const name = profile.value?.display_name;
  return (
    <>
      <p class="crumbs"><a href={link("participants")}>Participants</a></p>
      <Heading title={name || id}>{name && <span class="soft mono"><bdi>{id}</bdi></span>}</Heading>
      <Trouble error={profile.error} />
      {profile.value && (
        <>
          <Tabs label="Of the participant" tabs={TABS.filter(([each]) => each !== "why" || may(session, "ingest")).map(([each, words]) => ({ name: words, href: link("participants", id, ...(each ? [each] : [])), current: each === tab }))} />
          {tab === "" && <Standing id={id} profile={profile.value} />}
          {tab === "timeline" && <Timeline id={id} />}
          {tab === "points" && <Ledger id={id} />}
          {tab === "why" && <Why id={id} />}
        </>
      )}
    </>
  );
}

function Standing({ id, profile }: { id: string; profile: Profile }) {
  const state = useLoad(() => get<State>(path(id, "/state")), [id], 5);
  if (!state.value) return <>{state.loading && <Loading />}<Trouble error={state.error} /></>;
  const { points, tier, badges, streaks, challenges, leaderboards } = state.value;
  const next = tier.next_tier;
  const attributes = Object.entries(profile.attributes);
  return (
    <>
      <div class="figures">
        <Figure label="Points" value={points.balance} note={`${number(points.total_earned)} earned, ${number(points.total_spent)} spent`} />
        <Figure label="Tier" value={tier.current_tier?.name ?? "None"} note={next ? `${number(next.points_remaining)} points to ${next.name}` : undefined} />
        <Figure label="Badges" value={`${badges.filter((each) => each.earned).length} of ${badges.length}`} />
        <Figure label="Events" value={state.value.total_events} note={<>since <When at={profile.created_at} /></>} />
      </div>
      <div class="columns">
        <div class="column">
          <Card title="Challenges">{challenges.length === 0 ? <Empty>The game has no challenges.</Empty> : challenges.map((each) => <ChallengeCard key={each.code} challenge={each} />)}</Card>
          <Calendar id={id} />
        </div>
        <div class="column">
          <Card title="Streaks">{streaks.length === 0 ? <Empty>No streak has begun.</Empty> : streaks.map((each) => <StreakCard key={each.code} streak={each} />)}</Card>
          <Card title="Badges">{badges.length === 0 ? <Empty>The game has no badges.</Empty> : <ul class="badges">{badges.map((each) => <BadgeItem key={each.code} badge={each} />)}</ul>}</Card>
          {leaderboards.length > 0 && (
            <Card title="Leaderboards">
              <ul class="lines">{leaderboards.map((each) => <li key={each.leaderboard_code}><span>{spaced(each.leaderboard_code)} <span class="soft">{spaced(each.period)}</span></span><span><strong>#{number(each.rank)}</strong> <span class="soft">with {number(each.score)}</span></span></li>)}</ul>
            </Card>
          )}
          {attributes.length > 0 && (
            <Card title="Attributes"><dl class="pairs">{attributes.map(([name, value]) => <div key={name}><dt>{name}</dt><dd class="mono">{compact(value)}</dd></div>)}</dl></Card>
          )}
        </div>
      </div>
    </>
  );
}

const STATUS: Record<Challenge["status"], [string, string]> = {
  active: ["Active", "accent"],
  completed: ["Completed", "good"],
  expired: ["Expired", ""],
  upcoming: ["Upcoming", ""],
  not_enrolled: ["Not enrolled", ""],
};

function ChallengeCard({ challenge }: { challenge: Challenge }) {
  const [words, kind] = STATUS[challenge.status];
  return (
    <article class="item">
      <div class="between"><h3>{challenge.name}</h3><Chip kind={kind}>{words}</Chip></div>
      {challenge.description && <p class="soft">{challenge.description}</p>}
      <div class="overall">
        <Bar value={challenge.progress} target={1} label={`${challenge.name}: progress`} done={challenge.progress >= 1} />
        <span>{percent(challenge.progress)}</span>
      </div>
      <ul class="objectives">
        {challenge.objectives.map((each) => (
          <li key={each.code} class={each.completed ? "met" : ""}>
            <span>{each.completed && <span class="tick" aria-hidden="true">✓</span>}{each.name ?? spaced(each.code)}{each.completed && <span class="unseen">, met</span>}</span>
            <span class="soft">{number(each.value)} of {number(each.target)}</span>
          </li>
        ))}
      </ul>
      {challenge.milestones.length > 0 && <p class="marks">{challenge.milestones.map((each) => <Chip key={each.at} kind={each.reached ? "good" : ""}>{percent(each.at)}{each.reached ? " reached" : ""}</Chip>)}</p>}
      {challenge.expires_at && challenge.status === "active" && <p class="soft">Ends <When at={challenge.expires_at} only="relative" /></p>}
      {challenge.completed_at && <p class="soft">Completed <When at={challenge.completed_at} /></p>}
    </article>
  );
}

function StreakCard({ streak }: { streak: Streak }) {
  const next = streak.milestones.find((each) => !each.reached);
  return (
    <article class="item">
      <div class="between"><h3>{streak.name ?? spaced(streak.code)}</h3>{streak.is_at_risk ? <Chip kind="warn">At risk</Chip> : <Chip>{streak.period}</Chip>}</div>
      <p><strong class="big">{number(streak.current_count)}</strong> <span class="soft">now, longest {number(streak.longest_count)}{next && `, next milestone at ${number(next.at)}`}</span></p>
      {next && <Bar value={streak.longest_count} target={next.at} label={`${streak.name ?? streak.code}: to the next milestone`} />}
      {streak.expires_at && <p class="soft">Lost <When at={streak.expires_at} only="relative" /> without another, {streak.timezone}</p>}
    </article>
  );
}

function BadgeItem({ badge }: { badge: Badge }) {
  return (
    <li class={badge.earned ? "earned" : ""}>
      <span class={`medal ${badge.rarity}`} aria-hidden="true">{badge.earned ? "★" : "☆"}</span>
      <div>
        <strong>{badge.name}</strong>
        <span class="soft">{badge.rarity}{badge.earned_at ? `, ${moment(badge.earned_at).slice(0, 10)}` : badge.progress ? `, ${percent(badge.progress)}` : ", not held"}</span>
      </div>
    </li>
  );
}

const WEEKS = 16;
const DAY = 86_400_000;

/** The days of the last weeks, and how many facts each had: where a streak held, and where it broke. */
function Calendar({ id }: { id: string }) {
  const now = useNow();
  const newest = useLoad(() => get<{ events: { occurred_at: string }[] }>(path(id, "/events"), { page_size: 1 }), [id]);
  const latest = newest.value?.events[0] ? Date.parse(newest.value.events[0].occurred_at) : now;
  // Where nothing was for long, the weeks up to the last that was.
  const today = Math.floor((now - latest > 7 * WEEKS * DAY ? latest : now) / DAY) * DAY;
  const weekday = (new Date(today).getUTCDay() + 6) % 7;
  const first = today - (weekday + 7 * (WEEKS - 1)) * DAY;
  const facts = useLoad(() => get<{ facts: Fact[]; next_cursor: string | null }>("/api/v1/facts", { participant_id: id, since: new Date(first).toISOString(), until: new Date(today + DAY).toISOString(), limit: 1000 }), [id, first]);
  const counts = new Map<number, number>();
  for (const each of facts.value?.facts ?? []) {
    const day = Math.floor(Date.parse(each.occurred_at) / DAY) * DAY;
    counts.set(day, (counts.get(day) ?? 0) + 1);
  }
  const most = Math.max(1, ...counts.values());
  const days = Array.from({ length: WEEKS * 7 }, (_, place) => first + place * DAY).filter((day) => day <= today);
  const active = days.filter((day) => counts.has(day)).length;
  const label = `${counted(active, "day")} with facts in the ${WEEKS} weeks up to ${new Date(today).toISOString().slice(0, 10)}`;
  return (
    <Card title="Days" aside={<span class="soft">{facts.value?.next_cursor ? "of the newest 1,000 facts" : `up to ${new Date(today).toISOString().slice(0, 10)}`}</span>}>
      <Trouble error={facts.error} />
      <svg class="calendar" viewBox={`0 0 ${WEEKS * 15} 105`} role="img" aria-label={label}>
        {days.map((day) => {
          const place = Math.round((day - first) / DAY);
          const count = counts.get(day) ?? 0;
          const level = count === 0 ? 0 : Math.ceil((count / most) * 3);
          return <rect key={day} x={Math.floor(place / 7) * 15} y={(place % 7) * 15} width="12" height="12" rx="2.5" class={`level${level}`}><title>{new Date(day).toISOString().slice(0, 10)}: {counted(count, "fact")}</title></rect>;
        })}
      </svg>
    </Card>
  );
}

function Timeline({ id }: { id: string }) {
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
      <ol class="timeline">{facts.map((each) => <FactItem key={each.fact_id} fact={each} />)}</ol>
      {next && <p class="more"><button type="button" disabled={action.busy} onClick={() => void more(next, facts)}>Show older</button></p>}
    </>
  );
}

function Ledger({ id }: { id: string }) {
  const [page, setPage] = useState(1);
  const ledger = useLoad(() => get<{ transactions: Transaction[]; total: number; page_size: number }>(path(id, "/points/transactions"), { page, page_size: 50 }), [id, page]);
  if (!ledger.value) return <>{ledger.loading && <Loading />}<Trouble error={ledger.error} /></>;
  const { transactions, total, page_size } = ledger.value;
  if (total === 0) return <Empty>No points have moved.</Empty>;
  const last = Math.ceil(total / page_size);
  return (
    <>
      <div class="card flush">
        <table class="wide">
          <thead><tr><th scope="col">When</th><th scope="col">Cause</th><th scope="col" class="figure-cell">Points</th><th scope="col" class="figure-cell">Balance</th></tr></thead>
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
        <p class="more">
          <button type="button" disabled={page === 1} onClick={() => setPage(page - 1)}>Newer</button>
          <span class="soft">Page {page} of {last}</span>
          <button type="button" disabled={page === last} onClick={() => setPage(page + 1)}>Older</button>
        </p>
      )}
    </>
  );
}

function Why({ id }: { id: string }) {
  const [rehearsal, setRehearsal] = useState<Rehearsal | null>(null);
  const action = useAction();
  return (
    <div class="columns">
      <Card title="Rehearse an event">
        <p class="soft">Nothing happens: the server tells what the event would cause now, and why each rule would or wouldn't count it.</p>
        <EventForm participant={id} busy={action.busy} verb="Rehearse" onSend={(event) => void action.run(async () => setRehearsal(await rehearse<Rehearsal>(event)))} />
        <Trouble error={action.error} />
      </Card>
      {rehearsal && <Card title="What would happen"><Verdicts rehearsal={rehearsal} /></Card>}
    </div>
  );
}
