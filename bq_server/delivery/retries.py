"""When a failed delivery is retried, and when it no longer is."""

import math
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from bq_server.moments import SECOND

TRIES = 9
"""Tries of one delivery before it is set aside."""

GROWTH = 4
"""With 5 seconds before the second try, the ninth comes after about 30 hours."""

JITTER = 0.2
"""How far a wait may deviate from the planned one, as a share of it."""

MOST_RETRY_AFTER = 24 * 3600
"""Most seconds for which an endpoint may ask to be left alone."""

OFF_AFTER = 3 * 24 * 3600 * SECOND
"""How long every try may fail, in microseconds, before the endpoint is disabled."""


def wait(tries: int, first: float, random: Callable[[], float]) -> float | None:
    """Seconds until the next try, after so many failures; None for no more tries. `random` returns 0 to 1."""
    if tries >= TRIES:
        return None
    return first * math.pow(GROWTH, tries - 1) * (1 + JITTER * (2 * random() - 1))


def asked_for(retry_after: str | None, now: int) -> float:
    """Seconds that a `Retry-After` asks for, from that moment; 0 if it can't be parsed."""
    if retry_after is None:
        return 0.0
    try:
        seconds = float(min(int(retry_after), MOST_RETRY_AFTER))
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now / SECOND
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), float(MOST_RETRY_AFTER))
