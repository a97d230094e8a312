"""Challenges: objectives within a time, milestones on the way, rewards at the end."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from msgspec.structs import replace

from bq_server import causes
from bq_server.game.document.challenges import Challenge, FixedDuration, RollingDuration
from bq_server.game.effects import ChallengeProgressed, Enrolled, MilestoneReached, ObjectiveProgressed
from bq_server.game.facts import CHALLENGE_ENROLLED, Fact
from bq_server.game.mechanics.limits import measure_of, quotas_of, zone_types
from bq_server.game.mechanics.measures import Hit
from bq_server.game.mechanics.periods import DAY
from bq_server.game.mechanics.quest_rule import QuestRule, QuestState
from bq_server.game.mechanics.quests import COMPLETE, Quest
from bq_server.game.mechanics.rule import (
    NO_REWARDS,
    Bounds,
    Grant,
    Rewards,
    RuleOutcome,
    Step,
    bounds,
    micros,
    revision,
    trigger,
)
from bq_server.game.state import keys
from bq_server.moments import PLAUSIBLE_FROM


class ChallengeRule(QuestRule):
    """A challenge."""

    code: str = ""
    objectives: tuple[str, ...] = ()
    milestones: tuple[tuple[str, Rewards], ...] = ()
    completion: Rewards = NO_REWARDS

    def part_name(self, part: int) -> str | None:
        """The code of an objective; none for the enrolment."""
        return self.objectives[part] if part >= 0 else None

    def steps(self) -> list[Step]:
        """Everything that can be reached, the end last."""
        on_the_way = [(name, causes.of_challenge(self.code, name), rewards) for name, rewards in self.milestones]
        return [*on_the_way, (COMPLETE, causes.of_challenge(self.code), self.completion)]

    def _past_types(self) -> frozenset[str]:
        return self.fact_types | {CHALLENGE_ENROLLED}

    def _reached(
        self,
        outcome: RuleOutcome,
        story: Sequence[Hit],
        batch: Sequence[Hit],
        before: QuestState,
        state: QuestState,
        given: dict[str, Any],
        by: Fact | None,
    ) -> None:
        if batch or by is not None:
            self._show(outcome, batch[-1].fact if batch or by is None else by, before, state)
        for name, cause, rewards in self.steps():
            reached = state.progress.marks.get(name)
            if reached is None or name in given:
                continue
            fact = trigger(reached, story, batch, by)
            given[name] = [reached.at, fact.fact_id]
            outcome.grants.append(Grant(fact, reached.at, cause, rewards))
            if name != COMPLETE:
                outcome.effects.append(
                    MilestoneReached(
                        participant_id=fact.participant_id,
                        fact_id=fact.fact_id,
                        occurred_at=reached.at,
                        of="challenge",
                        code=self.code,
                        at=float(name),
                    )
                )

    def _show(self, outcome: RuleOutcome, fact: Fact, before: QuestState, state: QuestState) -> None:
        who, fact_id = fact.participant_id, fact.fact_id
        course, past = state.course, before.course
        entered = course.enrolled if course is not None and (self.explicit or self.rolling is not None) else None
        if entered is not None and (past is None or entered != past.enrolled):
            outcome.effects.append(
                Enrolled(
                    participant_id=who,
                    fact_id=fact_id,
                    occurred_at=entered.at,
                    challenge=self.code,
                    expires_at=course.expires_at if course is not None else None,
                )
            )
        changed = False
        for part, objective in enumerate(self.objectives):
            value = state.progress.shown(self.quest, part)
            if value != before.progress.shown(self.quest, part):
                changed = True
                outcome.effects.append(
                    ObjectiveProgressed(
                        participant_id=who,
                        fact_id=fact_id,
                        occurred_at=fact.occurred_at,
                        challenge=self.code,
                        objective=objective,
                        value=value,
                        target=self.quest.measures[part].shown(self.quest.targets[part]),
                        completed=state.progress.done[part] is not None,
                    )
                )
        if changed:
            outcome.effects.append(
                ChallengeProgressed(
                    participant_id=who,
                    fact_id=fact_id,
                    occurred_at=fact.occurred_at,
                    challenge=self.code,
                    progress=float(state.progress.fraction(self.quest)),
                    completed=state.progress.complete,
                )
            )


def challenge_rule(challenge: Challenge, applied_seq: int) -> ChallengeRule:
    """Compile a challenge."""
    measures = tuple(measure_of(part, objective) for part, objective in enumerate(challenge.objectives))
    quotas = quotas_of(measures)
    codes = [objective.code for objective in challenge.objectives]
    milestones = sorted(challenge.milestones, key=lambda milestone: milestone.at)
    duration = challenge.duration
    limits = bounds(challenge, applied_seq)
    if isinstance(duration, FixedDuration):
        limits = Bounds(
            applied_seq,
            max(each for each in (limits.starts_at, micros(duration.starts_at)) if each is not None),
            min(each for each in (limits.ends_at, micros(duration.ends_at)) if each is not None),
        )
    elif isinstance(duration, RollingDuration):
        # A timestamp from a clock that was never set must not open the window, and thus close it for good.
        limits = replace(limits, starts_at=max(limits.starts_at or PLAUSIBLE_FROM, PLAUSIBLE_FROM))
    paid = [reward for milestone in milestones for reward in milestone.rewards] + challenge.rewards
    cosmetic = ("name", "description", "milestones", "rewards", "revocable")
    return ChallengeRule(
        key=f"challenge/{challenge.code}",
        cell=keys.challenge(challenge.code),
        quest=Quest(
            measures,
            tuple(m.scaled(objective.target) for m, objective in zip(measures, challenge.objectives, strict=True)),
            tuple(tuple(codes.index(code) for code in each.prerequisites) for each in challenge.objectives),
            tuple((str(each.at), Fraction(str(each.at))) for each in milestones),
            quotas,
        ),
        bounds=limits,
        revision=revision(challenge, applied_seq, *cosmetic, salt=str([each.at for each in milestones])),
        fact_types=frozenset().union(zone_types(quotas), *(measure.fact_types for measure in measures)),
        rewards=Rewards.of(paid),
        explicit=challenge.enrolment == "explicit",
        rolling=duration.days * DAY if isinstance(duration, RollingDuration) else None,
        revocable=challenge.revocable,
        ordered=challenge.depends_on_order,
        code=challenge.code,
        objectives=tuple(codes),
        milestones=tuple((str(each.at), Rewards.of(each.rewards)) for each in milestones),
        completion=Rewards.of(challenge.rewards),
    )
