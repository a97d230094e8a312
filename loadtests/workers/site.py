"""Processes over a PostgreSQL and a Valkey of their own, for one measurement."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import redis

from bq_server.store.backend import backend_of
from bq_server.stream.valkey_binary import server_binary
from loadtests.games import document
from loadtests.processing_cost.games import EVENT_NAME, PRODUCTS
from loadtests.usage import tree_usage

PATIENCE_SECONDS = 60.0
A_BATCH = 100
SENDERS = 4
HEARD_SECONDS = 2.5
"""After which workers know of each other."""
STREAM = "bq:events"


@dataclass(frozen=True, slots=True)
class Load:
    """A backlog, and what it means."""

    events: int
    participants: int
    """Of whom few send most."""
    definitions: int
    """In the game."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a backlog was processed, and what that cost. The cost is about the same on a busy machine."""

    a_second: float
    """Events."""
    workers_micros: float
    """Of the workers' processor time for each event."""
    store_micros: float
    """Of PostgreSQL's."""
    waited: float
    """The share of the time of all transactions in which they waited for locks of others."""


_LOOK = """SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*) FROM pg_stat_activity
WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"""


class WorkSite:
    """What a measurement needs, started when it is first used."""

    def __init__(self, directory: Path, store_url: str, store_pid: int, stack: ExitStack) -> None:
        self._store_pid = store_pid
        self._workers: list[int] = []
        self._directory = directory
        self._store_url = store_url
        self._stack = stack
        self._socket = directory / "valkey.sock"
        self.stream: Any = stack.enter_context(closing(redis.Redis(unix_socket_path=str(self._socket))))
        self._start_stream()

    def _start_stream(self) -> None:
        place = ["--unixsocket", str(self._socket), "--dir", str(self._directory)]
        command = [str(server_binary()), "--port", "0", *place]
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        process = subprocess.Popen([*command, *durable], stdout=subprocess.DEVNULL)  # noqa: S603 - our own
        self._stack.callback(_end, process)
        _until(lambda: _answers(self.stream))

    def start(self, role: str, number: int, store_url: str | None = None, module: str = "bq_server") -> str:
        """Start a process; what it says when it is ready."""
        environment: Mapping[str, str] = os.environ | {
            "BQ_STORE_URL": store_url or self._store_url,
            "BQ_REDIS_URL": f"unix://{self._socket}",
        }
        place = str(self._directory / f"{role}{number}")
        command = [sys.executable, "-m", module, "serve", "--role", role, "--port", "0", "--data-dir", place]
        process = subprocess.Popen(  # noqa: S603 - ourselves
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        self._stack.callback(_end, process)
        if role == "worker":
            self._workers.append(process.pid)
        said = ""
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if "  ready " in line or re.match(r"\s*curl .*/facts", line):
                return said
        raise RuntimeError(f"a process ended instead of starting: {said}")

    def measure(self, load: Load, workers: int, store_url: str, module: str = "bq_server") -> Speed:
        """Have so many workers, by that way to the store, process a backlog."""
        said = self.start("api", 0)
        for number in range(workers):
            self.start("worker", number, store_url, module)
        url, key = re.search(r"(http://\S+)/api/v1\n", said), re.search(r"bq_test_[0-9a-f]{32}", said)
        assert url is not None, said
        assert key is not None, said
        headers = {"X-API-Key": key[0]}
        with httpx.Client(base_url=f"{url[1]}/api/v1", headers=headers, timeout=PATIENCE_SECONDS) as client:
            client.put("/gamify/admin/game", json=document(load.definitions)).raise_for_status()
            time.sleep(HEARD_SECONDS)
            with closing(backend_of(self._store_url).connect(PATIENCE_SECONDS)) as blocker:
                blocker.execute("BEGIN IMMEDIATE")  # until all are there
                _send(client, load)
                blocker.execute("ROLLBACK")
        _until(lambda: self._left() < load.events)
        began, left, used, store_used = time.perf_counter(), self._left(), self._used(), _used(self._store_pid)
        waiting, all_there = 0, 0
        with closing(backend_of(self._store_url).connect(PATIENCE_SECONDS)) as watching:

            def is_done() -> bool:
                nonlocal waiting, all_there
                ((some, every),) = watching.execute(_LOOK).fetchall()
                waiting, all_there = waiting + some, all_there + every
                return self._left() == 0

            _until(is_done, 10 * PATIENCE_SECONDS)
        seconds, each = time.perf_counter() - began, 1e6 / left
        return Speed(
            left / seconds,
            (self._used() - used) * each,
            (_used(self._store_pid) - store_used) * each,
            waiting / max(all_there, 1),
        )

    def _used(self) -> float:
        return sum(map(_used, self._workers))

    def _left(self) -> int:
        return int(self.stream.xlen(STREAM))


def by_port(store_url: str, port: int) -> str:
    """The same database, by a port of this machine."""
    return f"postgresql://bq@127.0.0.1:{port}{urlsplit(store_url).path}"


@contextmanager
def work_site(directory: Path, store_url: str, store_pid: int) -> Iterator[WorkSite]:
    """One, ended at the end."""
    directory.mkdir()
    with ExitStack() as stack:
        yield WorkSite(directory, store_url, store_pid, stack)


def _send(client: httpx.Client, load: Load) -> None:
    weights = [1 / rank for rank in range(1, load.participants + 1)]
    senders = Random(1).choices(range(load.participants), weights, k=load.events)

    def send(first: int) -> None:
        batch = [_event(number, senders[number]) for number in range(first, min(load.events, first + A_BATCH))]
        _until(lambda: client.post("/ingest/events/batch", json={"events": batch}).status_code == 202)

    with ThreadPoolExecutor(SENDERS) as threads:
        list(threads.map(send, range(0, load.events, A_BATCH)))


def _event(number: int, participant: int) -> Mapping[str, Any]:
    chance = Random(number)
    properties = {
        "amount": chance.randrange(100, 20_000) / 100,
        "currency": chance.choice(["EUR", "USD"]),
        "product": f"p{chance.randrange(PRODUCTS)}",
        "quantity": chance.randrange(1, 5),
    }
    own = {"idempotency_key": f"k{number}"} if number % 2 else {}
    return {"event_name": EVENT_NAME, "participant_id": f"p{participant}", "properties": properties, **own}


def _used(pid: int) -> float:
    """Processor seconds of a process and those that it started."""
    found = tree_usage(pid)
    return 0.0 if found is None else found.server.processor_seconds


def _answers(stream: Any) -> bool:
    with suppress(redis.RedisError):
        return bool(stream.ping())
    return False


def _until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"what was waited for did not come within {seconds:g} s")
        time.sleep(0.01)


def _end(process: "subprocess.Popen[Any]") -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
