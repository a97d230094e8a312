"""Checks of every part: whether the server is ready, and whether something needs attention."""

import asyncio
import shutil
from pathlib import Path

from bq_server.api.resources.health import Check
from bq_server.clock import Clock
from bq_server.metrics.counts import milliseconds_of
from bq_server.metrics.families import QueueDepth
from bq_server.server.rooms import Rooms, StreamRoom
from bq_server.server.server_state import ServerState
from bq_server.store import catalog
from bq_server.store.database import StoreUnavailable
from bq_server.stream.connection import StreamUnavailable, asking
from bq_server.stream.replicas import probe

FULL_BYTES = 4 << 20
"""With less free disk space than this the server may have to refuse events."""


class HealthChecks:
    """Each check returns what is wrong, or None."""

    def __init__(self, rooms: Rooms, running: ServerState, data_dir: Path) -> None:
        self._database = rooms.store.database
        self._data_dir = data_dir
        self._stream = rooms.stream
        self._consumer = rooms.processing.consumer
        self._peers = rooms.store.peers
        self._games = rooms.processing.games
        self._damage = rooms.intake.damage
        self._eraser = rooms.privacy.eraser
        self._running = running

    @property
    def checks(self) -> dict[str, Check]:
        """If one of these fails, the server is not ready."""
        consumes = self._peers is None or self._peers.role == "worker"
        return {
            "disk": self.disk,
            "stream": self.stream,
            "store": self.store,
            **({"consumer": self.consumer} if consumes else {}),
            "game": self.game,
            "losses": self._stream.account.problem,
            "damage": self.damage,
            "connections": self.connections,
        }

    @property
    def cautions(self) -> dict[str, Check]:
        """If one of these fails, the server is ready but needs attention."""
        return {
            **({} if self._peers is None else {"processes": self._peers.caution}),
            "consumer": self.consumer_caution,
            "dead_letters": self.dead_letters,
            "erasures": self._eraser.caution,
            "catalog": self.catalog,
        }

    async def disk(self) -> str | None:
        """Whether there is room for the data."""
        free = shutil.disk_usage(self._data_dir).free
        return f"the disk of the data directory is full, {free} bytes are free" if free < FULL_BYTES else None

    async def stream(self) -> str | None:
        """Whether the stream server responds and, where a replica must keep up, one does."""
        embedded = self._stream.embedded
        if embedded is not None and embedded.trouble is not None:
            return embedded.trouble
        try:
            with asking():
                await probe(self._stream.asking, self._stream.replicas)
        except StreamUnavailable as error:
            return str(error)
        return None

    async def store(self) -> str | None:
        """Whether the database can be read, and its file still exists."""
        try:
            async with self._database.read_for_intake() as connection:
                await connection.execute("SELECT 1")
        except StoreUnavailable as error:
            return str(error)
        gone = self._database.file is not None and not self._database.file.exists()
        return "the database's file is gone" if gone else None

    async def consumer(self) -> str | None:
        """Whether messages become facts; of a worker that doesn't lead, nothing."""
        if self._peers is not None and self._peers.term is None:
            return None
        return self._consumer.status.problem(asyncio.get_running_loop().time())

    async def game(self) -> str | None:
        """Whether every game in force can be used."""
        return "; ".join(str(error) for error in self._games.unreadable.values()) or None

    async def damage(self) -> str | None:
        """Whether the database's pages are intact."""
        return self._damage.problem

    async def connections(self) -> str | None:
        """Whether further connections can be accepted."""
        return self._running.connections()

    async def consumer_caution(self) -> str | None:
        """Whether some messages have to be retried."""
        return self._consumer.status.caution

    async def catalog(self) -> str | None:
        """Whether the catalogue lists every name and property seen."""
        try:
            async with self._database.read() as connection:
                found = await catalog.left_out(connection)
        except StoreUnavailable as error:
            return str(error)
        if not found:
            return None
        (scope, totals), more = next(iter(found.items())), len(found) - 1
        others = f"; so have {more} others" if more else ""
        return (
            f"the {scope.environment} environment has more event names or properties than the catalogue lists, "
            f"{totals.names} names: {totals.events_left_out} events and {totals.properties_left_out} values are left "
            "out. Most likely names are made from data; --max-event-names and --max-event-properties are the limits"
            f"{others}"
        )

    async def dead_letters(self) -> str | None:
        """Whether there are dead letters."""
        try:
            count = await self._stream.letters.count()
        except StreamUnavailable as error:
            return str(error)
        given_up = "1 accepted message was" if count == 1 else f"{count} accepted messages were"
        return f"{given_up} given up: `bq-server dead list` shows why" if count else None


async def waiting(stream: StreamRoom, clock: Clock) -> QueueDepth | None:
    """What waits in the stream, for the metrics; None while it can't be queried."""
    try:
        messages, oldest, dead = await stream.backlog.extent()
    except StreamUnavailable:
        return None
    age = 0.0 if oldest is None else max(0.0, clock() / 1e6 - milliseconds_of(oldest) / 1000)
    return QueueDepth(messages, age, dead)
