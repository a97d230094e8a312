"""Receivers of webhooks that behave as none should."""

import asyncio
import errno
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bq_server.clock import system_clock
from bq_server.delivery import sender as sending
from bq_server.delivery.sender import Sender, WebhookRequest
from bq_server.events import Scope
from bq_server.store.webhooks import Endpoint
from harness.chaos.lacks import exhausted
from tests.support.client import Json
from tests.support.game import act
from tests.support.process import ServerProcess, until
from tests.support.receiver import Receiver, receiving

ANSWER = b"HTTP/1.1 500 No\r\n"


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something that listens on a free port, and does with every connection what it is told to."""

    def each(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(1 << 10)
            answer(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=each, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def for_ever(piece: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        while True:
            connection.sendall(piece)

    return answer


def once(piece: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(piece)


def endless_body(connection: socket.socket) -> None:
    connection.sendall(ANSWER + b"Transfer-Encoding: chunked\r\n\r\n")
    for_ever(b"3e8\r\n" + b"x" * 1000 + b"\r\n")(connection)


ODD = {
    "a body without an end": endless_body,
    "heads without an end": for_ever(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a head without an end": for_ever(b"X-Header: x\r\n"),
    "a wait of aeons": once(
        ANSWER + b"Retry-After: Thu, 99999999999999999999 Apr 2026 09:01:00 GMT\r\nContent-Length: 0\r\n\r\n"
    ),
    "bytes that are no text": once(ANSWER + b"Content-Length: 6\r\n\r\n\x00\xff\xfe\xed\xa0\x80"),
    "nothing of HTTP": once(b"\xff" * 5000 + b"\r\n\r\n"),
    "nothing at all": lambda _: None,
    "an answer before the end of the request": once(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
}


@pytest.mark.parametrize("how", ODD)
def test_an_answer_that_is_none_is_a_try_that_failed(data_dir: Path, how: str) -> None:
    """It is written down, and not tried again in a hurry; another endpoint doesn't notice."""
    with ServerProcess(data_dir) as server, answering(ODD[how]) as url, receiving() as other, server.client() as client:
        odd, _ = (
            client.post("/webhooks/endpoints", json={"url": each, "event_types": ["fact.created"]}).json()
            for each in (url, other.url)
        )

        def deliveries() -> list[Json]:
            found: list[Json] = client.get(f"/webhooks/endpoints/{odd['endpoint_id']}/deliveries").json()["deliveries"]
            return found

        client.post("/ingest/events/sync", json=act(x="x" * 50_000))
        until("the other is told", lambda: len(other.taken) == 1)
        until("the try is written down", lambda: any(each["tries"] for each in deliveries()))
        [delivery] = deliveries()
        [tried] = delivery["tries"]
        assert (delivery["state"], tried["status"] in (None, 500)) == ("waiting", True)
        assert len(tried["answer"]) <= 256
        assert "webhooks.broke" not in server.log
        assert server.stop() == 0


def endpoint(number: int, url: str) -> Endpoint:
    return Endpoint(f"we_{number}", Scope("default", "live"), url, frozenset(), "", "whsec_c2VjcmV0", 0)


def lines(count: int) -> list[list[WebhookRequest]]:
    return [[WebhookRequest(f"msg_{number}", "fact.created", lambda: b"{}")] for number in range(count)]


@pytest.mark.anyio
async def test_those_that_are_slow_hold_up_none_that_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    def hold(_: socket.socket) -> None:
        held.wait()

    with answering(hold) as slow, receiving() as quick:
        async with Sender(system_clock, private=True) as sender:
            assert await delivered(sender, 0, quick) == 1
            rounds = [
                asyncio.create_task(sender.send(endpoint(number, slow), lines(sending.AT_ONCE)))
                for number in range(1, 1 + sending.AT_ONCE_IN_ALL)
            ]
            # Each holds as many slots as it gets.
            async with asyncio.timeout(30):
                while sending_slots(sender) > 0:
                    await asyncio.sleep(0.01)
                assert await delivered(sender, 0, quick) == sending.AT_ONCE
            assert not any(each.done() for each in rounds)
            held.set()
            await asyncio.gather(*rounds)


