"""A root with nothing in it but the executable, without a network, and what it takes to look inside from outside."""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.binary.program import Program

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

HERE = Path(__file__).parents[2]
PROGRAM = "/opt/bq-server"
"""Where the program is, inside."""
DATA = "/var/lib/bq"
SCRATCH = "/scratch"
MADE = "/opt/made"
"""A file as old as the root itself, inside."""

_SETUP = """
set -e
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --bind /dev "$ROOT/dev"
for place in $WRITABLE; do mount -t tmpfs -o mode=1777 tmpfs "$ROOT$place"; done
if [ "$READ_ONLY" = yes ]; then mount -o remount,bind,ro "$ROOT"; fi
echo ready
exec sleep infinity
"""


def made_root(name: str, *how: str) -> Path:
    """The bare root of that name, made when it is not there."""
    root = HERE / "build" / name
    subprocess.run([HERE / "packaging" / "bare_root.sh", root, *how], check=True)
    return root


@contextmanager
def bare_root(base: Path, program: Path, place: Path, *, user: str, read_only: bool) -> Iterator[Program]:
    """The program in a copy of the root `base`, in namespaces of its own; `program` is a file or a directory."""
    root = place / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", base, root], check=True)
    (root / PROGRAM.strip("/")).parent.mkdir(exist_ok=True)
    if program.is_dir():
        shutil.copytree(program, root / PROGRAM.strip("/"), symlinks=True)
    else:
        shutil.copy2(program, root / PROGRAM.strip("/"))
    for directory in (DATA, SCRATCH):
        (root / directory.strip("/")).mkdir(parents=True)
    (root / MADE.strip("/")).touch()
    holder = subprocess.Popen(
        ["unshare", "--mount", "--net", "sh", "-c", _SETUP],
        env={
            **os.environ,
            "ROOT": str(root),
            "WRITABLE": f"{DATA} {SCRATCH}",
            "READ_ONLY": "yes" if read_only else "no",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "the bare root can't be set up"

        def within(call: Callable[[], Any]) -> Any:
            return _in_network_of(holder.pid, call)

        within(_loopback_up)
        enter = ["nsenter", f"--target={holder.pid}", "--mount", "--net", "chroot", f"--userspec={user}", str(root)]
        command = f"{PROGRAM}/bq-server" if program.is_dir() else PROGRAM
        yield Program([*enter, command], place, {"TMPDIR": SCRATCH}, within=within)
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
        shutil.rmtree(root, ignore_errors=True)


def shell(program: Program, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the root's own shell, as the same user."""
    command = [*program.command[:-1], "/bin/sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=program.variables(""))


def _in_network_of(pid: int, call: Callable[[], Any]) -> Any:
    """Call something in a thread that has entered the network of another process."""

    def run() -> Any:
        with Path(f"/proc/{pid}/ns/net").open() as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        return call()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(run).result()


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        fcntl.ioctl(each, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def reaches_out() -> bool:
    """Whether this network has a way to anywhere but itself."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        each.connect(("192.0.2.1", 9))
        return True
    return False
