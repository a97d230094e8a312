"""Identifiers: the one id source and the one random source."""

import secrets
import threading
from collections.abc import Callable

from bq_server.clock import Clock, system_clock

RandomBytes = Callable[[int], bytes]
"""Answers that many unpredictable bytes."""

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
"""Two characters at a time: an id is made for every event."""

_ALL_BUT_A_PAIR = range(110, -10, -10)


class IdSource:
    """Makes `evt_...`, `fact_...` and other ids that sort by the time they were made.

    The part after the prefix is a ULID (github.com/ulid/spec) in lower case: 48 bits of milliseconds, 80 bits of
    randomness, which count up by one inside a millisecond so that ids made later always sort later.
    """

    def __init__(self, clock: Clock = system_clock, random_bytes: RandomBytes = secrets.token_bytes) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._last = 0
        self._shared = -1
        self._text = ""
        """All but the last two characters, which the ids of a millisecond mostly share."""
        self._lock = threading.Lock()

    def new(self, prefix: str) -> str:
        """A fresh id, for example `new("evt")` -> `evt_01jr...` (26 characters after the prefix)."""
        millisecond = self._clock() // 1000
        with self._lock:
            if millisecond > self._last >> 80:
                self._last = millisecond << 80 | int.from_bytes(self._random_bytes(10))
            else:
                self._last += 1
            value = self._last
            if value >> 10 != self._shared:
                self._shared = value >> 10
                self._text = "".join([_PAIRS[self._shared >> shift & 1023] for shift in _ALL_BUT_A_PAIR])
            text = self._text
        return f"{prefix}_{text}{_PAIRS[value & 1023]}"
