"""What may be wrong with a machine, each in a sentence with what to do about it.

A reading looks at the machine; a judgement takes readings, so that it can be tested for any machine.
"""

import errno
import os
import platform
import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from bq_server.moments import HOUR, SECOND, format_timestamp

OLDEST_GLIBC = (2, 35)
"""What the libraries in the executable require, most of all the interpreter."""

FREE_BYTES_NEEDED = 100 * 2**20
FREE_BYTES_WANTED = 2**30

FILES_NEEDED = 256
FILES_WANTED = 1024
"""Open files; each connection is one."""

CLOCK_TOLERANCE = 5 * 60 * SECOND
PROGRAM_TOLERANCE = 24 * HOUR
"""A file's time may have been set in a different time zone."""

MAY_NOT_EXECUTE = (errno.EACCES, errno.EPERM)

Level = Literal["ok", "warning", "problem"]


class Finding(Struct, frozen=True):
    """A finding about one thing. A problem keeps the server from working, a warning may do so later."""

    level: Level
    what: str
    """In one word."""
    said: str


def glibc(found: tuple[str, str], *, frozen: bool) -> Finding:
    """Judge the C library, as `platform.libc_ver()` reports it. Only the executable has requirements of its own."""
    name, version = found
    needed = ".".join(map(str, OLDEST_GLIBC))
    if not frozen:
        return Finding("ok", "libc", f"{name} {version}".strip() or platform.system())
    if name != "glibc":
        other = f"{name} {version}".strip() or "another C library"
        return Finding("problem", "libc", f"{other}: the executable needs glibc {needed} or newer; install from source")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_GLIBC:
        return Finding(
            "problem",
            "libc",
            f"glibc {version} is too old: the executable needs {needed} or newer; install from source",
        )
    return Finding("ok", "libc", f"glibc {version}")


def temporary(*, one_file: bool) -> Finding:
    """Try to execute something in the temporary directory, as the one-file executable must at every start."""
    try:
        directory = tempfile.gettempdir()
        with tempfile.TemporaryDirectory(prefix="bq-doctor-") as name:
            script = Path(name) / "try"
            script.write_text("#!/bin/sh\n")
            script.chmod(0o700)
            try:
                subprocess.run([script], check=False)  # noqa: S603 - written a moment ago
            except OSError as error:
                if error.errno in MAY_NOT_EXECUTE:
                    return Finding(
                        "problem" if one_file else "warning",
                        "TMPDIR",
                        f"{directory} is mounted noexec, and the one-file executable unpacks itself there: "
                        "set TMPDIR to a directory on another file system, or use the directory form",
                    )
                # Executing is allowed; only the shell is missing.
    except OSError as error:
        return Finding(
            "problem", "TMPDIR", f"nothing can be written there ({error.strerror}): set TMPDIR to a directory"
        )
    return Finding("ok", "TMPDIR", directory)


def port(host: str, number: int, *, served: bool) -> Finding:
    """Try to listen. `served`: whether a server is running on the data directory, which may be what listens there."""
    where = f"{host}:{number}"
    try:
        found = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and served:
            return Finding("ok", "port", f"{where} (in use, as the server is running)")
        advice = "stop what listens there, or choose another with --port"
        if error.errno == errno.EACCES:
            advice = "ports below 1024 need a special privilege; choose another with --port"
        elif error.errno != errno.EADDRINUSE:
            advice = "choose an address of this machine with --host"
        return Finding("problem", "port", f"can't listen on {where} ({error.strerror}): {advice}")
    return Finding("ok", "port", f"{where} (free)")


def writable(directory: Path) -> str | None:
    """Why nothing can be created in a directory, or in its nearest existing ancestor; None if it can."""
    place = existing(directory)
    try:
        if not place.is_dir():
            return f"{place} is a file"
        if place == directory:
            with tempfile.TemporaryFile(dir=directory) as file:
                file.write(b"x")
        elif not os.access(place, os.W_OK | os.X_OK):
            return f"{place} can't be written"
    except OSError as error:
        return error.strerror or str(error)
    return None


def existing(path: Path) -> Path:
    """The path, or its nearest existing ancestor."""
    return next((place for place in (path, *path.absolute().parents) if os.path.lexists(place)), path)


def disk(directory: Path) -> Finding:
    """Judge the free space where the data directory is or will be."""
    place = existing(directory)
    return judge_disk(shutil.disk_usage(place).free, place)


def judge_disk(free: int, place: Path) -> Finding:
    """Judge a number of free bytes."""
    said = f"{free / 2**30:.1f} GiB free at {place}"
    if free < FREE_BYTES_NEEDED:
        return Finding(
            "problem", "disk", f"{said}: nearly full, and a server that can't write refuses events; make room"
        )
    if free < FREE_BYTES_WANTED:
        return Finding("warning", "disk", f"{said}: make room before it is full")
    return Finding("ok", "disk", said)


def files(soft_limit: int) -> Finding:
    """Judge the limit of open files, as `open_files` returns it."""
    if soft_limit == resource.RLIM_INFINITY:
        return Finding("ok", "files", "no limit")
    said = f"{soft_limit} open files"
    if soft_limit >= FILES_WANTED:
        return Finding("ok", "files", said)
    level: Level = "problem" if soft_limit < FILES_NEEDED else "warning"
    return Finding(
        level, "files", f"{said}: each connection is one; `ulimit -n {FILES_WANTED}` (systemd: LimitNOFILE=)"
    )


def open_files() -> int:
    """The soft limit of open files."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def clock(now: int, newest_fact: int | None, written: int | None, program: int | None) -> Finding:
    """Judge the clock by what can't be later than now. All in microseconds since the epoch.

    `newest_fact` is when the last fact was made, `written` when a file of the data directory was last written,
    `program` when this program was built.
    """
    for moment, tolerance, of in (
        (newest_fact, CLOCK_TOLERANCE, "the newest fact was made"),
        (written, CLOCK_TOLERANCE, "the data directory was written"),
        (program, PROGRAM_TOLERANCE, "this program was built"),
    ):
        if moment is not None and now + tolerance < moment:
            return Finding(
                "problem",
                "clock",
                f"{format_timestamp(now)} is earlier than {format_timestamp(moment)}, when {of}: set the clock "
                "(with systemd: timedatectl set-ntp true)",
            )
    return Finding("ok", "clock", format_timestamp(now))


def last_written(paths: Iterable[Path]) -> int | None:
    """The latest modification time of those files that exist, in microseconds since the epoch."""
    times = []
    for path in paths:
        try:
            times.append(path.stat().st_mtime_ns // 1000)
        except OSError:
            continue  # gone, or not readable
    return max(times, default=None)
