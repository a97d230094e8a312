"""Batches of the Python client, in threads and in tasks, against the real server and a proxy that gets in the way."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bq_client import AsyncClient, Client, Event, Refused, Rejection, Unsent
from tests.clients.test_python_client import BUSY, NEVER, PACKAGE, QUICK, always, purchase
from tests.support.client import Project
from tests.support.process import ServerProcess
from tests.support.proxy import CLOSED, Answer, Forward, Sent, faulty

Story = Callable[[str, str, list[Event], list[tuple[Event, Rejection]]], None]


def in_a_thread(url: str, key: str, events: list[Event], rejected: list[tuple[Event, Rejection]]) -> None:
    client = Client(url, key, retries=QUICK)
    with client, client.batch(size=4, on_rejected=lambda *each: rejected.append(each)) as batch:
        for event in events:
            batch.add(event)


def in_a_task(url: str, key: str, events: list[Event], rejected: list[tuple[Event, Rejection]]) -> None:
    async def story() -> None:
        client = AsyncClient(url, key, retries=QUICK)
        async with client, client.batch(size=4, on_rejected=lambda *each: rejected.append(each)) as batch:
            for event in events:
                await batch.add(event)

    asyncio.run(story())


BOTH = pytest.mark.parametrize("story", [in_a_thread, in_a_task])


@BOTH
def test_a_batch_loses_nothing_while_the_server_is_away(bq: Project, server: ServerProcess, story: Story) -> None:
    events = [purchase(f"user_{number}") for number in range(30)]
    sizes = []
    turn = iter(range(1000))

    def fault(sent: Sent, forward: Forward) -> Answer:
        sizes.append(len(sent.json["events"]))
        number = next(turn)
        # Refused, lost on the way there, lost on the way back, and well.
        return (BUSY, CLOSED, forward(sent) and CLOSED, forward(sent))[number % 4]

    with faulty(server.url, fault) as url:
        story(url, bq.keys["test"], events, [])
    bq.drain()
    assert sorted(fact["participant_id"] for fact in bq.facts()) == sorted(event.participant_id for event in events)
    assert max(sizes) <= 4


@BOTH
def test_each_rejected_event_is_told_of(bq: Project, server: ServerProcess, story: Story) -> None:
    wrong = [Event("", "ada"), Event("page_view", ""), Event("page_view", "ada", {"text": "x" * 70_000})]
    rejected: list[tuple[Event, Rejection]] = []
    story(server.url, bq.keys["test"], [purchase(), *wrong, purchase()], rejected)
    assert [event for event, _ in rejected] == wrong
    assert [rejection.field for _, rejection in rejected] == ["event_name", "participant_id", "properties"]
    bq.drain()
    assert len(bq.facts()) == 2


@BOTH
def test_a_batch_that_is_too_large_is_sent_in_parts(bq: Project, server: ServerProcess, story: Story) -> None:
    """A server may take fewer events at once than the client thinks."""

    def fault(sent: Sent, forward: Forward) -> Answer:
        events = sent.json["events"]
        too_many = Answer(422, b'{"code": "validation_failed", "detail": "too many"}')
        too_large = Answer(413, b'{"code": "body_too_large", "detail": "too large"}')
        if len(events) > 2:
            return too_many
        return too_large if any(each["participant_id"] == "bob" for each in events) else forward(sent)

    events = [purchase(name) for name in ("ada", "bob", "cyd", "dan", "eve")]
    rejected: list[tuple[Event, Rejection]] = []
    with faulty(server.url, fault) as url:
        story(url, bq.keys["test"], events, rejected)
    assert [(event.participant_id, rejection.code) for event, rejection in rejected] == [("bob", "body_too_large")]
    bq.drain()
    assert sorted(fact["participant_id"] for fact in bq.facts()) == ["ada", "cyd", "dan", "eve"]


@BOTH
def test_what_cannot_be_sent_is_handed_back(server: ServerProcess, story: Story) -> None:
    events = [purchase("ada"), purchase("bob")]
    with pytest.raises(Unsent) as unsent:
        story(server.url, "bq_test_" + "0" * 32, events, [])
    assert unsent.value.events == tuple(events)
    assert isinstance(unsent.value.__cause__, Refused)


def test_closing_gives_up_in_time_and_hands_back_what_is_left(server: ServerProcess) -> None:
    with faulty(server.url, always(BUSY)) as url, Client(url, "key", retries=NEVER) as client:
        batch = client.batch()
        batch.add(event := purchase())
        with pytest.raises(Unsent) as unsent:
            batch.close(timeout=0.01)
    assert unsent.value.events == (event,)


def test_a_connection_that_is_made_after_the_close_is_closed(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, may_connect, made = socket.create_connection, threading.Event(), list[socket.socket]()

    def late(*arguments: Any, **options: Any) -> socket.socket:
        assert may_connect.wait(30)
        made.append(connect(*arguments, **options))
        return made[0]

    with faulty(server.url, always(BUSY)) as url:
        monkeypatch.setattr(socket, "create_connection", late)
        with Client(url, "key", retries=NEVER) as client:
            batch = client.batch()
            batch.add(purchase())
            with pytest.raises(Unsent):
                batch.close(timeout=0.01)
        may_connect.set()
        batch._thread.join()
    assert [each.fileno() for each in made] == [-1]


def test_a_task_that_closes_gives_up_in_time_and_hands_back_what_is_left(server: ServerProcess) -> None:
    async def story(url: str) -> None:
        async with AsyncClient(url, "key", retries=NEVER) as client:
            batch = client.batch()
            await batch.add(event := purchase())
            with pytest.raises(Unsent) as unsent:
                await batch.aclose(timeout=0.01)
        assert unsent.value.events == (event,)

    with faulty(server.url, always(BUSY)) as url:
        asyncio.run(story(url))


def test_a_batch_is_sent_by_size_by_time_and_on_demand(bq: Project, server: ServerProcess) -> None:
    arrived = threading.Semaphore(0)

    def fault(sent: Sent, forward: Forward) -> Answer:
        answer = forward(sent)
        for _ in sent.json["events"]:
            arrived.release()
        return answer

    with faulty(server.url, fault) as url, Client(url, bq.keys["test"]) as client:
        by_size = client.batch(size=2, seconds=3600)
        by_size.add(purchase())
        by_size.add(purchase())
        assert arrived.acquire(timeout=30)
        assert arrived.acquire(timeout=30)
        by_time = client.batch(size=100, seconds=0.01)
        by_time.add(purchase())
        assert arrived.acquire(timeout=30)
        on_demand = client.batch(size=100, seconds=3600)
        on_demand.add(purchase())
        on_demand.flush()
        assert arrived.acquire(blocking=False)


def test_adding_waits_while_the_batch_is_full(bq: Project, server: ServerProcess) -> None:
    open_again = threading.Event()

    def fault(sent: Sent, forward: Forward) -> Answer:
        open_again.wait(30)
        return forward(sent)

    with faulty(server.url, fault) as url, Client(url, bq.keys["test"]) as client:
        batch = client.batch(size=1, capacity=2)
        batch.add(purchase())
        batch.add(purchase())
        third = threading.Thread(target=batch.add, args=(purchase(),))
        third.start()
        assert third.is_alive()
        open_again.set()
        third.join()
        batch.flush()
    bq.drain()
    assert len(bq.facts()) == 3


LEFT_OPEN = """
from bq_client import Client, Event
batch = Client({url!r}, {key!r}).batch(seconds=3600)
for number in range(250):
    batch.add(Event("page_view", f"user_{{number}}"))
{ending}
"""
LOOP_ENDS = """
import asyncio
from bq_client import AsyncClient, Event
async def main():
    batch = AsyncClient({url!r}, {key!r}).batch(seconds=3600)
    for number in range(250):
        await batch.add(Event("page_view", f"user_{{number}}"))
    {ending}
asyncio.run(main())
"""


@pytest.mark.parametrize("program", [LEFT_OPEN, LOOP_ENDS], ids=["thread", "task"])
@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "raise RuntimeError"])
def test_a_program_that_closes_nothing_loses_nothing(
    bq: Project, server: ServerProcess, program: str, ending: str
) -> None:
    script = program.format(url=server.url, key=bq.keys["test"], ending=ending)
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == (1 if "RuntimeError" in ending else 0), ran.stderr
    bq.drain()
    assert len(bq.facts(limit=100)) == 250


def test_a_closed_batch_takes_no_more(bq: Project, server: ServerProcess) -> None:
    with Client(server.url, bq.keys["test"]) as client:
        with client.batch() as batch:
            pass
        with pytest.raises(RuntimeError, match="closed"):
            batch.add(purchase())
