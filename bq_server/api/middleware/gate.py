"""Limits in front of the application: the memory of all requests together, and the time spent waiting for clients."""

import asyncio
from collections.abc import MutableMapping
from typing import Any, Protocol

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bq_server.api.problems import CLOSES, problem_response
from bq_server.concurrency.byte_budget import ByteBudget, Lease
from bq_server.concurrency.client_waits import ClientWaits
from bq_server.concurrency.notifier import Notifier
from bq_server.refusals import overloaded
from bq_server.runtime.sampled_log import SampledLog

ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
"""Never refused: a health check might restart the server, and metrics matter most under overload."""

REQUESTS = 2_048
"""Most requests that are worked on; each has a task, and headers of up to 16 KiB."""

WAITS = 1_024
"""Most requests beside them that wait for their client, to send its body or to read its answer: what a client does not
do costs no other a place."""

CHUNK_BYTES = 64 << 10
WRITE_SECONDS = 30.0
"""How long a client may take to read a chunk of an answer, unless the server sets another time."""

CONNECTION_BYTES = 256 << 10
"""Unread answers of one connection before its next request is started."""


class ClientConnection(Protocol):
    """The connection of a request, if the server provides it: `bq.connection` in the state."""

    ended: bool
    answering: int
    answered: Notifier
    write_seconds: float

    def abort(self) -> None:
        """Close it at once."""


class Gate:
    """Refuses requests when too much is in flight, and disconnects clients that don't read."""

    def __init__(self, app: ASGIApp, budget: ByteBudget, log: SampledLog) -> None:
        self._app = app
        self._budget = budget
        self._log = log
        self._requests = 0
        self._waits = ClientWaits(WAITS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application behind the gate."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection: ClientConnection | None = scope.get("state", {}).get("bq.connection")
        lease = Lease(self._budget)
        answer = _Answer(scope, send, lease, self._waits, connection, self._log)
        crowded = self._requests - self._waits.count >= REQUESTS
        full = (self._budget.spent or crowded) and scope["path"] not in ALWAYS
        self._requests += 1
        try:
            if full:
                response = problem_response(Request(scope), overloaded(), CLOSES)  # its body is not read
                await response(scope, receive, answer.send)
            elif connection is None or await self._has_room(connection):
                scope["bq.lease"], scope["bq.waits"] = lease, self._waits
                await self._app(scope, receive, answer.send)
        finally:
            lease.give_back()
            self._requests -= 1

    async def _has_room(self, connection: ClientConnection) -> bool:
        """Wait until the client has read enough of the earlier answers; returns whether it is still connected."""
        if connection.answering > CONNECTION_BYTES:
            try:
                async with self._waits.bounded(connection.write_seconds):
                    while connection.answering > CONNECTION_BYTES and not connection.ended:
                        await asyncio.wait({connection.answered.next()})  # which others wait for, too
            except TimeoutError:
                connection.abort()
                return False
        return not connection.ended


class _Answer:
    """An answer being sent in pieces, each within a bounded time."""

    def __init__(
        self,
        scope: MutableMapping[str, Any],
        send: Send,
        lease: Lease,
        waits: ClientWaits,
        connection: ClientConnection | None,
        log: SampledLog,
    ) -> None:
        self._scope = scope
        self._send = send
        self._lease = lease
        self._waits = waits
        self._log = log
        self._connection = connection

    async def send(self, message: Message) -> None:
        body: bytes = message.get("body", b"")
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        seconds = WRITE_SECONDS if self._connection is None else self._connection.write_seconds
        self._count(len(body))
        try:
            for start in range(0, max(1, len(body)), CHUNK_BYTES):
                chunk = body[start : start + CHUNK_BYTES]
                more = message.get("more_body", False) or start + CHUNK_BYTES < len(body)
                async with self._waits.bounded(seconds):
                    await self._send({"type": "http.response.body", "body": chunk, "more_body": more})
        except TimeoutError:
            told = {"path": self._scope["path"], "request_id": self._scope.get("bq.request_id")}
            self._log.warning("request.not_read", **told)
            if self._connection is not None:
                self._connection.abort()
        finally:
            self._count(-len(body))

    def _count(self, size: int) -> None:
        self._lease.add(size)
        if self._connection is not None:
            self._connection.answering += size
            if size < 0:
                self._connection.answered.beat()
