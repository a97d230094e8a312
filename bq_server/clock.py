"""The one clock."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Answers the present moment in microseconds since the epoch, UTC."""


def system_clock() -> int:
    """The operating system's wall clock, in microseconds since the epoch."""
    return time.time_ns() // 1000
