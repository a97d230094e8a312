// Where a participant stands: points, tier, badges, challenges, streaks, and the days on which something happened.
import { get, participantPath } from "../api";
import type { Badge, Challenge, Profile, State, Streak } from "../answers";
import { compact, counted, moment, number, percent, spaced } from "../format";
import { useLoad } from "../hooks";
import { ActiveDays } from "../parts/active_days";
import { StreakPeriods } from "../parts/streak_periods";
import { Bar, Card, Chip, Empty, Figure, Loading, Trouble, When } from "../parts/ui";

export function Overview({ id, profile }: { id: string; profile: Profile }) {
  const state = useLoad(() => get<State>(participantPath(id, "/state")), [id], 5);
  if (!state.value) return <>{state.loading && <Loading />}<Trouble error={state.error} /></>;
  const { points, tier, badges, streaks, challenges, leaderboards } = state.value;
  const next = tier.next_tier;
  const attributes = Object.entries(profile.attributes);
  return (
    <>
      <Trouble error={state.error} />
      <div class="figures">
        <Figure label="Points" value={points.balance} note={`${number(points.total_earned)} earned, ${number(points.total_spent)} spent`} />
        <Figure label="Tier" value={tier.current_tier?.name ?? "None"} note={next ? `${number(next.points_remaining)} points to ${next.name}` : undefined} />
        <Figure label="Badges" value={`${badges.filter((each) => each.earned).length} of ${badges.length}`} />
        <Figure label="Events" value={state.value.total_events} note={<>since <When at={profile.created_at} /></>} />
      </div>
      <div class="columns">
        <div class="column">
          <Card title="Challenges">{challenges.length === 0 ? <Empty>The game has no challenges.</Empty> : challenges.map((each) => <ChallengeCard key={each.code} challenge={each} />)}</Card>
          <ActiveDays id={id} />
        </div>
        <div class="column">
          <Card title="Streaks">{streaks.length === 0 ? <Empty>No streak has started.</Empty> : streaks.map((each) => <StreakCard key={each.code} id={id} streak={each} />)}</Card>
          <Card title="Badges">{badges.length === 0 ? <Empty>The game has no badges.</Empty> : <ul class="badges">{badges.map((each) => <BadgeItem key={each.code} badge={each} />)}</ul>}</Card>
          {leaderboards.length > 0 && (
            <Card title="Leaderboards">
              <ul class="lines">{leaderboards.map((each) => <li key={each.leaderboard_code + each.period}><span>{spaced(each.leaderboard_code)} <span class="soft">{spaced(each.period)}</span></span><span><strong>#{number(each.rank)}</strong> <span class="soft">with {number(each.score)}</span></span></li>)}</ul>
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

function StreakCard({ id, streak }: { id: string; streak: Streak }) {
  const next = streak.milestones.find((each) => !each.reached);
  return (
    <article class="item">
      <div class="between"><h3>{streak.name ?? spaced(streak.code)}</h3>{streak.is_at_risk ? <Chip kind="warn">At risk</Chip> : <Chip>{streak.period}</Chip>}</div>
      <p><strong class="big">{number(streak.current_count)}</strong> <span class="soft">now, longest {number(streak.longest_count)}{next && `, next milestone at ${number(next.at)}`}</span></p>
      {next && <Bar value={streak.longest_count} target={next.at} label={`${streak.name ?? streak.code}: to the next milestone`} />}
      <StreakPeriods id={id} streak={streak} />
      {streak.freezes && <p class="soft">{number(streak.freezes.available)} of {counted(streak.freezes.max, "freeze")} left</p>}
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
