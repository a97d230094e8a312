"""A cluster of stream servers: three primaries and three replicas, of which two are of the one that has our slot."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from tests.support.failover import NAME, OPTIONS, ReplicatedStream
from tests.support.process import until
from tests.support.valkey import PASSWORD, Valkey, free_port, valkey

SLOT = key_slot(f"{{{NAME}}}".encode())
"""Of all keys of the server under test."""

OTHER_NAME = next(name for name in map("other{}".format, range(9)) if key_slot(f"{{{name}}}".encode()) < SLOT // 2)
"""Of a queue whose slot another primary has."""

CLUSTERED = (
    *("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"),
    # Slots go on that still have a primary.
    *("--cluster-require-full-coverage", "no"),
    # However long a replica was held up, it may be promoted; and no primary gives one of two away to another.
    *("--cluster-replica-validity-factor", "0", "--cluster-migration-barrier", "2"),
)

KEYS_AT_ONCE = 50
MIGRATE_MILLISECONDS = 10_000


@dataclass
class StreamCluster(ReplicatedStream):
    """Its majority of primaries decides."""

    others: Sequence[Valkey]
    """Two primaries without our slot."""
    replica_of_other: Valkey
    """Of the first of these."""

    @property
    def url(self) -> str:
        return self.url_of(NAME)

    def url_of(self, name: str) -> str:
        """Under which a server finds the primary of the slot of a queue of this name."""
        # Where nobody is, and a node that will be gone: whoever connects learns of the others from it.
        return f"redis+cluster://default:{PASSWORD}@127.0.0.1:1,127.0.0.1:{self.primary.port}/{name}"

    @property
    def nodes(self) -> Sequence[Valkey]:
        return [self.primary, *self.others, *self.replicas, self.replica_of_other]

    def primary_port(self) -> int:
        primary, *_ = self._serving(self.others[0])
        return int(primary[1])

    def known_replicas(self) -> int:
        return min(len(self._serving(each)) - 1 for each in self.nodes)

    def _serving(self, node: Valkey) -> Sequence[Any]:
        """The nodes of our slot, the primary first, as this node knows them; it names none that it thinks gone."""
        ranges: Any = command(node, "CLUSTER", "SLOTS")
        return next((nodes for first, last, *nodes in ranges if first <= SLOT <= last), ())

    def move_slot_key_by_key(self, source: Valkey, target: Valkey) -> None:
        """As one does it by hand, and as tools do where the servers are older."""
        command(target, "CLUSTER", "SETSLOT", SLOT, "IMPORTING", node_id(source))
        command(source, "CLUSTER", "SETSLOT", SLOT, "MIGRATING", node_id(target))
        while keys := command(source, "CLUSTER", "GETKEYSINSLOT", SLOT, KEYS_AT_ONCE):
            to = ("127.0.0.1", target.port, "", 0, MIGRATE_MILLISECONDS)
            command(source, "MIGRATE", *to, "AUTH", PASSWORD, "KEYS", *keys)
        for each in (target, source, *self.others):
            command(each, "CLUSTER", "SETSLOT", SLOT, "NODE", node_id(target))

    def move_slot_at_once(self, source: Valkey, target: Valkey) -> None:
        """As Valkey 9 does it by itself."""

        def is_moved() -> bool:
            with suppress(redis.ResponseError):  # until it is done, and if it was given up it is begun anew
                command(source, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", SLOT, SLOT, "NODE", node_id(target))
            return bool(self._serving(source)[0][1] == target.port)

        until("the slot is moved", is_moved, seconds=60)


def command(node: Valkey, *words: Any) -> Any:
    """What a node answers, as it does."""
    with node.client() as client:
        client.response_callbacks.clear()
        return client.execute_command(*words)


def node_id(node: Valkey) -> bytes:
    found: bytes = command(node, "CLUSTER", "MYID")
    return found


@contextmanager
def stream_cluster(directory: Path) -> Iterator[StreamCluster]:
    """Start it."""
    with ExitStack() as stack:
        buses: dict[int, int] = {}
        nodes: list[Valkey] = []
        for number in range(6):
            bus = free_port()
            options = (*OPTIONS, *CLUSTERED, "--cluster-port", str(bus))
            node = stack.enter_context(valkey(directory / f"node{number}", *options))
            buses[node.port] = bus
            nodes.append(node)
        primary, *others = nodes[:3]
        cluster = StreamCluster(primary, nodes[3:5], others, nodes[5])
        _join(cluster, buses)
        yield cluster


def _join(cluster: StreamCluster, buses: dict[int, int]) -> None:
    first, *rest = cluster.nodes
    for epoch, node in enumerate(cluster.nodes, 1):
        command(node, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
    for node in rest:
        command(first, "CLUSTER", "MEET", "127.0.0.1", node.port, buses[node.port])
    until("all know all", lambda: all(_knows(each) == len(cluster.nodes) for each in cluster.nodes), seconds=60)
    second, third = cluster.others
    # Ours is not all the first has: a primary that gives its last slot away becomes a replica.
    command(first, "CLUSTER", "ADDSLOTSRANGE", SLOT - 1, REDIS_CLUSTER_HASH_SLOTS - 1)
    command(second, "CLUSTER", "ADDSLOTSRANGE", 0, SLOT // 2)
    command(third, "CLUSTER", "ADDSLOTSRANGE", SLOT // 2 + 1, SLOT - 2)
    for replica, of in ((cluster.replicas[0], first), (cluster.replicas[1], first), (cluster.replica_of_other, second)):
        command(replica, "CLUSTER", "REPLICATE", node_id(of))
    until("the cluster is up", lambda: all(_is_up(each) for each in cluster.nodes), seconds=60)
    cluster.until_replicated()


def _knows(node: Valkey) -> int:
    """How many nodes it has shaken hands with, itself included."""
    lines = command(node, "CLUSTER", "NODES").decode().splitlines()
    return sum("handshake" not in line for line in lines)


def _is_up(node: Valkey) -> bool:
    about = command(node, "CLUSTER", "INFO").decode()
    return "cluster_state:ok" in about and f"cluster_slots_ok:{REDIS_CLUSTER_HASH_SLOTS}\r" in about
