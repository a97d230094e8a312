"""What every mechanic's track has."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from bq_server.game.expressions.conditions import ExpressionFailure, Variables
from bq_server.game.facts import Fact
from bq_server.game.mechanics.measures import Amount, Measure
from bq_server.game.mechanics.rule import Bounds
from bq_server.game.on_time.turn import ParticipantTurn

Parts = Sequence[tuple[int, Amount]]
"""For each part of a definition that a fact matches: its number, and what the fact adds to it."""


class Question(Struct, frozen=True):
    """What a part of a definition asks of a fact."""

    part: int
    about: Hashable
    """Equal questions have the same answer, whichever definition asks."""
    answer: Callable[[Fact, Variables], Amount | ExpressionFailure | None]
    """None if the fact doesn't match."""


class Track(Protocol):
    """A rule's on-time path."""

    @property
    def key(self) -> str:
        """The key of the rule."""
        ...

    @property
    def bounds(self) -> Bounds:
        """Which facts the rule counts at all."""
        ...

    @property
    def keeps_apart(self) -> bool:
        """Whether `apart` may return any cells."""
        ...

    def questions(self, fact_type: str) -> Iterable[Question]:
        """What the rule's parts ask of facts of a type that it listens to."""
        ...

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:
        """The cells stored apart that `advance` reads."""
        ...

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Fold the fact, whose seq is no lower than those before, into the state.

        Raises `NotOnTime`.
        """
        ...


def questions_of(measures: Iterable[Measure], fact_type: str) -> list[Question]:
    """What the measures that listen to facts of a type ask."""
    return [Question(each.part, each.question, each.amount) for each in measures if fact_type in each.fact_types]
