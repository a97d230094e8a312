"""Leaderboards: scores within windows of time; among equal scores, whoever reached it first ranks first.

A score is reached when it last changed. For sums and counts that is the newest fact that changed it, for a maximum or
a minimum the first fact that had it, for distinct values and days the first fact of the last one to appear.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from bq_server.game.document.criteria import Aggregate, Metric
from bq_server.game.document.leaderboards import Leaderboard, WindowName
from bq_server.game.effects import LeaderboardScored
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import Fact, Moment
from bq_server.game.mechanics.account import earned_entries
from bq_server.game.mechanics.amounts import from_millionths, nearest_millionths
from bq_server.game.mechanics.board_periods import BoardPeriods
from bq_server.game.mechanics.board_teams import BoardTeams
from bq_server.game.mechanics.measures import Hit, Measure, PartReading
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

_TOLD_APART = 10**15
"""Doubles distinguish numbers of at most 15 digits."""
NEVER_REACHED = 2**63 - 1
"""Stands for when a score that never changed was reached: it ranks last among equals."""


class BoardScore(Struct, frozen=True):
    """A participant's place in a ranking, for the caller's index; the cell contains the same."""

    participant_id: str
    board: str
    """`leaderboard/<code>` or `challenge/<code>`."""
    window: str
    period: str
    score: int | float | None
    """As it ranks: negated where the lowest leads. None if there is no score any more."""
    reached_at: int | None
    """Microseconds; among equal scores the earlier one ranks first."""
    exact: int | None = None
    """The score in the rule's own unit, if `score` can't express it exactly."""


class BoardOrder(Struct, frozen=True):
    """How the scores of a leaderboard become ranks. Rankings are sorted from the highest number down."""

    ascending: bool = False
    """Whether the lowest leads."""
    shared: bool = False
    """Whether equal scores share a rank."""

    def turned(self, score: Any) -> Any:
        """A score as the ranking has it, or back."""
        return -score if self.ascending else score


HIGHEST_FIRST = BoardOrder()


class ScoreFrame(NamedTuple):
    """What one score of a participant is kept for: a period of a window, and on a leaderboard of teams a team."""

    window: WindowName
    period: str
    team: str | None = None

    def key(self, code: str) -> str:
        """The key of the score's cell."""
        if self.team is None:
            return keys.score(code, self.window, self.period)
        return keys.team_score(code, self.window, self.period, self.team)

    @property
    def part(self) -> str:
        """Under which the members of a set are kept."""
        own = f"{self.window}/{self.period}"
        return own if self.team is None else f"{own}/{keys.digest(self.team)}"

    def cell(self, score: dict[str, Any]) -> dict[str, Any]:
        """The cell of a score."""
        return score if self.team is None else {**score, "team": self.team}


