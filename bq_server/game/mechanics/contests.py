"""Contests: the scores of those who entered, and the places that facts gave when the result was frozen."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct

from bq_server.game.document.contests import Contest
from bq_server.game.effects import Verdict
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import CONTEST_ENTERED, CONTEST_PLACED, Fact
from bq_server.game.mechanics.measures import Hit, Measure, PartReading
from bq_server.game.mechanics.periods import to_micros
from bq_server.game.mechanics.rule import (
    NO_REWARDS,
    Bounds,
    HistoryNeed,
    Rewards,
    Rule,
    RuleHistory,
    RuleOutcome,
    bounds,
    explain,
    merge,
    revision,
)
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

SCORE, ENTRY, PLACE = 0, -1, -2
"""What a fact means to a contest."""

LIVE, FINAL = "live", "final"
"""The rankings of a contest: as the scores are, and as it was frozen."""


class ContestRule(Struct, Rule):
    """A contest. It counts what happened between its dates, for those who entered, whenever they did."""

    key: str
    code: str
    measure: Measure
    bounds: Bounds
    revision: str
    fact_types: frozenset[str]
    rewards: Rewards = NO_REWARDS
    """Prizes come with facts of their own."""

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """What the fact is worth; or an entry, which must come before the end; or a place."""
        if fact.fact_type not in (CONTEST_ENTERED, CONTEST_PLACED):
            if not self.bounds.admits(fact.moment):
                return (PartReading(SCORE, "outside_window"),)
            return (self.measure.read(fact, variables),)
        part = ENTRY if fact.fact_type == CONTEST_ENTERED else PLACE
        if fact.properties.get("contest_code") != self.code:
            return (PartReading(part, "condition_false"),)
        ends_at = self.bounds.ends_at
        late = part == ENTRY and ends_at is not None and fact.occurred_at >= ends_at
        verdict: Verdict = "outside_window" if late or fact.seq <= self.bounds.applied_seq else "matched"
        return (PartReading(part, verdict),)

    def cells(self, hits: Sequence[Hit]) -> Iterable[str]:  # noqa: ARG002
        """The score and the place."""
        return (keys.contest(self.code), keys.contest_place(self.code))

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:  # noqa: ARG002
        """Whether the score is of this definition."""
        cell = cells.get(keys.contest(self.code))
        return None if cell is None else cell["rev"] == self.revision

    def whole(self) -> HistoryNeed:
        """Everything, including what came before the start: participants may enter earlier."""
        return HistoryNeed(self.fact_types, None)

    def late(self, hits: Sequence[Hit], cells: Cells) -> HistoryNeed | None:
        """Everything, when somebody enters: what they did before counts, too."""
        return self.whole() if keys.contest(self.code) not in cells and _of(hits, ENTRY) else None

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:
        """Add the hits to the score of a participant who entered."""
        outcome = RuleOutcome()
        story = hits if history is None else merge(history.hits, hits)
        known = cells if history is None else {}
        score = self._score(story, known.get(keys.contest(self.code)))
        place = _place(story, known.get(keys.contest_place(self.code)))
        for key, cell in ((keys.contest(self.code), score), (keys.contest_place(self.code), place)):
            if cell != cells.get(key):
                outcome.cells[key] = cell
        for hit in hits:
            reading = hit.readings[0]
            outside = reading.part == SCORE and reading.verdict == "matched" and score is None
            verdict: Verdict = "not_enrolled" if outside else reading.verdict
            outcome.explanations.append(explain(self, hit.fact, SCORE, verdict, reading.message))
        return outcome

    def _score(self, story: Sequence[Hit], cell: Cell | None) -> Cell | None:
        entries = [list(hit.fact.moment) for hit in _of(story, ENTRY)]
        if cell is None and not entries:
            return None
        found = cell or {"rev": self.revision, "score": 0, "at": None, "e": min(entries)}
        found = {**found, "e": min([found["e"], *entries])}
        for hit in _of(story, SCORE):
            found = self.added(found, int(hit.readings[0].amount), hit.fact.occurred_at)
        return found

    def added(self, cell: dict[str, Any], amount: int, at: int) -> dict[str, Any]:
        """A score with one more amount. It was reached when the newest fact that changed it happened."""
        reached = cell["at"]
        if amount:
            reached = at if reached is None else max(at, reached)
        return {**cell, "score": cell["score"] + amount, "at": reached}


def _of(hits: Sequence[Hit], part: int) -> list[Hit]:
    return [hit for hit in hits if hit.readings[0].part == part and hit.readings[0].verdict == "matched"]


def _place(story: Sequence[Hit], cell: Cell | None) -> Cell | None:
    """The place that the newest fact gave: there is only one, unless more were made by hand."""
    found = cell
    for hit in _of(story, PLACE):
        if found is None or list(hit.fact.moment) > found["m"]:
            told = hit.fact.properties
            found = {
                "m": list(hit.fact.moment),
                "rank": told["rank"],
                "score": told["score"],
                "at": told.get("reached_at"),
            }
    return found


def contest_rule(contest: Contest, applied_seq: int) -> ContestRule:
    """Compile a contest."""
    measure = Measure(SCORE, contest.scoring)
    return ContestRule(
        key=f"contest/{contest.code}",
        code=contest.code,
        measure=measure,
        bounds=bounds(contest, applied_seq),
        revision=revision(contest, applied_seq, "name", "description", "prizes", "freeze_after"),
        fact_types=measure.fact_types | {CONTEST_ENTERED, CONTEST_PLACED},
    )


def freezes_at(contest: Contest) -> int:
    """When the result is frozen, in microseconds since the epoch, UTC."""
    return to_micros(contest.ends_at) + contest.freeze_after // timedelta(microseconds=1)
