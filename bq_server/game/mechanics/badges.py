"""Badges: earned by criteria, awarded by a reward or by hand, never taken back."""

from collections.abc import Mapping, Sequence
from typing import Any

from bq_server import causes
from bq_server.game.document.badges import Badge
from bq_server.game.document.criteria import BadgeCriteria
from bq_server.game.facts import Fact
from bq_server.game.mechanics.limits import measure_of, quotas_of, zone_types
from bq_server.game.mechanics.measures import Hit
from bq_server.game.mechanics.quest_rule import QuestRule, QuestState
from bq_server.game.mechanics.quests import COMPLETE, Quest
from bq_server.game.mechanics.rule import Grant, Rewards, RuleOutcome, bounds, revision, trigger
from bq_server.game.recipients import award_to, told_to
from bq_server.game.state import keys


class BadgeRule(QuestRule):
    """A badge with criteria."""

    def _reached(
        self,
        outcome: RuleOutcome,
        story: Sequence[Hit],
        batch: Sequence[Hit],
        before: QuestState,
        state: QuestState,
        given: dict[str, Any],  # noqa: ARG002 - the badge itself says that it was given
        by: Fact | None,
    ) -> None:
        reached = state.progress.marks.get(COMPLETE)
        if reached is not None and (not before.progress.complete or story is not batch):
            fact = trigger(reached, story, batch, by)
            outcome.grants.append(Grant(fact, reached.at, causes.of_criteria(self.key), self.rewards))

    def _lost(self, awarded: Mapping[str, Any], state: QuestState) -> list[tuple[str, str]]:  # noqa: ARG002
        return [] if state.progress.complete else [(COMPLETE, causes.of_criteria(self.key))]


def badge_rule(badge: Badge, criteria: BadgeCriteria, applied_seq: int) -> BadgeRule:
    """Compile a badge's criteria."""
    measure = measure_of(0, criteria)
    quotas = quotas_of([measure])
    limits = bounds(badge, applied_seq)
    return BadgeRule(
        key=f"badge/{badge.code}",
        cell=keys.criteria(badge.code),
        quest=Quest((measure,), (measure.scaled(criteria.target),), ((),), (), quotas),
        bounds=limits,
        revision=revision(criteria, applied_seq, salt=f"{limits.starts_at} {limits.ends_at}{told_to(badge.award_to)}"),
        fact_types=measure.fact_types | zone_types(quotas),
        rewards=Rewards(badges=(badge.code,)),
        ordered=bool(quotas),
        revocable=badge.revocable,
        award_to=award_to(badge.award_to),
    )