class LeaderboardRule(Struct, Rule):
    """A leaderboard with its own metric."""

    key: str
    code: str
    windows: BoardPeriods
    order: BoardOrder
    measure: Measure
    bounds: Bounds
    revision: str
    fact_types: frozenset[str]
    rewards: Rewards = NO_REWARDS

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """What the metric reads."""
        between_seasons = self.windows.seasons and not self.windows.at(fact.occurred_at)
        if not self.bounds.admits(fact.moment) or between_seasons:
            return (PartReading(0, "outside_window"),)
        return (self.measure.read(fact, variables),)

    def cells(self, hits: Sequence[Hit]) -> Iterable[str]:
        """The scores of the windows that the hits fall into, and the members that they name."""
        for hit in hits:
            for frame in self.frames(hit):
                yield frame.key(self.code)
                if self._keeps_set:
                    yield self._member(frame, hit.readings[0])

    def frames(self, hit: Hit) -> list[ScoreFrame]:
        """The scores that a hit changes."""
        if hit.readings[0].verdict != "matched":
            return []
        return [ScoreFrame(window, period) for window, period in self.windows.at(hit.fact.occurred_at)]

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:
        """Whether the scores of these windows are of this definition."""
        found = [cells[key] for hit in hits for frame in self.frames(hit) if (key := frame.key(self.code)) in cells]
        return all(cell["rev"] == self.revision for cell in found) if found else None

    def whole(self) -> HistoryNeed:
        """Every fact, every score, every member."""
        return HistoryNeed(
            self.fact_types, self.bounds.starts_at, (*keys.every_score(self.code), keys.members(self.key))
        )

    def late(self, hits: Sequence[Hit], cells: Cells) -> HistoryNeed | None:
        """The sets in which a known value turns out to be older, if it was the one that set the score's time."""
        sets = {keys.members(f"{self.key}/{frame.part}") for frame in self._unset(hits, cells)}
        return HistoryNeed(frozenset(), None, tuple(sorted(sets))) if sets else None

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:
        """Add the hits to the scores."""
        outcome = RuleOutcome()
        # A requested set includes no scores; everything does, and there are some whenever a set is requested.
        unset = self._unset(hits, cells) if history is not None and self._are_sets(history.cells) else []
        anew = history if not unset else None
        story = hits if anew is None else merge(anew.hits, hits)
        old = {**cells, **history.cells} if history is not None else cells
        new: dict[str, Cell] = {}
        source = {} if anew is not None else cells
        for hit in story:
            for frame in self.frames(hit):
                self._score(frame, hit.fact, hit.readings[0], source, new)
        for frame in unset:
            under = keys.members(f"{self.key}/{frame.part}")
            members = {key: cell for key, cell in {**old, **new}.items() if key.startswith(under)}
            key = frame.key(self.code)
            new[key] = {**(new.get(key) or cells[key]), "at": max(first[0] for first in members.values())}
        if anew is not None:
            outcome.cells.update(dict.fromkeys(anew.cells))
        for key, value in new.items():
            if value == old.get(key):
                outcome.cells.pop(key, None)
            else:
                outcome.cells[key] = value
        for hit in hits:
            reading = hit.readings[0]
            outcome.explanations.append(explain(self, hit.fact, 0, reading.verdict, reading.message))
        cause = hits[-1].fact if hits else history.by if history is not None else None
        if cause is not None:
            outcome.effects.extend(scored(cause, outcome.cells, self.shown))
        return outcome

    def _unset(self, hits: Sequence[Hit], cells: Cells) -> list[ScoreFrame]:
        """The scores that were reached with a value that now first came earlier."""
        found: dict[ScoreFrame, None] = {}
        for hit in hits if self._keeps_set else ():
            for frame in self.frames(hit):
                score = cells.get(frame.key(self.code))
                first = cells.get(self._member(frame, hit.readings[0]))
                if score and first and hit.fact.moment < Moment(*first) and first[0] == score["at"]:
                    found[frame] = None
        return list(found)

    def _are_sets(self, cells: Cells) -> bool:
        return bool(cells) and all(key.startswith(keys.members(self.key)) for key in cells)

    def shown(self, score: int) -> int | float:
        """A score as the reader sees it."""
        return self.measure.shown(score)

    def told(self, score: int) -> tuple[int | float, int | None]:
        """A score as the reader sees it and, if that isn't exact, the score itself."""
        shown = self.measure.shown(score)
        if not self.measure.in_millionths or -_TOLD_APART < score < _TOLD_APART:
            return shown, None
        return shown, None if nearest_millionths(shown) == score else score

    def untold(self, shown: float, exact: int | None) -> int:
        """The score that `told` was called with."""
        if exact is not None:
            return exact
        return nearest_millionths(shown) if self.measure.in_millionths else int(shown)

    @property
    def _keeps_set(self) -> bool:
        return self.measure.keeps_set

    def _member(self, frame: ScoreFrame, reading: PartReading) -> str:
        return keys.member(self.key, frame.part, reading.amount)

    def _score(self, frame: ScoreFrame, fact: Fact, reading: PartReading, cells: Cells, new: dict[str, Cell]) -> None:
        key = frame.key(self.code)
        cell: dict[str, Any] | None = new.get(key) or cells.get(key)
        at = fact.occurred_at
        if not self._keeps_set:
            new[key] = frame.cell(_changed(self.revision, cell, int(reading.amount), at, self.measure.aggregate))
            return
        member = self._member(frame, reading)
        first = new.get(member) or cells.get(member)
        if first is None:
            score = (cell["score"] if cell else 0) + 1
            new[key] = frame.cell(_cell(self.revision, score, max(at, cell["at"]) if cell else at))
            new[member] = list(fact.moment)
        elif fact.moment < Moment(*first):
            # It wasn't the one that set the time, or everything would be replayed.
            new[member] = list(fact.moment)


