"""When a request is retried."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import uniform

import httpx

from bq_client.errors import BqError, Refused, Unreachable

BUSY = frozenset({429, 503})
"""Statuses of a server, or of something in front of it, that may be able to answer soon."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and after how long a request is retried after 429, 503 or no answer. Waits are in seconds."""

    most: int = 5
    """Tries after the first."""
    first_wait: float = 0.1
    """Doubled with every further try, and varied so that clients don't all come back at once."""
    longest_wait: float = 30.0
    """If the server asks for a longer wait than this, the request isn't retried."""

    def wait(self, tries: int, error: BqError) -> float | None:
        """Seconds to wait after the failure of so many tries; None to give up."""
        if tries > self.most or not is_temporary(error):
            return None
        backoff: float = min(self.longest_wait, self.first_wait * 2.0 ** (tries - 1)) * uniform(0.5, 1.0)  # noqa: S311
        asked = error.retry_after if isinstance(error, Refused) else None
        if asked is None:
            return backoff
        return asked + backoff if asked <= self.longest_wait else None


def is_temporary(error: BqError) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.status in BUSY)


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that `Retry-After` asks for, as a number or as a date; None without a valid one."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
