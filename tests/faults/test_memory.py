"""Without memory the server goes on, or ends and can be started again; it never just stands there."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bq_server.server import last_resort
from harness.chaos.lacks import exhausted
from tests.support.client import event
from tests.support.process import ServerProcess, until
from tests.support.threads import going_on

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits a process from outside")

ENDINGS = (last_resort.EXIT_CODE, -signal.SIGABRT, -signal.SIGSEGV)
"""Python aborts by itself when it has no memory to say what it lacks memory for."""

LARGE = b'{"events": [%s]}' % b",".join(
    b'{"event_name": "e", "properties": {"x": "%s"}}' % (b"x" * 1000) for _ in range(900)
)


@contextmanager
def asking(server: ServerProcess) -> Iterator[None]:
    """Clients that ask for more than there is."""
    ended = threading.Event()

    def ask() -> None:
        headers = {"X-API-Key": server.key, "Content-Type": "application/json"}
        with httpx.Client(verify=False, timeout=5, headers=headers) as client:
            while not ended.is_set():
                for body in (LARGE, b'{"event_name": "e", "participant_id": "p"}'):
                    path = "events/batch" if body is LARGE else "events/sync"
                    try:
                        client.post(f"{server.url}/api/v1/ingest/{path}", content=body)
                    except httpx.TransportError:
                        ended.wait(0.05)

    with going_on(ended, *[ask] * 8):
        yield


def answers(server: ServerProcess) -> bool:
    """Whether it is ready and makes facts, or has ended."""
    if server.process.poll() is not None:
        return True
    try:
        with httpx.Client(verify=False, timeout=5) as client:
            if client.get(f"{server.url}/readyz").status_code != 200:
                return False
            return server.request("POST", "/ingest/events/sync", json=event()).status_code == 200
    except httpx.TransportError:
        return False


def test_it_goes_on_or_ends_and_what_was_accepted_is_there(data_dir: Path) -> None:
    sent: list[str] = []
    key = ""
    for _ in range(3):
        with ServerProcess(data_dir) as server:
            key = server.key = key or server.key
            sent.append(server.request("POST", "/ingest/events", json=event("kept")).json()["message_id"])
            struck = threading.Event()
            with asking(server), exhausted("exhaust-memory", [server.process.pid]):
                struck.wait(3)  # so long there is none
            until("it goes on, or has ended", lambda server=server: answers(server), seconds=60)
            code = server.stop() if server.process.poll() is None else server.wait()
            assert code in (0, *ENDINGS), server.log[-2000:]
    with ServerProcess(data_dir) as server:
        server.key = key
        for message_id in sent:
            until(
                "it is a fact",
                lambda wanted=message_id: (
                    server.request("GET", f"/ingest/messages/{wanted}").json()["status"] == "processed"
                ),
            )


@pytest.fixture
def endings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(os, "_exit", found.append)
    return found


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "ends"), [(MemoryError(), True), (SystemError("returned NULL"), True), (ValueError("a bug"), False)]
)
async def test_a_callback_that_is_lost_ends_the_process_only_for_want_of_memory(
    endings: list[int], error: Exception, ends: bool
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(last_resort.report)

    def broken() -> None:
        raise error

    loop.call_soon(broken)
    await asyncio.sleep(0)
    assert endings == [last_resort.EXIT_CODE] * ends


@pytest.mark.anyio
async def test_a_connection_that_is_lost_does_not_and_nothing_that_fails_in_logging_does(endings: list[int]) -> None:
    class Loop:
        def default_exception_handler(self, _: dict[str, Any]) -> None:
            raise MemoryError

    for context in ({"exception": MemoryError(), "transport": None}, {"exception": MemoryError(), "future": None}):
        last_resort.report(Loop(), context)  # type: ignore[arg-type]
    assert endings == []
