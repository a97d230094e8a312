"""Which files an event goes through: from the socket to its 202, and from the stream to committed state.

`python -m tools.walk` starts a server whose calls are recorded, sends it an event, and prints the files in the order in
which the event first comes to them. docs/architecture.md explains them; a test compares.
"""

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import httpx

from harness.private_server import PrivateServer

ROOT = Path(__file__).parents[1]
PACKAGE = f"{ROOT / 'bq_server'}/"
LOOP = "server/run.py"
"""Below it, on the main thread, is what the event loop calls."""

INTAKE = ("lane/", "concurrency/group_commit.py", "stream/script_connection.py")
"""What the event loop calls on the way to the 202; other tasks run in between."""

CONSUMER = "stream/consumer.py"
WRITING = ("store/batch.py", "write")
"""What only the thread of the writing connection calls."""

FOLDING = "fold"
ANSWERING = ("lane/connection.py", "_send")
GAME = {
    "points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}],
    "badges": [{"code": "regular", "name": "Regular", "criteria": {"on": "purchase_completed", "target": 9}}],
}
EVENT = {"event_name": "purchase_completed", "participant_id": "ada", "properties": {"amount": 40}}
SECONDS = 30.0


class RecordedCall(NamedTuple):
    """A call of a function of `bq_server`."""

    thread: str
    file: str
    """Below `bq_server/`."""
    function: str
    entry: str
    """The file that the event loop called, or where the thread's work starts."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The files of both paths, in the order in which the event first comes to them."""

    accepting: list[str]
    processing: list[str]


def walk() -> Walk:
    """Send an event to a server, and record where it goes."""
    with tempfile.TemporaryDirectory() as directory:
        calls = _recorded(Path(directory) / "calls.json")
    accepting = [each for each in calls if each.thread == "MainThread" and each.entry.startswith(INTAKE)]
    answered = next(place for place, each in enumerate(accepting) if (each.file, each.function) == ANSWERING)
    writing = next(each.thread for each in calls if (each.file, each.function) == WRITING)
    processing = [each for each in calls if each.entry == CONSUMER or each.thread in (FOLDING, writing)]
    return Walk(_files(accepting[: answered + 1]), _files(processing))


def _files(calls: Iterable[RecordedCall]) -> list[str]:
    return list(dict.fromkeys(each.file for each in calls))


def _recorded(file: Path) -> list[RecordedCall]:
    """The calls while one event is accepted and processed, after another one of its kind."""
    command = [sys.executable, "-m", "tools.walk", str(file)]
    with PrivateServer(command=command, environment={"PYTHONPATH": str(ROOT)}) as server:
        headers = {"X-API-Key": server.key}
        api = f"{server.url}/api/v1"
        with (
            httpx.Client(base_url=api, headers=headers) as events,
            httpx.Client(base_url=api, headers=headers) as other,
        ):
            other.put("/gamify/admin/game", json=GAME).raise_for_status()
            _send(events, other)
            os.kill(server.pid, signal.SIGUSR1)
            _until(_armed(file).exists)
            _send(events, other)
            _until(lambda: "\nbq_queue_messages 0" in other.get(f"{server.url}/metrics").raise_for_status().text)
            os.kill(server.pid, signal.SIGUSR2)
            _until(file.exists)
    return [RecordedCall(*each) for each in json.loads(file.read_text("utf-8"))]


def _send(events: httpx.Client, other: httpx.Client) -> None:
    message_id = events.post("/ingest/events", json=EVENT).raise_for_status().json()["message_id"]
    _until(lambda: other.get(f"/ingest/messages/{message_id}").raise_for_status().json()["status"] == "processed")


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("the server didn't get there")
        time.sleep(0.02)


def _armed(file: Path) -> Path:
    return file.with_suffix(".armed")


def _serve_recorded(file: Path, arguments: list[str]) -> None:
    """Run as `bq-server`, and record calls from SIGUSR1 on; SIGUSR2 writes them to the file."""
    calls: list[RecordedCall] = []
    armed = False

    def record(frame: FrameType, event: str, _: Any) -> None:
        if armed and event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            entry, caller = frame, frame.f_back
            while caller is not None and not caller.f_code.co_filename.endswith(LOOP):
                if caller.f_code.co_filename.startswith(PACKAGE):
                    entry = caller
                caller = caller.f_back
            calls.append(
                RecordedCall(threading.current_thread().name, _place(frame), frame.f_code.co_name, _place(entry))
            )

    def arm(*_: object) -> None:
        nonlocal armed
        armed = True
        _armed(file).touch()

    def write(*_: object) -> None:
        nonlocal armed
        armed = False
        part = file.with_suffix(".part")
        part.write_text(json.dumps(calls), "utf-8")
        part.rename(file)

    signal.signal(signal.SIGUSR1, arm)
    signal.signal(signal.SIGUSR2, write)
    threading.setprofile(record)
    sys.setprofile(record)
    from bq_server.cli import main

    sys.argv = ["bq-server", *arguments]
    main()


def _place(frame: FrameType) -> str:
    return frame.f_code.co_filename.removeprefix(PACKAGE)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _serve_recorded(Path(sys.argv[1]), sys.argv[2:])
    else:
        walked = walk()
        for title, files in (("accepting", walked.accepting), ("processing", walked.processing)):
            sys.stdout.write("\n".join([title, *(f"  {each}" for each in files), ""]))
