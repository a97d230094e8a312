"""Removing accepted events from the stream, as somebody else might, and what the server reports about it."""

import asyncio
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from bq_server.runtime.frozen import own_command, own_environment

SOCKET = Path("stream", "valkey.sock")
"""In the data directory."""

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "trim-stream": ("XTRIM", "bq:events", "MAXLEN", "0"),
    "flush-stream": ("FLUSHALL",),
}

SECONDS = 10.0

_LOST = re.compile(r"(\d+) accepted events? (?:is|are) lost")
_MAYBE = re.compile(r"at least \d+ accepted events? (?:is|are) lost|accepted events may be lost")


async def command(data_dir: Path, kind: str) -> bool:
    """Have the embedded stream server run a destructive command; returns whether it could be reached."""
    words = COMMANDS[kind]
    request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(data_dir / SOCKET))
            try:
                writer.write(request.encode())
                answer = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return answer[:1] in (b":", b"+")


class ToldLoss(Struct):
    """How many events the server has said are lost."""

    events: int = 0
    at_least: bool = False
    """Whether it said that there may be more."""

    def add(self, told: str) -> None:
        """Add what a text of the server says."""
        self.events += sum(int(number) for number in _LOST.findall(told))
        self.at_least = self.at_least or _MAYBE.search(told) is not None

    def __str__(self) -> str:
        return f"at least {self.events}" if self.at_least else str(self.events)


def acknowledge(data_dir: Path) -> str:
    """Acknowledge the server's losses; returns what it says about them."""
    environment = {name: value for name, value in own_environment().items() if not name.startswith("BQ_")}
    words = [*own_command(), "doctor", "--acknowledge", "--data-dir", str(data_dir), "--port", "0"]
    ended = subprocess.run(  # noqa: S603 - our own program
        words, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return "\n".join(line for line in ended.stdout.splitlines() if "acknowledged" in line)
