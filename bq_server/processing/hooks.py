"""What a caller may have done inside the transaction that makes a fact: a guard, a look, a note."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from bq_server.events import Event
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.state.keys import Cells
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact


class View(Struct, frozen=True):
    """What a guard sees: the game in force, the cells of the event's participant, and the present moment."""

    game: CompiledGame
    cells: Cells
    """All except scores and members of sets."""
    now: int
    """Microseconds since the epoch, UTC."""


Guard = Callable[[View], None]
"""Checks inside the transaction whether an event may become a fact; what it raises reaches the caller."""

Look = Callable[[Connection], Awaitable[Event | None]]
"""As a guard, and before it, for what only the store can say, or what is to be brought about first.

It may answer the event as it is to become a fact, with what could not be known before."""

Note = Callable[[Connection, StoredFact], Awaitable[None]]
"""Records something about a new fact in the transaction that makes it."""
