"""Identifiers: the one id source and the one random source."""

import re
import secrets
import threading
from collections.abc import Callable

from bq_server.clock import Clock, system_clock

RandomBytes = Callable[[int], bytes]
"""Returns that many unpredictable bytes."""

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
"""Two characters at a time, because an id is created for every event."""

_ALL_BUT_A_PAIR = range(110, -10, -10)
_VALUES = str.maketrans(_CROCKFORD, "0123456789abcdefghijklmnopqrstuv")
_ULID = re.compile("(?<=_)[0-7][0-9a-hjkmnp-tv-z]{25}")
ID_BYTES = 16
_TEXT = b"\0"
"""Starts an id that isn't a ULID; the text follows."""


class IdSource:
    """Creates `evt_...`, `fact_...` and other ids that sort by their time of creation.

    The part after the prefix is a ULID (github.com/ulid/spec) in lower case: 48 bits of milliseconds, 80 bits of
    randomness, which is incremented within a millisecond so that later ids always sort later.
    """

    def __init__(self, clock: Clock = system_clock, random_bytes: RandomBytes = secrets.token_bytes) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._last = 0
        self._shared = -1
        self._text = ""
        """All characters except the last two, which the ids of a millisecond mostly share."""
        self._lock = threading.Lock()

    def new(self, prefix: str) -> str:
        """A fresh id, for example `new("evt")` -> `evt_01jr...` (26 characters after the prefix)."""
        with self._lock:
            value = self._next()
            if value >> 10 != self._shared:
                self._shared = value >> 10
                self._text = "".join([_PAIRS[self._shared >> shift & 1023] for shift in _ALL_BUT_A_PAIR])
            text = self._text
        return f"{prefix}_{text}{_PAIRS[value & 1023]}"

    def new_packed(self, count: int) -> list[bytes]:
        """That many new ids, in order, as `pack` would store them."""
        with self._lock:
            return [self._next().to_bytes(ID_BYTES) for _ in range(count)]

    def new_code(self, length: int) -> str:
        """That many characters that nobody can foresee, each of the 32 that are told apart when read aloud."""
        value = int.from_bytes(self._random_bytes(length))
        return "".join([_CROCKFORD[value >> 5 * place & 31] for place in range(length)])

    def _next(self) -> int:
        millisecond = self._clock() // 1000
        if millisecond > self._last >> 80:
            self._last = millisecond << 80 | int.from_bytes(self._random_bytes(10))
        else:
            self._last += 1
        return self._last


def pack(prefix: str, identifier: str) -> bytes:
    """An id as stored: 16 bytes for a ULID with that prefix, and never 16 bytes for any other text."""
    start = len(prefix) + 1
    if identifier.startswith(prefix) and _ULID.fullmatch(identifier, start):
        return int(identifier[start:].translate(_VALUES), 32).to_bytes(ID_BYTES)
    other = _TEXT + identifier.encode()
    return other if len(other) != ID_BYTES else _TEXT + other


def unpack(prefix: str, packed: bytes) -> str:
    """The id that `pack` was given with this prefix."""
    if len(packed) == ID_BYTES:
        return f"{prefix}_{_written(int.from_bytes(packed))}"
    return packed.lstrip(_TEXT).decode()


def _written(value: int) -> str:
    """A ULID's 26 characters, two at a time."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -10, -10)])
