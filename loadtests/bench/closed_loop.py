"""wrk: a fixed number of requests in flight; a response triggers the next. For throughput; flatters a slow server."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("post.lua")
MARK = "figures "
GRACE_SECONDS = 30.0
TIMEOUT = "10s"


class WrkFailed(Exception):
    """wrk isn't installed, or it failed. The message says which."""


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """What wrk saw: requests a second that were accepted, and percentiles of all in milliseconds."""

    accepted: float
    """A second."""
    answered: int
    """Requests in all, refused ones among them."""
    refused: int
    broken: int
    p50: float
    p95: float
    p99: float
    p999: float
    largest: float


def post(url: str, key: str, bodies: Sequence[bytes], *, in_flight: int, seconds: int) -> ClosedLoop:
    """POST the bodies in turn to a URL, `in_flight` at a time, each over a connection of its own.

    Raises `WrkFailed`.
    """
    program = shutil.which("wrk")
    if program is None:
        raise WrkFailed("no wrk: `make bench` installs it on Debian; elsewhere install it from your system's packages")
    with tempfile.NamedTemporaryFile("wb", suffix=".txt") as file:
        file.write(b"".join(body + b"\n" for body in bodies))
        file.flush()
        flags = [f"-t1 -c{in_flight} -d{seconds}s".split(), ["--timeout", TIMEOUT, "-s", str(SCRIPT)]]
        command = [program, *flags[0], *flags[1], url, "--", file.name, key]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=False
        )
    return read_output(done.stdout, done.stderr)


def read_output(printed: str, errors: str = "") -> ClosedLoop:
    """Read what wrk and the script print. Raises `WrkFailed` if there are no figures."""
    marked = [line.removeprefix(MARK) for line in printed.splitlines() if line.startswith(MARK)]
    if not marked:
        raise WrkFailed(f"wrk gave no figures: {(errors or printed).strip()[-500:]}")
    found: dict[str, Any] = json.loads(marked[-1])
    accepted = found["requests"] - found["refused"]
    if accepted <= 0:
        raise WrkFailed(f"nothing was accepted of {found['requests']} requests ({found['broken']} broke)")
    milliseconds = {name: found[name] / 1000 for name in ("p50", "p95", "p99", "p999")}
    return ClosedLoop(
        accepted=accepted * 1e6 / found["microseconds"],
        answered=found["requests"],
        refused=found["refused"],
        broken=found["broken"],
        largest=found["max"] / 1000,
        **milliseconds,
    )
