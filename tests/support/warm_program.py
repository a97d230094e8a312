"""The program in processes forked from one that has imported it: of a start's 1.5 s these imports are 1.3.

Each is a process of its own, with its own arguments, environment, directory and output, and comes to its end as one
does that was started from the disk. Whatever a start from the disk decides itself — which variables of Python's or of
the system's it reads, what it inherits — needs `subprocess.Popen`, and so does whatever looks at its command line.
"""

import atexit
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

OF_A_COMMAND = ("BQ_", "PYTEST_")
"""Variables that begin so are read by a command as it runs, or by none."""

STARTED_WITH = dict(os.environ)
"""The environment of the process that forks: this one's before any test has changed it."""


class ForkedProgram(subprocess.Popen[str]):
    """As `Popen` of the program, with the output in two files or pipes that are open for writing."""

    _child_created = False  # it is not this process's child: nothing may wait for it as for one

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int) -> None:
        self.args = arguments
        self.returncode = None
        self.stdin = self.stdout = self.stderr = None
        asked, request = os.pipe()
        status, told = os.pipe()
        self._status = os.fdopen(status)
        try:
            socket.send_fds(_forking(), [b"+"], [asked, stdout, stderr, told])
        finally:
            os.close(asked)
            os.close(told)
        with os.fdopen(request, "w") as writing:
            json.dump([list(arguments), dict(environment), str(Path.cwd())], writing)
        self.pid = int(self._status.readline())

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended. Raises `subprocess.TimeoutExpired` after so many seconds."""
        if self.returncode is None and not select.select([self._status], [], [], timeout)[0]:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        code = self.poll()
        assert code is not None
        return code


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a start in this environment differs in nothing from what is forked."""
    return _kept(environment) == _kept(STARTED_WITH)


def _kept(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(OF_A_COMMAND)}


@cache
def _forking() -> socket.socket:
    """The connection to the process that forks, which its first use starts and this process's end ends."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            stdout=subprocess.DEVNULL,
            env=STARTED_WITH,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _fork_as_asked(asking: socket.socket) -> None:
    """Fork for each request until the other end is closed; returns in what was forked alone."""
    while True:
        _, received, _, _ = socket.recv_fds(asking, 1, 4)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not received:
            sys.exit()
        if not os.fork():
            break
        for each in received:
            os.close(each)
    asking.close()
    request, stdout, stderr, told = received
    program = os.fork()
    if program:
        for each in (request, stdout, stderr):
            os.close(each)
        os.write(told, b"%d\n" % program)
        _, status = os.waitpid(program, 0)
        os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    os.close(told)
    with os.fdopen(request) as reading:
        sys.argv[1:], environment, directory = json.load(reading)
    for each, number in ((stdout, 1), (stderr, 2)):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)


if __name__ == "__main__":
    import pydantic_settings  # noqa: F401 - as what follows: needed by what is forked

    from bq_server import __main__ as program
    from bq_server.cli import main
    from bq_server.server import run  # noqa: F401

    _fork_as_asked(socket.socket(fileno=int(sys.argv[1])))
    sys.argv[0] = program.__file__
    main()
