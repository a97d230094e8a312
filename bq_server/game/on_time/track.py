"""What every mechanic's track has."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from bq_server.game.conditions import Variables
from bq_server.game.facts import Fact
from bq_server.game.measures import Amount
from bq_server.game.on_time.turn import Turn

Parts = Sequence[tuple[int, Amount]]
"""For each part of a definition that a fact matches: its number, and what the fact brings to it."""

Warn = Callable[[str, str], None]
"""Takes a definition and what one of its expressions could not make of the fact."""


class Track(Protocol):
    """A rule's on-time path."""

    def read(self, fact: Fact, variables: Variables, warn: Warn) -> Parts:
        """What the rule's parts read from a fact of a type it listens to; nothing where it doesn't match."""
        ...

    def apart(self, parts: Parts) -> Iterable[str]:
        """The cells kept apart that `advance` looks at."""
        ...

    def advance(self, turn: Turn, fact: Fact, parts: Parts) -> None:
        """Take the fact, which is no older in seq than what was taken before, into the state.

        Raises `NotOnTime`.
        """
        ...
