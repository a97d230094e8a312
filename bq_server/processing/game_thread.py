"""A thread for the game, so that it delays no request, however long it takes."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class GameThread:
    """One thread, on which pure functions of the game are called, one after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "fold")

    async def run(self, work: Callable[[], T]) -> T:
        """Call a function there; returns what it returns, raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