class PointsBoardRule(Struct, Rule):
    """A leaderboard by points earned. It listens to no facts: its scores follow from the ledger, which loads them."""

    key: str
    code: str
    windows: BoardPeriods
    order: BoardOrder
    bounds: Bounds
    revision: str
    currency: str | None = None
    """Of the points; None is the default."""
    teams: BoardTeams | None = None
    """How members' scores become those of their teams; None where participants are ranked."""
    fact_types: frozenset[str] = frozenset()
    rewards: Rewards = NO_REWARDS

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:  # noqa: ARG002
        """Nothing: it ranks the points of the ledger."""
        return ()

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:  # noqa: ARG002
        """Whether the scores at hand are of this definition."""
        found = [cell for key, cell in cells.items() if key.startswith(keys.every_score(self.code))]
        return all(cell["rev"] == self.revision for cell in found) if found else None

    def whole(self) -> HistoryNeed:
        """The whole ledger: every score is a sum of its entries."""
        return HistoryNeed(frozenset(), None, keys.every_score(self.code), ledger=True)

    def frames(self, moment: Moment, cells: Cells) -> list[ScoreFrame]:
        """The scores to which points of a moment add; the cells have what decides the participant's team."""
        team = None
        if self.teams is not None and (team := self.teams.team_at(moment, cells)) is None:
            return []
        return [ScoreFrame(window, period, team) for window, period in self.windows.at(moment.at)]

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:  # noqa: ARG002
        """Recompute the scores from a requested ledger."""
        outcome = RuleOutcome()
        if history is not None:
            scores: dict[str, Cell] = {}
            for entry in earned_entries(history.ledger or (), self.currency):
                moment = Moment(entry.occurred_at, entry.seq)
                if self.bounds.admits(moment):
                    for frame in self.frames(moment, cells):
                        key = frame.key(self.code)
                        scores[key] = frame.cell(self.add(scores.get(key), entry.amount, entry.occurred_at))
            outcome.cells.update(dict.fromkeys(history.cells))
            outcome.cells.update(scores)
        return outcome

    def add(self, cell: Cell | None, amount: int, at: int) -> Cell:
        """A score with one more entry."""
        return _changed(self.revision, cell, amount, at, "sum")


def _changed(revision: str, cell: dict[str, Any] | None, amount: int, at: int, aggregate: Aggregate) -> dict[str, Any]:
    if aggregate in ("max", "min"):
        if cell is None or (amount > cell["score"] if aggregate == "max" else amount < cell["score"]):
            return _cell(revision, amount, at)
        return _cell(revision, amount, min(at, cell["at"])) if amount == cell["score"] else cell
    score, before = (cell["score"], cell["at"]) if cell is not None else (0, None)
    reached = before if amount == 0 else at if before is None else max(at, before)
    return _cell(revision, score + amount, reached)


def _cell(revision: str, score: int, at: int | None) -> dict[str, Any]:
    return {"rev": revision, "score": score, "at": at}


def leaderboard_rule(board: Leaderboard, metric: Metric, applied_seq: int) -> LeaderboardRule:
    """Compile a leaderboard with its own metric."""
    measure = Measure(0, metric)
    return LeaderboardRule(
        key=f"leaderboard/{board.code}",
        code=board.code,
        windows=BoardPeriods.of(board),
        order=board_order(board),
        measure=measure,
        bounds=bounds(board, applied_seq),
        revision=revision(board, applied_seq, "name", "tie"),
        fact_types=measure.fact_types,
    )


def points_board_rule(board: Leaderboard, applied_seq: int) -> PointsBoardRule:
    """Compile a leaderboard by points."""
    return PointsBoardRule(
        key=f"leaderboard/{board.code}",
        code=board.code,
        windows=BoardPeriods.of(board),
        order=board_order(board),
        bounds=bounds(board, applied_seq),
        revision=revision(board, applied_seq, "name", "tie"),
        currency=board.currency,
        teams=BoardTeams.of(board),
    )


def board_order(board: Leaderboard) -> BoardOrder:
    """How a leaderboard ranks."""
    return BoardOrder(board.order == "ascending", board.tie == "shared")


def scored(fact: Fact, changed: Cells, shown: Any = from_millionths) -> Iterable[LeaderboardScored]:
    """The effects of changed score cells."""
    for key, cell in changed.items():
        if cell is not None and key.startswith(("score/", keys.TEAMS)):
            _, code, window, period = key.split("/")[:4]
            yield LeaderboardScored(
                participant_id=fact.participant_id,
                fact_id=fact.fact_id,
                occurred_at=fact.occurred_at,
                code=code,
                window=window,
                period=period,
                score=shown(cell["score"]),
                team=cell.get("team"),
            )