@pytest.mark.anyio
async def test_a_sending_thread_that_could_not_begin_is_begun_with_the_next_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with receiving() as quick:
        async with Sender(system_clock, private=True) as sender:
            with monkeypatch.context() as patch, pytest.raises(RuntimeError):
                patch.setattr(sending, "begin_thread", refused)
                await delivered(sender, 0, quick)
            with monkeypatch.context() as patch, pytest.raises(TimeoutError):
                patch.setattr(sending, "begin_thread", lambda _: None)
                patch.setattr(sending, "BEGIN_SECONDS", 0.0)
                await delivered(sender, 0, quick)
            assert await delivered(sender, 0, quick) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process from outside")
def test_what_cannot_be_sent_for_want_of_descriptors_is_not_tried(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server, receiving() as receiver, server.client() as client:
        receiver.reply = lambda _: (204, {"connection": "close"})
        made = client.post("/webhooks/endpoints", json={"url": receiver.url, "event_types": ["fact.created"]}).json()
        client.post("/ingest/events/sync", json=act())
        until("what sends has begun", lambda: len(receiver.taken) == 1)
        with exhausted("exhaust-descriptors", [server.process.pid]):
            client.post("/ingest/events/sync", json=act())
            until("it is noticed", lambda: "webhooks.stalled" in server.log)
        until("it is told", lambda: len(receiver.taken) == 2)

        def tries() -> list[list[int]]:
            found = client.get(f"/webhooks/endpoints/{made['endpoint_id']}/deliveries").json()["deliveries"]
            return [[each["status"] for each in delivery["tries"]] for delivery in found]

        until("it is written down", lambda: tries() == [[204], [204]])
        assert server.stop() == 0


@pytest.mark.anyio
async def test_what_was_lacking_ends_the_round_and_is_no_answer() -> None:
    def lacking() -> bytes:
        try:
            raise OSError(errno.EMFILE, "Too many open files")
        except OSError as error:
            raise ConnectionError("All connection attempts failed") from ExceptionGroup("each", [error])

    with receiving() as receiver:
        async with Sender(system_clock, private=True) as sender:
            line = [
                WebhookRequest("msg_1", "fact.created", lambda: b"{}"),
                WebhookRequest("msg_2", "fact.created", lacking),
                WebhookRequest("msg_3", "fact.created", lambda: b"{}"),
            ]
            sent = await sender.send(endpoint(0, receiver.url), [line])
    assert [each.delivered for each in sent.answers[0]] == [True]
    assert sent.lacked == "ConnectionError: All connection attempts failed"


@pytest.mark.anyio
async def test_a_callback_that_the_sending_thread_lost_is_reported_as_those_of_the_server_are() -> None:
    reported: asyncio.Queue[BaseException] = asyncio.Queue()
    here = asyncio.get_running_loop()

    def lost() -> None:
        raise MemoryError

    def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        assert "handle" in context
        here.call_soon_threadsafe(reported.put_nowait, context["exception"])

    here.set_exception_handler(report)
    with receiving() as receiver:
        async with Sender(system_clock, private=True) as sender:
            assert await delivered(sender, 0, receiver) == 1
            assert sender._loop is not None
            sender._loop.call_soon_threadsafe(lost)
            async with asyncio.timeout(30):
                assert isinstance(await reported.get(), MemoryError)


async def delivered(sender: Sender, number: int, receiver: Receiver) -> int:
    before = len(receiver.taken)
    sent = await sender.send(endpoint(number, receiver.url), lines(sending.AT_ONCE if before else 1))
    assert all(answer.delivered for line in sent.answers for answer in line)
    return len(receiver.taken) - before


def sending_slots(sender: Sender) -> int:
    """How many requests more to endpoints that aren't quick could begin."""
    return sender._slots._value
