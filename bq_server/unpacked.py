"""Where the one-file executable unpacks itself: held while it runs, and cleared of what killed runs left behind.

A one-file executable is two processes: the bootloader, which unpacks into `_MEI<pid in hex><random>` and whose process
id the user knows, and the program, its child. The bootloader removes the directory when the program ends, but not when
it is itself killed.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import stat
import sys
import time
from pathlib import Path

from bq_server.frozen import built_from, bundle

LOCK = "bq-server.lock"
"""In a directory whose program came to run; the kernel lets go of it however that program ends."""

STAMP = Path("bq_server", "build.json")
"""Packed into every executable of ours, and into no other."""

UNPACKING_SECONDS = 600.0
"""A directory of ours without a lock that is older than this was left by a bootloader killed while unpacking."""

_PR_SET_PDEATHSIG = 1


def enter() -> None:
    """The first thing that the executable does: tie it to its bootloader, and clear up after killed runs."""
    if built_from() != "onefile":
        return
    directory = bundle()
    bootloader = int(directory.name[4:12], 16)
    if os.getppid() != bootloader and (directory / LOCK).exists():
        return  # started by the program itself, which holds the directory
    _die_with(bootloader)
    # A terminal's Ctrl-C would come twice otherwise: from the terminal, and handed on by the bootloader.
    os.setsid()
    hold(directory)
    remove_stale(directory)


def _die_with(bootloader: int) -> None:
    """Have the kernel kill this process when the bootloader dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != bootloader:
            os._exit(1)  # it was dead before the kernel was asked


def hold(directory: Path) -> int:
    """Mark the directory as in use for as long as this process lives. Answers the lock's descriptor."""
    # Nobody may find the lock before it is taken: it gets its name afterwards.
    unnamed = directory / f"{LOCK}.new"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, f"{os.getpid()} {time.time():.0f}\n".encode())
    unnamed.rename(directory / LOCK)
    return descriptor


def remove_stale(own: Path) -> None:
    """Remove the directories beside `own` that killed runs of this program left: ours, this user's, and dead."""
    for directory in own.parent.glob("_MEI*"):
        try:
            status = directory.lstat()
            if directory == own or not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            if _is_dead(directory, status.st_mtime):
                shutil.rmtree(directory, ignore_errors=True)
        except OSError:
            continue  # it is being removed by somebody else


def _is_dead(directory: Path, modified: float) -> bool:
    try:
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return (directory / STAMP).is_file() and time.time() - modified > UNPACKING_SECONDS
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
