"""What can go wrong. All of it is a `BqError`."""

from collections.abc import Iterable, Mapping
from typing import Any

from bq_client.events import Event


class BqError(Exception):
    """A request to a bq-server that failed."""


class Refused(BqError):
    """The server refused. `code` is stable: switch on it; `detail` is a sentence for a person."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail", ""))
        self.errors: list[Mapping[str, str]] = list(problem.get("errors") or [])
        """For each invalid field: `field`, `code` and `detail`."""
        self.request_id = str(problem.get("request_id", ""))
        """Also in the server's log."""
        self.retry_after = retry_after
        """Seconds after which to retry, if the server says so."""
        super().__init__(f"{status} {self.code}: {self.detail}" if self.code else f"status {status}")


class Unreachable(BqError):
    """No answer came. The request may have been carried out nevertheless; repeating it is safe."""


class Unsent(BqError):
    """A batch has events that could not be sent. They are all here; the cause says why."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = tuple(events)
        super().__init__(f"{len(self.events)} event(s) could not be sent")
