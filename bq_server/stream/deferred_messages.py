"""Messages that could not be processed, and wait in the stream for a retry."""

from collections.abc import Iterable

from msgspec import Struct

from bq_server.clock import Clock
from bq_server.moments import SECOND
from bq_server.stream.entries import NotNow


class _Deferred(Struct, frozen=True):
    """Times are microseconds since the epoch, UTC."""

    due: int
    put_off_at: int


class DeferredMessages:
    """Remembers, by message id, when each is due for a retry. They stay pending in the stream."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, _Deferred] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._waiting

    def put_off(self, message_id: str, result: NotNow) -> None:
        """Retry a message after the time that its result gives."""
        now = self._clock()
        self._waiting[message_id] = _Deferred(now + round(result.seconds * SECOND), now)

    def due(self, limit: int) -> list[str]:
        """At most so many of those due for a retry, those postponed first before the others."""
        now = self._clock()
        # If the clock was set back, nobody waits for it to catch up.
        return [name for name, each in self._waiting.items() if not each.put_off_at <= now < each.due][:limit]

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()

    def discard(self, message_ids: Iterable[str]) -> None:
        """Forget these, if present."""
        for message_id in message_ids:
            self._waiting.pop(message_id, None)
