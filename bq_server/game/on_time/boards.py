"""Leaderboards: the score of the newest period is in the participant's own state."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from bq_server.game.document.criteria import Aggregate
from bq_server.game.effects import LEADERBOARD
from bq_server.game.facts import Fact
from bq_server.game.mechanics.board_periods import BoardPeriods
from bq_server.game.mechanics.leaderboards import NEVER_REACHED, LeaderboardRule
from bq_server.game.mechanics.periods import DAY
from bq_server.game.on_time.track import Parts, Question, questions_of
from bq_server.game.on_time.turn import NotOnTime, ParticipantTurn, ScoreOf
from bq_server.game.state import keys


class BoardWindows:
    """The windows of a leaderboard, each with the name of its slot in `ParticipantTurn.scores`."""

    __slots__ = ("_board", "_code", "_latest", "_of_days", "_windows")

    def __init__(self, board: str, windows: BoardPeriods) -> None:
        self._board = board
        self._code = board.partition("/")[2]
        self._windows = windows
        self._of_days = windows.are_of_utc_days
        self._latest: tuple[Hashable, Sequence[tuple[str, ScoreOf]]] | None = None

    def at(self, moment: int) -> Sequence[tuple[str, ScoreOf]]:
        """For each window its slot, and the ranking of the period that contains a moment."""
        day: Hashable = moment // DAY if self._of_days else self._windows.place_in_time(moment)
        # Most facts are of the same day as the previous one. A single name, so that no thread sees half of a change.
        latest = self._latest
        if latest is None or latest[0] != day:
            latest = self._latest = (
                day,
                tuple(
                    (f"{self._code}/{window}", (self._board, window, period))
                    for window, period in self._windows.at(moment)
                ),
            )
        return latest[1]


def newest_score(turn: ParticipantTurn, slot: str, period: str, revision: str) -> list[Any]:
    """The stored score of a period, to be changed; it contains None if there is no score yet.

    Raises `NotOnTime` for a period that isn't the newest, or a score of another revision.
    """
    held = turn.scores.get(slot)
    if held is None or held[0] < period:
        held = turn.scores[slot] = [period, revision, None, None]
    elif held[0] != period or held[1] != revision:
        raise NotOnTime
    return held


def place(turn: ParticipantTurn, ranking: ScoreOf, held: list[Any], turned: float, exact: int | None) -> None:
    """Note the place in a ranking that a score, as the ranking has it, gives."""
    reached = held[3]
    turn.places[ranking] = (turned, NEVER_REACHED if reached is None else reached, exact)


class BoardTrack:
    """A leaderboard with its own metric."""

    __slots__ = ("_aggregate", "_code", "_order", "_revision", "_rule", "_windows", "bounds", "keeps_apart", "key")

    def __init__(self, rule: LeaderboardRule) -> None:
        self.key = rule.key
        self.bounds = rule.bounds
        self.keeps_apart = rule.measure.keeps_set
        self._rule = rule
        self._code = rule.code
        self._order = rule.order
        self._revision = rule.revision
        self._aggregate = rule.measure.aggregate
        self._windows = BoardWindows(rule.key, rule.windows)

    def questions(self, fact_type: str) -> Iterable[Question]:
        """What the metric asks."""
        return questions_of([self._rule.measure], fact_type)

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:
        """If the metric counts a set, the fact's member in every window's period."""
        if not self.keeps_apart:
            return ()
        return [self._member(ranking, parts) for _, ranking in self._windows.at(fact.occurred_at)]

    def _member(self, ranking: ScoreOf, parts: Parts) -> str:
        _, window, period = ranking
        return keys.member(self.key, f"{window}/{period}", parts[0][1])

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Add the fact to the scores."""
        rule, at = self._rule, fact.occurred_at
        for slot, ranking in self._windows.at(at):
            held = newest_score(turn, slot, ranking[2], self._revision)
            _, _, score, reached = held
            if self.keeps_apart:
                if not self._counts(turn, fact, self._member(ranking, parts)):
                    if held[2] is None:
                        raise NotOnTime
                    continue
                held[2] = (held[2] or 0) + 1
                held[3] = at if held[3] is None else max(at, held[3])
            else:
                _add(held, int(parts[0][1]), at, self._aggregate)
            if held[2] == score and held[3] == reached:
                continue
            told, exact = rule.told(held[2])
            turn.caused.append([LEADERBOARD, self._code, ranking[1], ranking[2], told])
            place(turn, ranking, held, self._order.turned(told), exact)

    def _counts(self, turn: ParticipantTurn, fact: Fact, member: str) -> bool:
        """Whether a member is new to its set; if so, adds it."""
        first = turn.apart.get(member)
        if first is None:
            turn.apart[member] = turn.apart_changed[member] = list(fact.moment)
            return True
        if [fact.occurred_at, fact.seq] < first:
            raise NotOnTime
        return False


class TeamBoardTrack(BoardTrack):
    """A leaderboard of teams: what a member has scored for each is kept apart, where only the step looks."""

    __slots__ = ()

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:  # noqa: ARG002
        """No cell: those that are kept apart are only read by the step."""
        return ()

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:  # noqa: ARG002
        """Leave it to the step."""
        raise NotOnTime


def _add(held: list[Any], amount: int, at: int, aggregate: Aggregate) -> None:
    score, reached = held[2], held[3]
    if aggregate in ("max", "min"):
        if score is None or (amount > score if aggregate == "max" else amount < score):
            held[2], held[3] = amount, at
        elif amount == score:
            held[3] = min(at, reached)
        return
    held[2] = (score or 0) + amount
    if amount:
        held[3] = at if reached is None else max(at, reached)
