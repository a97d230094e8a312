"""A batch that fills, and sends itself from its own thread."""

import atexit
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Self

from bq_client.answers import BatchResult
from bq_client.buffer import CLOSE_SECONDS, Buffer, OnRejected, rejection_of
from bq_client.events import Event


class Batch:
    """Events are sent together, once there are `size` of them, or the first has waited for `seconds`.

    While the server can't be reached they are kept and retried, and `add` blocks when there are `capacity` of them.
    What is left is sent when the batch or its client is closed, or when the program ends. If they can't be sent for
    another reason, such as a revoked key, the next call raises `Unsent` with the events. `on_rejected` is called from
    the batch's thread.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Event]], BatchResult],
        closed: Callable[["Batch"], None],
        size: int,
        seconds: float,
        capacity: int,
        on_rejected: OnRejected,
    ) -> None:
        """Made by `Client.batch`."""
        self._send = send
        self._closed = closed
        self._buffer = Buffer(size, seconds, capacity, on_rejected)
        self._changed = threading.Condition()
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="bq-client-batch", daemon=True)
        self._thread.start()
        # For programs that end without closing what they opened.
        atexit.register(self.close)

    def add(self, event: Event) -> None:
        """Add an event. Raises `Unsent` if earlier ones can't be sent, and has then not added this one."""
        buffer = self._buffer
        with self._changed:
            self._changed.wait_for(lambda: not buffer.is_full or buffer.closing or buffer.failure)
            buffer.check()
            buffer.add(event, monotonic())
            self._changed.notify_all()

    def flush(self) -> None:
        """Send everything, and wait until it is accepted or rejected. Raises `Unsent`."""
        buffer = self._buffer
        with self._changed:
            buffer.check()
            wanted = buffer.want_all()
            self._changed.notify_all()
            self._changed.wait_for(lambda: buffer.done >= wanted or buffer.failure or self._abandoned)
            if buffer.done < wanted:
                raise buffer.unsent() from buffer.failure

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Send everything and accept no more; try for so many seconds. Raises `Unsent`."""
        with self._changed:
            if self._buffer.closing:
                return
            self._buffer.closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        atexit.unregister(self.close)
        self._closed(self)
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
            if not self._buffer.is_empty:
                raise self._buffer.unsent() from self._buffer.failure

    def _run(self) -> None:
        buffer = self._buffer
        while events := self._next():
            outcome = self._outcome(events)
            if isinstance(outcome, BatchResult):
                buffer.report(events, outcome)
            with self._changed:
                pause = 0.0
                if isinstance(outcome, BatchResult):
                    buffer.settle(events, monotonic())
                else:
                    pause = buffer.fail(events, outcome)
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._abandoned, pause)
                if buffer.failure is not None or self._abandoned:
                    return

    def _outcome(self, events: Sequence[Event]) -> BatchResult | Exception:
        try:
            return self._send(events)
        except Exception as error:  # noqa: BLE001 - the thread must not end without those who wait for it knowing
            return rejection_of(events, error) or error

    def _next(self) -> list[Event]:
        """Wait for the events of the next request; none if the batch is closed and empty."""
        with self._changed:
            while (wait := self._buffer.wait(monotonic())) != 0.0:
                if wait is None and self._buffer.closing:
                    return []
                self._changed.wait(wait)
            return self._buffer.next()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
