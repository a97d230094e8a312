"""What this program is: its version, the commit and the form it was built from, and what it runs on."""

import json
import platform
import subprocess
from importlib.resources import files
from pathlib import Path

from bq_server import __version__
from bq_server.runtime.frozen import built_from, is_frozen

STAMP = "build.json"
"""In the package `bq_server` of an executable: the commit that it was built from."""


def about() -> dict[str, str | None]:
    """What `bq-server version --json` prints."""
    from bq_server.store import sqlite

    return {
        "version": __version__,
        "commit": commit(),
        "built_from": built_from(),
        "python": platform.python_version(),
        "sqlite": sqlite.VERSION,
        "platform": f"{platform.system().lower()}-{platform.machine().lower()}",
    }


def commit() -> str | None:
    """The commit of this program, with `-dirty` if files differ from it; None if unknown."""
    if is_frozen():
        stamp = json.loads((files("bq_server") / STAMP).read_text("utf-8"))
        found: str | None = stamp["commit"]
        return found
    return commit_of(Path(__file__).resolve().parent.parent)


def commit_of(directory: Path) -> str | None:
    """The commit checked out there, if it is a checkout of its own and git is available."""
    if not (directory / ".git").exists():
        return None
    try:
        # Asking must not write to the repository, in which somebody may be working.
        ask = ["git", "--no-optional-locks", "-C", str(directory), "describe", "--always", "--dirty", "--abbrev=40"]
        answer = subprocess.run([*ask, "--exclude=*"], capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
