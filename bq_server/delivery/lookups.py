"""Looking names up, each on a thread of its own.

The event loop's own lookups share four threads, and a name whose servers are gone holds one for half a minute: a few
such names would keep all others waiting.
"""

import asyncio
import socket
import threading
from contextlib import suppress


async def look_up(host: str, port: int) -> list[str]:
    """The addresses that a name stands for. Raises `OSError` and `UnicodeError` where it stands for none."""
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

    threading.Thread(target=work, name="lookup", daemon=True).start()
    return await answer
