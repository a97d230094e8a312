"""A stream server with two replicas, and a sentinel that makes one of them the primary when that is gone."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from bq_server.stream.valkey_binary import server_binary
from tests.support.failover import NAME, OPTIONS, ReplicatedStream
from tests.support.valkey import PASSWORD, Valkey, free_port, running, valkey


@dataclass
class StreamWithSentinel(ReplicatedStream):
    """The sentinel decides."""

    sentinel_port: int

    @property
    def url(self) -> str:
        return f"redis+sentinel://default:{PASSWORD}@127.0.0.1:{self.sentinel_port}/{NAME}"

    def primary_port(self) -> int:
        with redis.Redis(port=self.sentinel_port) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name(NAME)[1])

    def known_replicas(self) -> int:
        with redis.Redis(port=self.sentinel_port) as sentinel:
            known: Any = sentinel.sentinel_slaves(NAME)
            return len(known)


@contextmanager
def stream_with_sentinel(directory: Path) -> Iterator[StreamWithSentinel]:
    """Start them."""
    with ExitStack() as stack:
        primary = stack.enter_context(valkey(directory / "primary", *OPTIONS))
        of_primary = ("--replicaof", f"127.0.0.1 {primary.port}")
        replicas = [
            stack.enter_context(valkey(directory / f"replica{number}", *OPTIONS, *of_primary)) for number in range(2)
        ]
        made = StreamWithSentinel(primary, replicas, stack.enter_context(_sentinel(directory, primary)))
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
    with running(command, port):
        yield port
