"""A pipe to a stream server whose answers a test gives."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.guarded_pipe import GuardedPipe
from bq_server.stream.scripts import Script


@dataclass(frozen=True)
class ScriptCall:
    script: Script
    keys: list[str]
    args: list[bytes | str | int]


class ScriptedPipe:
    """Records what it is asked, and answers when `answer` is called."""

    def __init__(self) -> None:
        self.calls: list[ScriptCall] = []
        self.away = False
        self._answers: asyncio.Queue[Any] = asyncio.Queue()

    def as_pipe(self) -> GuardedPipe:
        return cast("GuardedPipe", self)

    def check(self) -> None:
        if self.away:
            raise StreamUnavailable("the stream server is away")

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int], *, accepts: bool = False
    ) -> Any:
        self.calls.append(ScriptCall(script, list(keys), list(args)))
        answer = await self._answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def answer(self, with_: Any) -> None:
        """Let the oldest call that waits, or the next one, have this; an exception is raised there."""
        self._answers.put_nowait(with_)


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)
