"""When too much comes at once: what is read late in a turn of the event loop is refused, not made to wait."""

import asyncio
import time

import structlog

log = structlog.get_logger("bq_server.lane")

TURN_SECONDS = 0.025
"""How long events are accepted in one turn of the loop.

All that has arrived is read in a turn, and what one turn accepts is answered within the next two: so an accepted event
waits for about three turns, and a turn with refusals in it is only a little longer than this.
"""

LOG_SECONDS = 1.0


class Pressure:
    """Tells how late in the loop's turn it is, and says in the log how much was refused for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._until = 0.0
        self._refused = 0
        self._logged = 0.0

    def is_high(self) -> bool:
        """Whether this turn has had its time; the first to ask in a turn begins it."""
        now = time.perf_counter()
        if not self._until:
            self._until = now + TURN_SECONDS
            self._loop.call_soon(self._end_turn)
        return now > self._until

    def _end_turn(self) -> None:
        self._until = 0.0

    def note_refused(self) -> None:
        """Count a request that was refused for it: a line for each would be the next load."""
        self._refused += 1
        now = time.perf_counter()
        if now - self._logged > LOG_SECONDS:
            log.warning("request.shed", refused=self._refused, code="overloaded")
            self._logged, self._refused = now, 0
