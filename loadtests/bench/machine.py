"""On what machine, and with which versions, a report was made."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bq_server.stream.valkey_binary import server_binary
from loadtests.subjects import FASTIFY

ROOT = Path(__file__).parents[2]
PACKAGES = ("hypercorn", "starlette", "uvloop", "httptools", "redis", "pydantic", "fastapi", "uvicorn")
NODE_PACKAGES = ("fastify", "ioredis")
GB = 1 << 30
UNKNOWN = "unknown"


def describe() -> dict[str, str]:
    """Machine, versions and commit, in the order of the report."""
    return surroundings() | {
        "stream server": _printed([str(server_binary()), "--version"]),
        "packages": versions(PACKAGES),
        "node": _node(),
        "generator": _wrk(),
    }


def surroundings() -> dict[str, str]:
    """What every report contains: the commit, the machine, and how busy it was before."""
    return {
        "commit": _commit(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}",
        "load before": load(),
    }


def versions(packages: Sequence[str]) -> str:
    """Packages with their versions."""
    return ", ".join(f"{name} {_version(name)}" for name in packages)


def load() -> str:
    """The load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{each:.2f}" for each in os.getloadavg())


def _commit() -> str:
    commit = _printed(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"])
    changed = _printed(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return commit + (" with changes" if changed not in ("", UNKNOWN) else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or UNKNOWN
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), UNKNOWN)


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return "memory unknown"
    return f"{size / GB:.0f} GB"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def _node() -> str:
    found = [_printed(["node", "--version"])]
    for name in NODE_PACKAGES:
        package = FASTIFY / "node_modules" / name / "package.json"
        found.append(f"{name} {json.loads(package.read_text('utf-8'))['version'] if package.is_file() else '-'}")
    return ", ".join(found)


def _wrk() -> str:
    # It prints its version with its usage, and ends with 1.
    return _printed(["wrk", "-v"]).partition(" [")[0]


def _printed(command: Sequence[str]) -> str:
    program = shutil.which(command[0])
    if program is None:
        return UNKNOWN
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    return (done.stdout or done.stderr).strip().partition("\n")[0]
