"""Where the one-file executable unpacks itself: locked while it runs, and cleared of what killed runs left behind.

A one-file executable is two processes: the bootloader, which unpacks into `_MEI<pid in hex><random>` and whose process
id the user knows, and the program, its child. The bootloader removes the directory when the program ends, but not when
it is itself killed.

Cleaners of temporary files (systemd-tmpfiles) remove what nobody has touched for days, except for a directory that is
itself locked; so it is locked too.
"""

import ctypes
import fcntl
import os
import re
import shutil
import signal
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

from bq_server.runtime.frozen import built_from, bundle

LOCK = "bq-server.lock"
"""In a directory whose program got to run; the kernel releases it however that program ends."""

STAMP = "0bq-server.stamp"
"""The first file that every executable of ours unpacks, and no other program does."""

QUIET_SECONDS = 5.0
"""A directory of ours without a lock, in which nothing has changed for this long and whose bootloader is no process
here, was left by one killed while unpacking. The wait is for bootloaders in other containers, whose processes can't be
seen."""

UNPACKING_SECONDS = 600.0
"""The same if a process has the bootloader's number, which may be a different one by now."""

_NAME = re.compile(r"_MEI([0-9a-fA-F]{8})\w{6}")

_PR_SET_PDEATHSIG = 1


def enter() -> None:
    """The first thing that the executable does: tie itself to its bootloader, and clean up after killed runs."""
    if built_from() != "onefile":
        return
    directory = bundle()
    bootloader = int(directory.name[4:12], 16)
    if os.getppid() != bootloader and (directory / LOCK).exists():
        return  # started by the program itself, which holds the directory
    _die_with(bootloader)
    # Otherwise a terminal's Ctrl-C would arrive twice: from the terminal, and forwarded by the bootloader.
    os.setsid()
    hold(directory)
    remove_stale(directory)


def _die_with(bootloader: int) -> None:
    """Have the kernel kill this process when the bootloader dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != bootloader:
            os._exit(1)  # it died before the kernel was asked


def hold(directory: Path) -> int:
    """Mark the directory as in use for as long as this process lives. Returns the lock's descriptor."""
    itself = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with suppress(OSError):  # some file systems can't lock directories
        fcntl.flock(itself, fcntl.LOCK_SH | fcntl.LOCK_NB)
    # Nobody must find the lock file before it is locked: it gets its name afterwards.
    unnamed = directory / f"{LOCK}.new"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, f"{os.getpid()} {time.time():.0f}\n".encode())
    unnamed.rename(directory / LOCK)
    return descriptor


def remove_stale(own: Path) -> None:
    """Remove the directories beside `own` that killed runs of this program left behind, if they are this user's."""
    for directory in own.parent.glob("_MEI*"):
        try:
            status = directory.lstat()
            if directory == own or not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            if _is_dead(directory):
                _remove(directory)
        except OSError:
            continue  # it is being removed by somebody else


def _remove(directory: Path) -> None:
    """The files that identify it are removed last, so that the next start continues an interrupted removal."""
    for path in directory.iterdir():
        if path.name in (STAMP, LOCK):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)


def _is_dead(directory: Path) -> bool:
    try:
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return _is_abandoned(directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _is_abandoned(directory: Path) -> bool:
    """Whether a directory that no program locked was unpacked by ours, and its bootloader is gone."""
    name = _NAME.fullmatch(directory.name)
    if name is None or not (directory / STAMP).is_file():
        return False
    # Unpacking changes something all the time, though not always at the top.
    newest = max(path.lstat().st_mtime for path in [directory, *directory.rglob("*")])
    wait = UNPACKING_SECONDS if _is_running(int(name[1], 16)) else QUIET_SECONDS
    return time.time() - newest > wait


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
