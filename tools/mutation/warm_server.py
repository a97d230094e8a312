"""A running server that has every mutant, with those on that are asked for."""

import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from harness.client import Client
from harness.private_server import PrivateServer
from tools.mutation.mutated import CACHE_VARIABLE, SWITCHED
from tools.mutation.switch import FIRST_VARIABLE, SOCKET_VARIABLE, ask

COMMAND = (sys.executable, "-m", "tools.mutation.mutated", SWITCHED)
CONNECT_SECONDS = 30.0

Outcome = TypeVar("Outcome")


class WarmServer:
    """A context manager: running inside. After `restart` it is as it was first."""

    def __init__(self, sites: int) -> None:
        self._sites = sites
        self._directory = tempfile.TemporaryDirectory(prefix="bq-mutants-")
        self._server: PrivateServer | None = None
        self._program: socket.socket | None = None
        self.client: Client | None = None

    def switch(self, *numbers: int) -> bytes:
        """Have these mutants on, or none; returns what was reached since the last switch.

        Raises `ConnectionError` when the server has ended.
        """
        if self._program is None:
            raise ConnectionError("the server isn't running")
        return ask(self._program, numbers, self._sites)

    @property
    def running(self) -> bool:
        """Whether it hasn't ended by itself."""
        return self._server is not None and self._server.running

    def within(self, seconds: float, play: Callable[[Client], Outcome]) -> Outcome | None:
        """Play something; None when it takes longer. Mutants are off from then on, so that it ends all the same.

        Where even that doesn't end it, the server is killed, which then is what is played against.
        """
        if self._server is None or self.client is None:
            raise ConnectionError("the server isn't running")
        late = threading.Event()
        clocks = [threading.Timer(seconds, self._give_up, [late]), threading.Timer(2 * seconds, self._server.kill)]
        for clock in clocks:
            clock.start()
        try:
            outcome = play(self.client)
        finally:
            for clock in clocks:
                clock.cancel()
            clocks[0].join()
        return None if late.is_set() else outcome

    def _give_up(self, late: threading.Event) -> None:
        late.set()
        with suppress(OSError):
            self.switch()

    def restart(self, *numbers: int) -> None:
        """Start another one, with nothing of the last, and with these mutants on. Raises `ServerFailed`."""
        self._stop()
        path = str(Path(self._directory.name) / "switch")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen(1)
            listening.settimeout(CONNECT_SECONDS)
            environment = {
                SOCKET_VARIABLE: path,
                FIRST_VARIABLE: " ".join(map(str, numbers)),
                CACHE_VARIABLE: self._directory.name,
            }
            self._server = PrivateServer(command=COMMAND, environment=environment)
            self._server.start()
            self._program, _ = listening.accept()
        self.client = Client(self._server.url, self._server.key)

    def _stop(self) -> None:
        if self.client is not None:
            self.client.close()
        if self._program is not None:
            self._program.close()
        if self._server is not None:
            self._server.kill()  # nothing of it is kept, so there is nothing to write down
            self._server.close()
        (Path(self._directory.name) / "switch").unlink(missing_ok=True)
        self.client = self._program = self._server = None

    def __enter__(self) -> Self:
        try:
            self.restart()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        self._directory.cleanup()
