"""Clients that send their requests until they are acknowledged, and record every try."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from random import Random
from typing import Any

import httpx
from msgspec import Struct, field

from harness.chaos.history import History, IngestRoute, Request

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0

SHORTEST_WAIT, LONGEST_WAIT = 0.05, 1.0
"""Seconds between two tries; doubled with every failure."""

MOST_UNEXPECTED = 3
"""Answers that a client should never get, and after which it gives up the request."""

EXPECTED_STATUS = {IngestRoute.ASYNC: 202, IngestRoute.BATCH: 202, IngestRoute.SYNC: 200}


class PostOutcome(StrEnum):
    """How a try ended for the client."""

    ACKNOWLEDGED = "acknowledged"
    UNAVAILABLE = "503"
    NO_ANSWER = "no answer"
    UNEXPECTED = "unexpected"
    """An answer that no fault excuses: the same request is always valid."""


class ChaosReply(Struct, frozen=True):
    """The result of one try; `ids` are message ids or the fact id, in the order of the events."""

    outcome: PostOutcome
    said: str = ""
    ids: tuple[str, ...] = ()
    replayed: bool = False


class Attempt(Struct, frozen=True):
    """One try. Times are seconds from the start of the run."""

    client: int
    request: Request
    started: float
    ended: float
    answer: ChaosReply


class Traffic(Struct):
    """All tries of all clients, as they are made."""

    started: float = field(default_factory=time.monotonic)
    attempts: list[Attempt] = field(default_factory=list)
    _waiting: list[tuple[IngestRoute, asyncio.Future[None]]] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Seconds from the start."""
        return time.monotonic() - self.started

    def note(self, attempt: Attempt) -> None:
        """Record a try; wakes those who wait for an acknowledgement."""
        self.attempts.append(attempt)
        if attempt.answer.outcome is PostOutcome.ACKNOWLEDGED:
            for route, waiting in self._waiting:
                if route is attempt.request.route and not waiting.done():
                    waiting.set_result(None)

    async def next_acknowledgement(self, route: IngestRoute, seconds: float) -> None:
        """Return at the moment of the next one over a route, or after so long without one."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append((route, waiting))
        with suppress(TimeoutError):
            await asyncio.wait_for(waiting, seconds)
        self._waiting.remove((route, waiting))


async def send(history: History, traffic: Traffic, url: str, key: str, *, seed: int, until: float) -> None:
    """Let every client send its requests. Those not acknowledged `until` that many seconds are given up."""
    async with asyncio.TaskGroup() as clients:
        for number, requests in enumerate(history.clients):
            client = _Client(number, traffic, Random(f"{seed}:client:{number}"), until)  # noqa: S311 - not for secrets
            clients.create_task(client.run(requests, url, key))


def connection_to(url: str, key: str) -> httpx.AsyncClient:
    """What requests to the server's API are sent with."""
    return httpx.AsyncClient(
        base_url=f"{url}/api/v1",
        headers={"X-API-Key": key, "Content-Type": "application/json"},
        timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        verify=False,  # noqa: S501 - plain HTTP to a server of our own; certificates take long to load
        trust_env=False,
    )


class _Client(Struct):
    number: int
    traffic: Traffic
    random: Random
    until: float

    async def run(self, requests: Sequence[Request], url: str, key: str) -> None:
        async with connection_to(url, key) as http:
            for request in requests:
                await asyncio.sleep(max(0.0, request.due - self.traffic.now))
                if self.traffic.now > self.until:
                    return
                await self._send(http, request)

    async def _send(self, http: httpx.AsyncClient, request: Request) -> None:
        content, headers = _content(request)
        wait, unexpected = SHORTEST_WAIT, 0
        while True:
            started = self.traffic.now
            answer = await _try(http, request, content, headers)
            self.traffic.note(Attempt(self.number, request, started, self.traffic.now, answer))
            unexpected += answer.outcome is PostOutcome.UNEXPECTED
            if answer.outcome is PostOutcome.ACKNOWLEDGED or request.hasty or unexpected == MOST_UNEXPECTED:
                return
            if self.traffic.now + wait > self.until:
                return
            await asyncio.sleep(wait * self.random.uniform(0.5, 1.0))
            wait = min(2 * wait, LONGEST_WAIT)


def _content(request: Request) -> tuple[bytes, dict[str, str]]:
    if request.route is IngestRoute.BATCH:
        body: Any = {"events": [event.body() for event in request.events]}
    else:
        body = request.events[0].body(key=not request.key_in_header)
    key = request.events[0].idempotency_key
    headers = {"Idempotency-Key": key} if request.key_in_header and key is not None else {}
    return json.dumps(body).encode(), headers


async def _try(http: httpx.AsyncClient, request: Request, content: bytes, headers: dict[str, str]) -> ChaosReply:
    try:
        response = await http.post(request.route.value, content=content, headers=headers)
    except httpx.TransportError as error:
        return ChaosReply(PostOutcome.NO_ANSWER, type(error).__name__)
    replayed = response.headers.get("Idempotent-Replayed") == "true"
    return read_answer(request, response.status_code, response.content, replayed=replayed)


def read_answer(request: Request, status: int, content: bytes, *, replayed: bool = False) -> ChaosReply:
    """What an answer says about a request."""
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
        if status == EXPECTED_STATUS[request.route]:
            ids = _ids(request.route, body)
            if len(ids) == len(request.events):
                return ChaosReply(PostOutcome.ACKNOWLEDGED, str(status), ids, replayed)
        elif status == 503:
            return ChaosReply(PostOutcome.UNAVAILABLE, f"503 {body['code']}")
    except (ValueError, LookupError, TypeError):
        pass
    return ChaosReply(PostOutcome.UNEXPECTED, f"{status} {text[:500]}")


def _ids(route: IngestRoute, body: Any) -> tuple[str, ...]:
    match route:
        case IngestRoute.BATCH:
            return tuple(body["message_ids"])
        case IngestRoute.SYNC:
            return (body["fact_id"],)
        case _:
            return (body["message_id"],)
