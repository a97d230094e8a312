"""A command that goes on until it is interrupted, seen line by line."""

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping
from typing import Any, Self

from tests.support.process import COMMAND, START_SECONDS, STOP_SECONDS


class Following:
    """`bq-server tail` or `listen`; a context manager that ends it."""

    def __init__(self, *arguments: str, env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | env,
        )
        self.errors: list[str] = []
        """What it has said on standard error so far."""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._said = threading.Condition()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._read, self._read_errors)]
        for thread in self._threads:
            thread.start()

    def next(self) -> str:
        """The next line of its output."""
        line = self._lines.get(timeout=START_SECONDS)
        assert line is not None, f"it has ended: {self.errors}"
        return line

    def until_said(self, text: str, times: int = 1) -> None:
        """Wait until standard error has so many lines with this text."""
        with self._said:
            assert self._said.wait_for(lambda: self._count(text) >= times, START_SECONDS), self.errors

    def interrupt(self) -> int:
        """Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Its exit code."""
        code = self.process.wait(STOP_SECONDS)
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        return code

    def _count(self, text: str) -> int:
        return sum(text in line for line in self.errors)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._said:
                self.errors.append(line)
                self._said.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
