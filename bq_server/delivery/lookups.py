"""Name lookups, each on its own thread.

The event loop's own lookups share four threads, and a name whose servers don't answer occupies one for half a
minute: a few such names would delay all others.
"""

import asyncio
import socket
from contextlib import suppress

from bq_server.concurrency.worker_thread import begin_thread


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises `OSError` and `UnicodeError` if it has none."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def finish(found: list[str] | Exception) -> None:
        if answer.done():  # nobody waits any more
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def work() -> None:
        found: list[str] | Exception
        try:
            found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            found = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(finish, found)

    try:
        begin_thread(work)
    except RuntimeError as error:
        raise OSError(str(error)) from None
    return await answer
