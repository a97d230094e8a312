"""Finding the processes that a server has started."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

STREAM_SERVERS = ("valkey-server", "redis-server")


class Process(NamedTuple):
    """A process, its parent, the name of its program, and its state as `ps` writes it."""

    pid: int
    parent: int
    program: str
    state: str


def stream_server(ancestor: int) -> int | None:
    """The process id of the stream server that descends from a process, if it runs."""
    return next((each.pid for each in descendants(ancestor) if each.program in STREAM_SERVERS), None)


def descendants(ancestor: int) -> list[Process]:
    """A process, if it runs, and all that it or its descendants started."""
    found = list(running())
    below = {ancestor}
    while more := {each.pid for each in found if each.parent in below} - below:
        below |= more
    return [each for each in found if each.pid in below]


def running() -> Iterator[Process]:
    """All processes that have not ended."""
    yield from _from_proc() if sys.platform == "linux" else _from_ps()


def _from_proc() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                # The program's name stands in brackets and may itself hold brackets and spaces.
                before, _, after = (entry / "stat").read_text("utf-8", "replace").rpartition(")")
                state, parent = after.split()[:2]
                if state not in "ZX":
                    yield Process(int(entry.name), int(parent), before.partition("(")[2], state)


def _from_ps() -> Iterator[Process]:
    columns = ["ps", "-axo", "pid=,ppid=,stat=,comm="]
    listing = subprocess.run(columns, capture_output=True, text=True, check=True)  # noqa: S603 - fixed arguments
    for line in listing.stdout.splitlines():
        pid, parent, state, program = line.split(maxsplit=3)
        if not state.startswith("Z"):
            yield Process(int(pid), int(parent), program.rpartition("/")[2], state)
