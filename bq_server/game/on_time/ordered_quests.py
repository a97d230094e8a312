"""Quests that count facts in the order in which they happened: challenges with prerequisites, limits and the like."""

from typing import Any

from bq_server.game.facts import Fact
from bq_server.game.mechanics.limits import Quota, place_of, placed
from bq_server.game.mechanics.measures import Amount
from bq_server.game.mechanics.quest_rule import QuestRule
from bq_server.game.mechanics.quests import COMPLETE
from bq_server.game.on_time.quests import NO_MARKS, Cell, QuestTrack, value_with
from bq_server.game.on_time.tails import Tail
from bq_server.game.on_time.track import Parts
from bq_server.game.on_time.turn import NotOnTime, ParticipantTurn
from bq_server.game.state import keys


class OrderedTrack(QuestTrack):
    """A quest that counts facts in the order in which they happened, for facts newer than all it has seen."""

    __slots__ = ("_prerequisites", "_quotas", "_sets")

    def __init__(self, rule: QuestRule) -> None:
        super().__init__(rule)
        self._quotas = rule.quest.quotas
        self._sets = any(each in ("distinct", "days") for each in self._aggregates)
        self._prerequisites = rule.quest.prerequisites

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Push the fact at the end of the course."""
        if self._sets:
            raise NotOnTime
        at = fact.occurred_at
        moment = [at, fact.seq]
        cell: Cell | None = turn.cells.get(self._cell)
        if cell is None:
            if self._rule.explicit:
                return  # without an enrolment nothing is stored
            cell = self._entered(moment)
            self._reached.enter(turn, fact)
        elif cell.get("rev") != self._revision or "revoked" in cell:
            raise NotOnTime
        elif COMPLETE in cell["p"].get("m", ()):
            # Only a fact from before the end can still change it.
            if moment <= max(cell["e"], *cell["p"]["d"]):
                raise NotOnTime
            return
        elif _is_late(cell, moment):
            raise NotOnTime
        rolling = self._rule.rolling
        if rolling is not None:
            entered, opens = cell["e"][0], self._rule.bounds.starts_at
            if at >= (entered if opens is None else max(entered, opens)) + rolling:
                return
        progress = cell["p"]
        values, done = progress["v"], progress["d"]
        met = [*done]
        kept: list[list[Any]] = []
        counted: list[tuple[int, int | None]] = []
        newly_done = False
        for part, amount in parts:
            if met[part] is not None:
                continue
            quota = self._quotas[part] if self._quotas else None
            if quota is not None:
                amount = placed(amount, quota, fact.moment, turn.cells.get(keys.ZONE, ()))
            # Facts for a waiting part are kept: a late fact may meet its prerequisite earlier.
            kept.append([part, amount])
            if not self._may_count(part, met):
                continue
            if quota is not None:
                if not _has_room(quota, progress, part, amount, at):
                    continue
                amount = self._rule.quest.plain(part, amount)
            before = values[part]
            value = values[part] = value_with(self._aggregates[part], before, amount)
            if value >= self._targets[part]:
                done[part] = moment
                newly_done = True
                _forget_tallies(progress, part)
            counted.append((part, before))
        turn.cells[self._cell] = cell
        if kept:
            cell["t"].append(at, fact.seq, kept)
        if counted:
            newest = progress.get("at")
            if newest is None or at > newest:
                progress["at"] = at
            self._counted(turn, fact, cell, counted, newly_done)
            if newly_done and COMPLETE in progress.get("m", ()):
                if self._rule.quest.has_sums or self._rule.quest.may_lose:
                    raise NotOnTime  # a fact may still change it, and the step knows what to keep for that
                for name in ("b", "k", "t", "c", "w", "y"):
                    cell.pop(name, None)
        elif cell["e"] == moment:
            self._reached.stand(turn, 0.0, at)

    def _may_count(self, part: int, met: list[Any]) -> bool:
        """Whether the parts for which this one waits are met."""
        for each in self._prerequisites[part]:  # noqa: SIM110 - `all` takes three times as long
            if met[each] is None:
                return False
        return True

    def _entered(self, moment: list[int]) -> Cell:
        """The cell of a participant who enrols at a moment."""
        none = [None] * len(self._targets)
        return {
            "rev": self._revision,
            "e": moment,
            "p": {"v": none, "d": [*none]},
            "b": {"v": [*none], "d": [*none]},
            "k": None,
            "t": Tail(),
        }


def _has_room(quota: Quota, progress: Cell, part: int, amount: Amount, at: int) -> bool:
    """Whether the limit of a part lets a fact count, which then has."""
    period, about, _ = place_of(amount)
    tallies = progress.get("q", NO_MARKS).get(str(part), NO_MARKS)
    if quota.refusal(tallies.get(about), at, period) is not None:
        return False
    progress.setdefault("q", {})[str(part)] = quota.take(tallies, about, at, period)
    return True


def _forget_tallies(progress: Cell, part: int) -> None:
    """A part that is met counts nothing more."""
    if "q" in progress:
        progress["q"].pop(str(part), None)
        if not progress["q"]:
            del progress["q"]


def _is_late(cell: Cell, moment: list[int]) -> bool:
    """Whether the fact isn't newer than all before, or the tail is so long that some of it must be compacted."""
    tail, entered = cell.get("t"), cell.get("e")
    if not entered or type(tail) is not Tail or moment <= entered:
        return True
    newest = tail.newest() or cell["k"]
    return (newest is not None and moment <= newest) or tail.is_long(moment[0])
