"""One at a time: what changes a test environment as a whole, or must see it whole."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager

from bq_server.events import Scope
from bq_server.ingest.unavailable import unavailable
from bq_server.refusals import Code, Refusal


class Turns:
    """Lets one caller at a time work on an environment. Events are accepted all the while."""

    def __init__(self, among_all: Callable[[Scope, float], AbstractAsyncContextManager[None]] | None = None) -> None:
        """`among_all`: how to have an environment to oneself among several processes; raises `TimeoutError`."""
        self._among_all = among_all
        self._locks: defaultdict[Scope, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def take(self, scope: Scope, seconds: float) -> AsyncIterator[None]:
        """Hold the environment. Raises `Refusal` if others still hold it after `seconds`."""
        until = asyncio.get_running_loop().time() + seconds
        lock = self._locks[scope]
        async with AsyncExitStack() as held:
            with unavailable("The environment can't be changed"), _refused_after(seconds):
                async with asyncio.timeout(seconds):
                    await lock.acquire()
                held.callback(lock.release)
                if self._among_all is not None:
                    left = max(0.0, until - asyncio.get_running_loop().time())
                    await held.enter_async_context(self._among_all(scope, left))
            yield


@contextmanager
def _refused_after(seconds: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        detail = (
            f"After {seconds:g} s a reset, an import, an export or a change of the clock of this environment is "
            "still under way, and only one runs at a time. Nothing was done: try again."
        )
        raise Refusal(Code.NOT_DRAINED, detail) from None
