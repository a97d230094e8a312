"""What stops the server: a signal, or the end of standard input."""

import asyncio
import os
import signal
import sys
import threading

import structlog

from bq_server.runtime.frozen import built_from
from bq_server.runtime.systemd import notify
from bq_server.server.server_state import ServerState

log = structlog.get_logger("bq_server")

ECHO_SECONDS = 0.5
"""The one-file executable's bootloader forwards each signal, even one that was sent to the program as well."""


class Shutdown:
    """Begins an orderly shutdown. A further signal ends the process at once."""

    def __init__(self, running: ServerState) -> None:
        self._running = running
        self._asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._echo_seconds = ECHO_SECONDS if built_from() == "onefile" else 0.0
        self._first = 0.0

    async def wait(self) -> None:
        """Return when the shutdown should begin."""
        await self._asked.wait()

    def heed_signals(self) -> None:
        """Let SIGINT, SIGTERM and, unless the parent ignored it, SIGHUP begin the shutdown.

        A shell ignores SIGINT for what it starts in the background; anyone who sends it nevertheless means it. An
        ignored SIGHUP is what `nohup` does.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            self._loop.add_signal_handler(number, self._on_signal, number)

    def heed_stdin(self) -> None:
        """Let the end of standard input begin the shutdown."""

        def read() -> None:
            while os.read(sys.stdin.fileno(), 1024):
                pass  # no input is expected
            self._loop.call_soon_threadsafe(self._begin, "server.stdin_ended")

        # A thread, because an event loop can't watch every kind of file; it doesn't keep the process alive.
        threading.Thread(target=read, name="stdin", daemon=True).start()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._asked.is_set():
            if self._loop.time() - self._first < self._echo_seconds:
                return
            os._exit(128 + number)  # the stream server dies with this process; what was accepted is on disk
        hint = "finishing what is under way; a second signal ends it at once"
        self._begin("server.signal", signal=number.name, hint=hint)

    def _begin(self, why: str, **more: str) -> None:
        if self._asked.is_set():
            return
        log.info(why, **more)
        self._running.stopping = True
        self._first = self._loop.time()
        self._asked.set()
        notify("STOPPING=1")
