"""Whose fault a failure is: the event's, or that of something which may recover in a moment."""

from collections.abc import Iterator

from bq_server.events import Scope
from bq_server.game.mechanics.periods import ProfileUnreadable
from bq_server.store.database import StoreUnavailable


class GameUnreadable(Exception):
    """This program can't read the stored game of an environment: its events wait."""

    def __init__(self, scope: Scope, reason: str) -> None:
        super().__init__(f"the game of {scope.project}/{scope.environment} can't be read: {reason}")
        self.scope = scope


_LACKING = (MemoryError, OSError, StoreUnavailable, GameUnreadable, ProfileUnreadable)
_LACKING_IN_WORDS = ("can't start new thread", "cannot schedule new futures", "Not enough memory")
"""How errors begin that report a shortage: of threads, of a thread's queue, and of memory while parsing JSON."""


def is_passing(error: BaseException) -> bool:
    """Whether something unrelated to the event was short or out of order, so that retrying may help."""
    return any(
        isinstance(each, _LACKING)
        or (isinstance(each, RuntimeError | ValueError) and str(each).startswith(_LACKING_IN_WORDS))
        for each in _with_causes(error)
    )


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    seen: set[int] = set()
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
