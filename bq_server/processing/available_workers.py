"""Which other workers can be given something to do."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from bq_server.processing.partitions import PARTITIONS

HEARD_SECONDS = 3.0
"""A worker that wasn't heard of for longer is given nothing. They are heard of each second."""

REST_SECONDS = (30.0, 60.0, 120.0, 300.0, 600.0)
"""For how long a worker that didn't answer is given nothing, after the first time in a row, the second, ..."""

FAILED_SECONDS = 1.0
"""For how long one that has failed is given nothing."""


class _Rest(Struct):
    """Why a worker is given nothing for now. Times are by the event loop's clock."""

    until: float = 0.0
    heard_after: float = 0.0
    silences: int = 0
    """In a row."""


class AvailableWorkers:
    """The other workers, as the one that leads sees them."""

    def __init__(self, heard: Callable[[], Mapping[str, float]]) -> None:
        """`heard`: when each other worker was last heard of, by the event loop's clock, by its process."""
        self._heard = heard
        self._rests: dict[str, _Rest] = {}

    def now(self) -> Sequence[str]:
        """The processes of those that can be given something, in order."""
        heard, now = self._heard(), asyncio.get_running_loop().time()
        self._rests = {each: rest for each, rest in self._rests.items() if each in heard}
        return sorted(each for each, at in heard.items() if self._can(each, at, now))[: PARTITIONS - 1]

    def is_there(self, process_id: str) -> bool:
        """Whether it has not ended in order meanwhile."""
        return process_id in self._heard()

    def answered(self, process_id: str) -> None:
        """It has answered in time."""
        self._rests.pop(process_id, None)

    def failed(self, process_id: str) -> None:
        """It could do nothing."""
        self._rests[process_id] = _Rest(asyncio.get_running_loop().time() + FAILED_SECONDS)

    def silent(self, process_id: str) -> None:
        """It did not answer: until it is heard of again, and some time has passed, it is given nothing."""
        now, rest = asyncio.get_running_loop().time(), self._rests.get(process_id, _Rest())
        rest.until = now + REST_SECONDS[min(rest.silences, len(REST_SECONDS) - 1)]
        rest.heard_after = now
        rest.silences += 1
        self._rests[process_id] = rest

    def _can(self, process_id: str, heard_at: float, now: float) -> bool:
        rest = self._rests.get(process_id)
        return now - heard_at <= HEARD_SECONDS and (rest is None or (now >= rest.until and heard_at > rest.heard_after))
