"""Reading what parts of a definition measure."""

from collections.abc import Iterable

from bq_server.game.conditions import Failure, Variables
from bq_server.game.facts import Fact
from bq_server.game.measures import Amount, Measure
from bq_server.game.on_time.track import Parts, Warn
from bq_server.game.rules import Bounds


class Gauge:
    """The measures of one definition, by the type of the facts they listen to."""

    __slots__ = ("_applied_seq", "_bounded", "_bounds", "_by_type", "_key")

    def __init__(self, key: str, bounds: Bounds, measures: Iterable[Measure]) -> None:
        self._key = key
        self._bounds = bounds
        self._bounded = bounds.starts_at is not None or bounds.ends_at is not None
        self._applied_seq = bounds.applied_seq
        self._by_type: dict[str, list[Measure]] = {}
        for measure in measures:
            for fact_type in measure.fact_types:
                self._by_type.setdefault(fact_type, []).append(measure)

    def read(self, fact: Fact, variables: Variables, warn: Warn) -> Parts:
        """The parts that match, each with its amount."""
        if fact.seq <= self._applied_seq or (self._bounded and not self._bounds.admits(fact.moment)):
            return ()
        found: list[tuple[int, Amount]] = []
        for measure in self._by_type[fact.fact_type]:
            amount = measure.amount(fact, variables)
            if amount is None:
                continue
            if isinstance(amount, Failure):
                warn(self._key, amount.message)
            else:
                found.append((measure.part, amount))
        return found
