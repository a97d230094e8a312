"""Processor time and memory of a process tree, from /proc; the stream server apart from the rest."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STREAM_SERVERS = frozenset({"valkey-server", "redis-server"})

PROC = Path("/proc")

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of some processes, now."""

    processor_seconds: float = 0.0
    """Since they began, in user and in kernel mode, all threads."""
    resident_bytes: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.processor_seconds + other.processor_seconds,
            self.resident_bytes + other.resident_bytes,
        )


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """Of a server and all it started."""

    server: Usage
    stream: Usage


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    name: str
    usage: Usage


def tree_usage(pid: int) -> TreeUsage | None:
    """What a process and its descendants use; None if there is no /proc."""
    every = {each.pid: each for each in _processes()}
    if pid not in every:
        return None
    children: dict[int, list[int]] = {}
    for each in every.values():
        children.setdefault(each.parent, []).append(each.pid)
    server, stream = Usage(), Usage()
    waiting = [pid]
    while waiting:
        found = every[waiting.pop()]
        waiting += children.get(found.pid, [])
        if found.name in STREAM_SERVERS:
            stream += found.usage
        else:
            server += found.usage
    return TreeUsage(server, stream)


def _processes() -> Iterator[_Process]:
    for directory in PROC.glob("[0-9]*"):
        try:
            stat = (directory / "stat").read_text("utf-8", errors="replace")
        except OSError:
            continue  # it ended meanwhile
        yield parse_stat(stat)


def parse_stat(stat: str) -> _Process:
    """A line of /proc/<pid>/stat (proc_pid_stat(5)); the name may hold spaces and parentheses."""
    pid, _, rest = stat.partition(" (")
    name, _, numbers = rest.rpartition(") ")
    fields = numbers.split()
    # Fields 14, 15 and 24 of the manual; `fields` begins with the third.
    user, kernel, resident = int(fields[11]), int(fields[12]), int(fields[21])
    return _Process(int(pid), int(fields[1]), name, Usage((user + kernel) / _TICKS, resident * _PAGE))
