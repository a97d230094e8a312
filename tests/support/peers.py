"""Processes over one store, in one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bq_server.clock import Clocks
from bq_server.events import Scope
from bq_server.server.peers import Peers
from bq_server.settings import Role
from bq_server.store.database import Database


@dataclass
class Peer:
    """A process."""

    database: Database
    peers: Peers
    clocks: Clocks
    resets: dict[Scope, int]


@asynccontextmanager
async def joined(store_url: str, name: str, role: Role = "worker") -> AsyncIterator[Peer]:
    async with Database.open(store_url) as database:
        await database.hold(shared=True)
        peers = await Peers.join(database, f"process_{name}", f"here:/{name}", role)
        clocks, resets = Clocks(lambda: 5), dict[Scope, int]()
        peers.remember(clocks, resets)
        yield Peer(database, peers, clocks, resets)
        await peers.leave()
