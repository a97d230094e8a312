"""Challenges that groups share: what a member adds, and what facts tell members of how far their group has come.

What the members of a group add up to is known beside the game, where their cells are indexed. When that reaches a
milestone or the target, each member who took part gets a fact, and by that fact alone is the challenge's progress, and
what it gives, a fold of one participant's facts. What is added up never falls as events come, and who has added
something has, so that no order of arrival makes another group, another total or another member.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil

from msgspec.structs import replace

from bq_server.game.document.challenges import Challenge
from bq_server.game.document.criteria import Criteria
from bq_server.game.document.teams import attribute_of
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import (
    CHALLENGE_ENROLLED,
    SHARED_CHALLENGE_REACHED,
    Fact,
    SharedChallengeReached,
    system_properties,
)
from bq_server.game.mechanics.board_teams import BoardTeams
from bq_server.game.mechanics.challenges import ChallengeRule, challenge_rule
from bq_server.game.mechanics.measures import Hit, Measure, PartReading
from bq_server.game.mechanics.quests import COMPLETE
from bq_server.game.mechanics.rule import HistoryNeed, RuleHistory, RuleOutcome, explain, merge
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

TOLD, SHARE, GROUP = 0, 1, 2
"""What a fact means: how far the group has come; or what the participant adds, and for which group."""


class ToldMeasure(Measure):
    """How far a group has come, by the fact that tells the most."""

    __slots__ = ()

    def __init__(self, part: int, criteria: Criteria) -> None:
        super().__init__(part, criteria)
        self.aggregate = "max"


class SharedChallengeRule(ChallengeRule, kw_only=True):
    """A challenge that the participants of one value of an attribute share."""

    share: Measure
    """What an event of a member adds."""
    groups: BoardTeams

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """How far the group has come; or what the fact adds, and for which group. Nobody needs to enrol."""
        if fact.fact_type == CHALLENGE_ENROLLED:
            return ()
        if fact.fact_type == SHARED_CHALLENGE_REACHED:
            return (self._told(fact),)
        if not self.bounds.admits(fact.moment):
            return (PartReading(SHARE, "outside_window"),)
        reading = self.share.read(fact, variables)
        if reading.verdict != "matched":
            return (reading,)
        if int(reading.amount) <= 0:
            # A total that falls would have been reached, or not, by the order of arrival.
            return (PartReading(SHARE, "condition_false", message="only amounts above 0 add to a shared challenge"),)
        group = self.groups.team_of(variables.fact)
        if group is None:
            attribute = self.groups.attribute
            return (PartReading(SHARE, "no_team", message=f"there was no group in the attribute {attribute}"),)
        return (reading, PartReading(GROUP, "matched", group))

    def cells(self, hits: Sequence[Hit]) -> Iterable[str]:
        """Its own cell, and those of the groups to which the hits add."""
        yield self.cell
        for hit in _adding(hits):
            yield self._key(hit)

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:
        """Whether the cells are of this definition."""
        found = [cells[key] for key in self.cells(hits) if key in cells]
        return all(cell.get("rev") == self.revision for cell in found) if found else None

    def whole(self) -> HistoryNeed:
        """All facts, what was added to any group and, if anything pays, what was paid."""
        prefixes = (keys.members(self.key), keys.group_shares(self.code))
        return HistoryNeed(self.fact_types, None, prefixes, ledger=bool(self.steps()))

    def late(self, hits: Sequence[Hit], cells: Cells) -> HistoryNeed | None:  # noqa: ARG002
        """Nothing: neither adding nor the most that was told depends on the order."""
        return None

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:
        """Add what members add, and take in what was told."""
        told = [hit for hit in hits if _is_told(hit)]
        outcome = RuleOutcome()
        if told or history is not None:
            outcome = ChallengeRule.step(self, told, cells, None if history is None else self._of_told(history))
        old = cells if history is None else {**cells, **history.cells}
        new: dict[str, Cell] = {}
        for hit in _adding(hits if history is None else merge(history.hits, hits)):
            key = self._key(hit)
            new[key] = self._added(new.get(key) or (cells.get(key) if history is None else None), hit)
        if history is not None:
            outcome.cells.update(dict.fromkeys(key for key in history.cells if key.startswith(keys.GROUPS)))
        for key, cell in new.items():
            if cell == old.get(key):
                outcome.cells.pop(key, None)
            else:
                outcome.cells[key] = cell
        for hit in hits:
            if hit.readings and not _is_told(hit):
                first = hit.readings[0]
                message = self._said(hit, new) if first.verdict == "matched" else first.message
                outcome.explanations.append(explain(self, hit.fact, TOLD, first.verdict, message))
        return outcome

    def reached(self, total: int) -> Fraction | None:
        """The highest step, as a fraction of the whole, that a total in the measure's own unit reaches, if any."""
        target = self.quest.targets[TOLD]
        steps = [at for _, at in self.quest.milestones if total >= at * target]
        return Fraction(1) if total >= target else max(steps, default=None)

    def lacks(self, at: Fraction, cell: Cell | None) -> bool:
        """Whether the participant with this cell has yet to be told that a step was reached."""
        given: Mapping[str, object] = {} if cell is None else cell.get("given", {})
        return (
            COMPLETE not in given
            if at == 1
            else any(name not in given for name, fraction in self.quest.milestones if fraction <= at)
        )

    def _told(self, fact: Fact) -> PartReading:
        properties = system_properties(fact)
        if not isinstance(properties, SharedChallengeReached) or properties.challenge_code != self.code:
            return PartReading(TOLD, "condition_false")
        if fact.seq <= self.bounds.applied_seq:
            return PartReading(TOLD, "outside_window")
        return PartReading(TOLD, "matched", ceil(Fraction(str(properties.at)) * self.quest.targets[TOLD]))

    def _of_told(self, history: RuleHistory) -> RuleHistory:
        """The past without what was added."""
        told = [hit for hit in history.hits if _is_told(hit)]
        others = {key: cell for key, cell in history.cells.items() if not key.startswith(keys.GROUPS)}
        return replace(history, hits=told, cells=others)

    def _key(self, hit: Hit) -> str:
        return keys.group_share(self.code, str(hit.readings[1].amount))

    def _added(self, cell: Cell | None, hit: Hit) -> Cell:
        score, at = (0, hit.fact.occurred_at) if cell is None else (cell["score"], cell["at"])
        total = score + int(hit.readings[0].amount)
        group = str(hit.readings[1].amount)
        return {"rev": self.revision, "score": total, "at": max(at, hit.fact.occurred_at), "team": group}

    def _said(self, hit: Hit, new: Mapping[str, Cell]) -> str:
        cell = new[self._key(hit)]
        return f"adds to what {cell['team']} shares, {self.share.shown(cell['score'])} by this participant so far"


def shared_challenge_rule(challenge: Challenge, shared_by: str, applied_seq: int) -> SharedChallengeRule:
    """Compile a challenge that groups share."""
    alone = challenge_rule(challenge, applied_seq)
    objective = challenge.objectives[0]
    own = {name: getattr(alone, name) for name in alone.__struct_fields__}
    return SharedChallengeRule(
        **own
        | {
            "quest": replace(alone.quest, measures=(ToldMeasure(TOLD, objective),)),
            "fact_types": alone.fact_types | {SHARED_CHALLENGE_REACHED},
        },
        share=Measure(SHARE, objective),
        groups=BoardTeams(attribute_of(shared_by), "sum"),
    )


def _adding(hits: Iterable[Hit]) -> Iterable[Hit]:
    """Those that add something for a group."""
    return (hit for hit in hits if len(hit.readings) > 1)


def _is_told(hit: Hit) -> bool:
    return bool(hit.readings) and hit.readings[0].part == TOLD
