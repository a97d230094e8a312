"""Clients that send until they are told that an event is accepted, and remember which are."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx

from tests.support.client import event
from tests.support.process import ServerProcess
from tests.support.threads import going_on


class KeyedSenders:
    """Send events with keys to a server, each until it is accepted."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self.accepted: set[str] = set()
        self.refused = 0

    def send(self, client: httpx.Client, bodies: Sequence[dict[str, Any]]) -> bool:
        """One batch, once; whether it was accepted."""
        answer = client.post("/ingest/events/batch", json={"events": bodies})
        if answer.status_code == 503:
            self.refused += 1
            return False
        assert answer.status_code == 202, answer.text
        assert answer.json()["accepted"] == len(bodies)
        self.accepted |= {body["idempotency_key"] for body in bodies}
        return True

    def batch(self, size: int) -> list[dict[str, Any]]:
        return [event(idempotency_key=f"k{next(self._numbers)}") for _ in range(size)]

    def send_sync(self, client: httpx.Client, body: dict[str, Any]) -> bool:
        """One event, once; whether it is a fact."""
        answer = client.post("/ingest/events/sync", json=body)
        if answer.status_code == 503:
            self.refused += 1
            return False
        assert answer.status_code == 200, answer.text
        self.accepted.add(body["idempotency_key"])
        return True

    def _go_on(self, *, sync: bool) -> None:
        with self._server.client() as client:
            while not self._ended.is_set():
                bodies = self.batch(1 if sync else 5)
                while not self._ended.is_set():
                    if self.send_sync(client, bodies[0]) if sync else self.send(client, bodies):
                        break
                    self._ended.wait(0.01)

    @contextmanager
    def sending(self, *, sync: bool = False) -> Iterator[None]:
        """Send batches meanwhile; with `sync`, also single events by the other path."""
        with going_on(self._ended, *[partial(self._go_on, sync=each) for each in (False, sync)]):
            yield
