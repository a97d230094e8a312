"""A stream server with two replicas, and a sentinel that makes one of them the primary when that is gone."""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from bq_server.stream.valkey_binary import server_binary
from tests.support.process import until
from tests.support.valkey import PASSWORD, Valkey, free_port, valkey

NAME = "queue"

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
OPTIONS = (*DURABLE, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")


@dataclass
class ReplicatedStream:
    """They are on loopback."""

    primary: Valkey
    """Of the beginning."""
    replicas: Sequence[Valkey]
    sentinel_port: int

    @property
    def url(self) -> str:
        return f"redis+sentinel://default:{PASSWORD}@127.0.0.1:{self.sentinel_port}/{NAME}"

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
        """Wait until a replica is the primary, and the sentinel says so."""
        until("a replica is the primary", self._is_promoted, seconds=60)

    def _is_promoted(self) -> bool:
        with redis.Redis(port=self.sentinel_port) as sentinel:
            _, port = sentinel.sentinel_get_master_addr_by_name(NAME)
        for each in self.replicas:
            with each.client() as client:
                if each.port == int(port) and client.info("replication")["role"] == "master":
                    return True
        return False

    def until_replicated(self) -> None:
        """Wait until the replicas keep up, and the sentinel knows of them."""
        until("the replicas keep up", self._is_replicated)

    def _is_replicated(self) -> bool:
        with self.primary.client() as client, redis.Redis(port=self.sentinel_port) as sentinel:
            client.set("written", 1)
            kept: Any = client.execute_command("WAITAOF", 1, len(self.replicas), 100)
            known: Any = sentinel.sentinel_slaves(NAME)
            return bool(kept[1] == len(known) == len(self.replicas))


@contextmanager
def replicated_stream(directory: Path) -> Iterator[ReplicatedStream]:
    """Start them."""
    with ExitStack() as stack:
        primary = stack.enter_context(valkey(directory / "primary", *OPTIONS))
        of_primary = ("--replicaof", f"127.0.0.1 {primary.port}")
        replicas = [
            stack.enter_context(valkey(directory / f"replica{number}", *OPTIONS, *of_primary)) for number in range(2)
        ]
        made = ReplicatedStream(primary, replicas, stack.enter_context(_sentinel(directory, primary)))
        made.until_replicated()
        yield made


@contextmanager
def _sentinel(directory: Path, primary: Valkey) -> Iterator[int]:
    port, settings = free_port(), directory / "sentinel.conf"
    lines = [
        f"port {port}",
        f"dir {directory}",
        f"sentinel monitor {NAME} 127.0.0.1 {primary.port} 1",
        f"sentinel auth-pass {NAME} {PASSWORD}",
        f"sentinel down-after-milliseconds {NAME} 1000",
        f"sentinel failover-timeout {NAME} 3000",
    ]
    settings.write_text("\n".join(lines))
    command = [str(server_binary()), str(settings), "--sentinel"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with redis.Redis(port=port) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    try:
        until("the sentinel answers", answers)
        yield port
    finally:
        process.kill()
        process.wait()
