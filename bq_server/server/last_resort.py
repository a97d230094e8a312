"""The end of a process that has no memory left to be trusted with, as the kernel would end it.

A callback of the event loop that can't be made or called is a task that is never woken again, perhaps with a lock in
its hands; and a loop that can't report it stops, while threads of the process keep its port open. What supervises the
server starts it again, and what was accepted is on disk.
"""

import asyncio
import os
import traceback
from contextlib import suppress
from typing import Any, NoReturn

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h."""

_LAST_WORD = b'{"event": "server.out_of_memory", "level": "critical"}\n'
"""Made beforehand: there may be no memory to make it with."""

_WANT = (MemoryError, SystemError)
"""The second is what Python says when a function written in C had no memory to say it."""


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The exception handler of the loop: logs, and ends the process when a callback was lost for want of memory."""
    with suppress(Exception):
        loop.default_exception_handler(context)
    if "handle" in context and isinstance(context.get("exception"), _WANT):
        end()


def end() -> NoReturn:
    """End the process at once, without cleaning up."""
    with suppress(Exception):
        os.write(2, _LAST_WORD)
    os._exit(EXIT_CODE)


def end_after(error: BaseException) -> NoReturn:
    """End at once, for what nobody foresaw: whatever else would have to be ended first might not end."""
    with suppress(Exception):
        traceback.print_exception(error)
    os._exit(EXIT_CODE)
