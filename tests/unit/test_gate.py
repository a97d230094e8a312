"""The gate: what clients don't do keeps nobody else out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from bq_server.api.bodies import discard_body, read_body
from bq_server.api.middleware import gate
from bq_server.api.middleware.gate import Gate
from bq_server.api.problems import problem_response
from bq_server.concurrency.byte_budget import ByteBudget
from bq_server.concurrency.client_waits import ClientWaits
from bq_server.concurrency.notifier import Notifier
from bq_server.refusals import Refusal
from bq_server.runtime.sampled_log import SampledLog

pytestmark = pytest.mark.anyio

PLACES = 10
LONG = 3600.0


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "REQUESTS", PLACES)
    monkeypatch.setattr(gate, "WAITS", PLACES)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body or, as a refusal without a key does, discards it; a GET is held until it is let go."""
    request = Request(scope, receive)
    response = PlainTextResponse("done")
    if scope["path"] == "/held":
        await scope["held"].wait()
    elif scope["path"] == "/refused":
        await discard_body(request)
    elif request.method == "POST":
        try:
            await read_body(request, 1000, LONG)
        except Refusal as refusal:
            response = problem_response(request, refusal)  # type: ignore[assignment]
    await response(scope, receive, send)


class Client:
    """One request: what it sends of its body, when it reads, and what it is answered."""

    def __init__(self, path: str, *, sends: bool = True, reads: bool = True, connection: Any = None) -> None:
        self.sends, self.reads = asyncio.Event(), asyncio.Event()
        self.held = asyncio.Event()
        for event, at_once in ((self.sends, sends), (self.reads, reads)):
            if at_once:
                event.set()
        self.status: int | None = None
        self.answered = False
        headers = [(b"content-type", b"application/json")]
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": headers,
            "held": self.held,
            "state": {"bq.connection": connection},
        }
        self.trickle: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(self) -> Message:
        while not self.sends.is_set():
            piece = await self.trickle.get()
            return {"type": "http.request", "body": piece, "more_body": True}
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            await self.reads.wait()
            self.answered = not message.get("more_body", False)


Ask = Callable[[Client], "asyncio.Task[None]"]


@asynccontextmanager
async def asking() -> AsyncIterator[tuple[Ask, Callable[[], Awaitable[None]]]]:
    """Asks through one gate."""
    whole = Gate(application, ByteBudget(1 << 20), SampledLog("bq_server.api"))
    tasks: list[asyncio.Task[None]] = []

    def ask(client: Client) -> "asyncio.Task[None]":
        tasks.append(asyncio.create_task(whole(client.scope, client.receive, client.send)))
        return tasks[-1]

    async def idle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    yield ask, idle
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert (whole._requests, whole._waits.count) == (0, 0)


@pytest.mark.parametrize("path", ["/refused", "/read"])
async def test_bodies_that_do_not_come_keep_no_other_request_out(path: str) -> None:
    async with asking() as (ask, idle):
        withheld = [Client(path, sends=False) for _ in range(5 * PLACES)]
        for client in withheld:
            ask(client)
            await idle()
        honest = Client("/read")
        await ask(honest)
        assert honest.status == 200
        given_up = [client for client in withheld if client.answered]
        assert given_up == withheld[: len(given_up)], "those that waited longest"
        assert len(given_up) == 4 * PLACES
        assert {client.status for client in given_up} == {200 if path == "/refused" else 503}


async def test_answers_that_are_not_read_keep_no_other_request_out() -> None:
    class Connection:
        ended = False
        answering = 0
        write_seconds = LONG

        def __init__(self) -> None:
            self.answered = Notifier()

        def abort(self) -> None:
            self.ended = True

    async with asking() as (ask, idle):
        connections = [Connection() for _ in range(5 * PLACES)]
        for connection in connections:
            ask(Client("/refused", reads=False, connection=connection))
            await idle()
        honest = Client("/read")
        await ask(honest)
        assert honest.status == 200
        assert [connection.ended for connection in connections] == [True] * 4 * PLACES + [False] * PLACES

        behind = connections[-1]
        behind.answering = 2 * gate.CONNECTION_BYTES
        waiting = ask(Client("/read", connection=behind))
        for _ in range(PLACES):
            ask(Client("/read", sends=False))
        await idle()
        assert behind.ended, "what waits behind unread answers is such a wait, too"
        await waiting


async def test_who_sends_on_is_not_given_up_for_those_who_do_not() -> None:
    async with asking() as (ask, idle):
        slow = Client("/read", sends=False)
        asked = ask(slow)
        for _ in range(5 * PLACES):
            await idle()
            slow.trickle.put_nowait(b" ")
            await idle()
            ask(Client("/read", sends=False))
        slow.sends.set()
        slow.trickle.put_nowait(b" ")
        await asked
        assert slow.status == 200


async def test_what_is_worked_on_has_so_many_places() -> None:
    async with asking() as (ask, idle):
        held = [Client("/held") for _ in range(PLACES)]
        tasks = [ask(client) for client in held]
        await idle()
        refused = Client("/read")
        await ask(refused)
        assert refused.status == 503
        held[0].held.set()
        await tasks[0]
        again = Client("/read")
        await ask(again)
        assert again.status == 200


async def test_a_wait_has_its_time_and_says_when_it_was_given_up_for_others() -> None:
    waits = ClientWaits(1)
    with pytest.raises(TimeoutError):
        async with waits.bounded(0.0) as wait:
            await asyncio.Event().wait()
    assert not wait.crowded_out

    async def waiting() -> bool:
        try:
            async with waits.bounded(LONG) as mine:
                await asyncio.Event().wait()
        except TimeoutError:
            return mine.crowded_out
        raise AssertionError

    first = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    second = asyncio.create_task(waiting())
    assert await first
    assert waits.count == 1
    second.cancel()
    await asyncio.wait({second})
    assert waits.count == 0
