"""Points rules, and what awards lead to: badges held, the points ledger, tiers, and leaderboards by points."""

from collections.abc import Iterable
from typing import Any

from bq_server import causes
from bq_server.game.effects import BADGE, LEADERBOARD, POINTS, packed, timed
from bq_server.game.expressions.conditions import ExpressionFailure, Variables
from bq_server.game.facts import Fact
from bq_server.game.mechanics.account import empty_purse
from bq_server.game.mechanics.points import PointsRuleCompiled, Treasury, held_count
from bq_server.game.mechanics.rule import NO_REWARDS
from bq_server.game.mechanics.tiers import climb
from bq_server.game.on_time.boards import BoardWindows, newest_score, place
from bq_server.game.on_time.track import Parts, Question
from bq_server.game.on_time.turn import Award, NotOnTime, Paid, ParticipantTurn
from bq_server.game.state import keys


class PointsTrack:
    """A points rule: each fact is paid separately, whenever it arrives."""

    __slots__ = ("_cause", "_rule", "bounds", "key")
    keeps_apart = False

    def __init__(self, rule: PointsRuleCompiled) -> None:
        self.key = rule.key
        self.bounds = rule.bounds
        self._rule = rule
        self._cause = rule.cause(causes.OF_THE_FACT)

    def questions(self, fact_type: str) -> Iterable[Question]:  # noqa: ARG002
        """How many points the fact is worth, if any."""
        return [Question(0, self.key, self._points)]

    def _points(self, fact: Fact, variables: Variables) -> int | ExpressionFailure | None:  # noqa: ARG002
        return self._rule.points(variables) or None

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:  # noqa: ARG002
        """No cell: all of it is in the state."""
        return ()

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Pay the fact."""
        turn.awards.append(Award(fact.occurred_at, self._cause, NO_REWARDS, int(parts[0][1])))


class Purse:
    """Pays what one fact has earned."""

    __slots__ = ("_boards", "_ranks_teams", "_thresholds", "_treasury")

    def __init__(self, treasury: Treasury) -> None:
        self._treasury = treasury
        self._thresholds = [(tier.min_points, tier.code) for tier in treasury.tiers]
        self._boards = [
            (board.code, board.revision, board.bounds, board.order, BoardWindows(board.key, board.windows))
            for board in treasury.boards
        ]
        self._ranks_teams = any(board.teams is not None for board in treasury.boards)

    def pay(self, turn: ParticipantTurn, fact: Fact) -> None:
        """Enter the awards of the current fact."""
        gained = 0
        for award in turn.awards:
            rewards, amount = award.rewards, award.amount
            if rewards is not NO_REWARDS:
                points, badges, _ = rewards
                for code in badges:
                    self.give_badge(turn, fact, code, award)
                amount += points
            if amount:
                self.enter(turn, fact, amount, award.cause)
                gained += amount
        turn.awards.clear()
        if gained and self._boards:
            self.score(turn, fact, gained)

    def give_badge(self, turn: ParticipantTurn, fact: Fact, code: str, award: Award) -> None:
        """Give a badge of an award."""
        key = keys.badge(code)
        badge = self._treasury.badges.get(code)
        held = turn.cells.get(key)
        count = held_count(held, award.cause, counted=badge is not None and badge.is_counted)
        if count is None:
            return
        if held is not None:
            held["n"] = count
        else:
            cause = causes.unpack_cause(award.cause, fact.fact_id)
            turn.cells[key] = {"at": award.at, "fact": fact.fact_id, "cause": cause}
        if badge is not None:
            told: list[Any] = [code, badge.name, badge.rarity, award.cause]
            if badge.is_counted:
                told.append(count)
            turn.caused.append(timed(BADGE, award.at, fact.occurred_at, *told))

    def enter(self, turn: ParticipantTurn, fact: Fact, amount: int, cause: str) -> None:
        """Enter points into the ledger."""
        points = turn.cells.get(keys.POINTS)
        if points is None:
            points = turn.cells[keys.POINTS] = empty_purse()
        balance = points["balance"] = points["balance"] + amount
        turn.caused.append([POINTS, cause, amount, balance])
        turn.paid.append(Paid(cause, amount, balance, fact))
        points["earned"] += amount  # nothing that a client sends takes points
        if self._thresholds:
            self.climb(turn, fact, points["earned"])

    def climb(self, turn: ParticipantTurn, fact: Fact, earned: int) -> None:
        """Reach the tiers that so many points lead to."""
        history: list[list[Any]] = turn.cells.get(keys.TIERS) or []
        held = {entry[0] for entry in history}
        if not any(least <= earned and code not in held for least, code in self._thresholds):
            return
        history = [*history]
        change = climb(self._treasury.tiers, history, earned, fact)
        turn.cells[keys.TIERS] = history
        if change is not None:
            turn.caused.append(packed(change, fact.occurred_at))

    def score(self, turn: ParticipantTurn, fact: Fact, gained: int) -> None:
        """Add the points gained to the leaderboards by points. Raises `NotOnTime` where one ranks teams."""
        if self._ranks_teams:
            raise NotOnTime
        at = fact.occurred_at
        for code, revision, bounds, order, windows in self._boards:
            if not bounds.admits(fact.moment):
                continue
            for slot, ranking in windows.at(at):
                held = newest_score(turn, slot, ranking[2], revision)
                score = held[2] = (held[2] or 0) + gained
                before = held[3]
                if before is None or at > before:
                    held[3] = at
                turn.caused.append([LEADERBOARD, code, ranking[1], ranking[2], score])
                place(turn, ranking, held, order.turned(score), None)
