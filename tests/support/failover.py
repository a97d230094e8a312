"""A stream server with two replicas, of which one becomes the primary when that is gone."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.process import until
from tests.support.valkey import PASSWORD, Valkey

NAME = "queue"

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
OPTIONS = (*DURABLE, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")


@dataclass
class ReplicatedStream(ABC):
    """They are on loopback."""

    primary: Valkey
    """Of the beginning."""
    replicas: Sequence[Valkey]

    @property
    @abstractmethod
    def url(self) -> str:
        """Under which a server under test finds the primary."""

    @abstractmethod
    def primary_port(self) -> int:
        """Of the primary that those name who decide about it."""

    @abstractmethod
    def known_replicas(self) -> int:
        """How many replicas they know."""

    @contextmanager
    def replicas_held_up(self) -> Iterator[None]:
        """They do nothing meanwhile, and receive nothing."""
        for each in self.replicas:
            each.process.send_signal(signal.SIGSTOP)
        with self.primary.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")  # what is sent is kept in its socket
        try:
            yield
        finally:
            for each in self.replicas:
                each.process.send_signal(signal.SIGCONT)

    def kill_primary(self) -> None:
        """`kill -9`."""
        self.primary.process.kill()
        self.primary.process.wait()

    @contextmanager
    def primary_held_up(self) -> Iterator[None]:
        """The primary does nothing meanwhile; then it doesn't know yet that it is one no more."""
        self.primary.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.primary.process.send_signal(signal.SIGCONT)

    def until_promoted(self) -> None:
        """Wait until a replica is the primary, and it is said so."""
        until("a replica is the primary", self._is_promoted, seconds=60)

    def _is_promoted(self) -> bool:
        port = self.primary_port()
        for each in self.replicas:
            if each.port == port:
                with each.client() as client:
                    return bool(client.info("replication")["role"] == "master")
        return False

    def until_replicated(self) -> None:
        """Wait until the replicas keep up, and are known."""
        until("the replicas keep up", self._is_replicated, seconds=60)

    def _is_replicated(self) -> bool:
        with self.primary.client() as client:
            client.set(f"{{{NAME}}}written", 1)
            kept: Any = client.execute_command("WAITAOF", 1, len(self.replicas), 100)
            return bool(kept[1] == self.known_replicas() == len(self.replicas))
