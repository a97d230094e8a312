"""Limits in front of the application: memory of all requests together, and the time a client has to read answers."""

import asyncio
from collections.abc import MutableMapping
from typing import Any, Protocol

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bq_server.api.problems import CLOSES, problem_response
from bq_server.concurrency.byte_budget import ByteBudget, Lease
from bq_server.concurrency.notifier import Notifier
from bq_server.refusals import overloaded

log = structlog.get_logger("bq_server.api")

ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
"""Never refused: a health check might restart the server, and metrics matter most under overload."""

REQUESTS = 2_048
"""Most requests in flight; each has a task, and headers of up to 16 KiB."""

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
        """End it at once."""


class Gate:
    """Refuses requests when too much is in flight, and disconnects clients that don't read."""

    def __init__(self, app: ASGIApp, budget: ByteBudget) -> None:
        self._app = app
        self._budget = budget
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application behind the gate."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection: ClientConnection | None = scope.get("state", {}).get("bq.connection")
        lease = Lease(self._budget)
        answer = _Answer(scope, send, lease, connection)
        full = (self._budget.spent or self._requests >= REQUESTS) and scope["path"] not in ALWAYS
        self._requests += 1
        try:
            if full:
                response = problem_response(Request(scope), overloaded(), CLOSES)  # its body is not read
                await response(scope, receive, answer.send)
            elif connection is None or await _has_room(connection):
                scope["bq.lease"] = lease
                await self._app(scope, receive, answer.send)
        finally:
            lease.give_back()
            self._requests -= 1


async def _has_room(connection: ClientConnection) -> bool:
    """Wait until the client has read enough of the earlier answers; whether it is still connected."""
    while connection.answering > CONNECTION_BYTES and not connection.ended:
        await connection.answered.next()
    return not connection.ended


class _Answer:
    """An answer being sent in pieces, each within a bounded time."""

    def __init__(
        self, scope: MutableMapping[str, Any], send: Send, lease: Lease, connection: ClientConnection | None
    ) -> None:
        self._scope = scope
        self._send = send
        self._lease = lease
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
                async with asyncio.timeout(seconds):
                    await self._send({"type": "http.response.body", "body": chunk, "more_body": more})
        except TimeoutError:
            log.warning("request.not_read", path=self._scope["path"], request_id=self._scope.get("bq.request_id"))
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
