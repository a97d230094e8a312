"""What every mechanic's track has."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bq_server.game.expressions.conditions import ExpressionFailure, Variables
from bq_server.game.facts import Fact
from bq_server.game.mechanics.measures import Amount, Measure
from bq_server.game.mechanics.rule import Bounds
from bq_server.game.on_time.turn import ParticipantTurn

Parts = Sequence[tuple[int, Amount]]
"""For each part of a definition that a fact matches: its number, and what the fact brings to it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a part of a definition asks of a fact."""

    part: int
    about: Hashable
    """Questions about the same have the same answer, whichever definition asks."""
    answer: Callable[[Fact, Variables], Amount | ExpressionFailure | None]
    """None where the fact doesn't match."""


class Track(Protocol):
    """A rule's on-time path."""

    @property
    def key(self) -> str:
        """The rule's."""
        ...

    @property
    def bounds(self) -> Bounds:
        """The rule's."""
        ...

    @property
    def keeps_apart(self) -> bool:
        """Whether `apart` may name any cells."""
        ...

    def questions(self, fact_type: str) -> Iterable[Question]:
        """What the rule's parts ask of facts of a type that it listens to."""
        ...

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:
        """The cells kept apart that `advance` looks at."""
        ...

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Take the fact, which is no older in seq than what was taken before, into the state.

        Raises `NotOnTime`.
        """
        ...


def questions_of(measures: Iterable[Measure], fact_type: str) -> list[Question]:
    """What those measures ask that listen to facts of a type."""
    return [Question(each.part, each.question, each.amount) for each in measures if fact_type in each.fact_types]
