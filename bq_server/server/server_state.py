"""What a start found out, for the banner and for the program that started the application."""

from collections.abc import Callable, Sequence

import structlog
from msgspec import Struct, field

from bq_server import __version__
from bq_server.concurrency.byte_budget import ByteBudget
from bq_server.lane.lane import Lane
from bq_server.metrics.counts import ConnectionCounts, RequestCounts
from bq_server.runtime.data_directory import OPEN_ADVICE, DataDirectory
from bq_server.runtime.sampled_log import SampledLog
from bq_server.settings import Settings
from bq_server.store import sqlite
from bq_server.stream.connection import Durability

log = structlog.get_logger("bq_server")


class ServerState(Struct):
    """What the lifespan found out, for the banner and for the app's host. Filled in during the start."""

    new_key: str | None = None
    """A key created because there was none at all; shown once and stored nowhere."""
    durability: Durability | None = None
    store: str | None = None
    """What keeps the facts, where it isn't the data directory."""
    origins: frozenset[str] = frozenset()
    """Origins whose pages may call the API."""
    elsewhere: Sequence[str] = ()
    """What to report about other streams in which events may be waiting."""
    stopping: bool = False
    """Set by what is about to stop the server."""
    failure: Exception | None = None
    """Why the start failed."""
    budget: ByteBudget = field(default_factory=lambda: ByteBudget(Settings().max_inflight_bytes))
    requests: RequestCounts = field(default_factory=RequestCounts)
    log_of_requests: SampledLog = field(default_factory=lambda: SampledLog("bq_server.api"))
    connection_counts: ConnectionCounts = field(default_factory=ConnectionCounts)
    lane: Lane | None = None
    """What a lean protocol needs to answer the hot routes."""
    end_feeds: Callable[[], None] = lambda: None
    """Ends the answers that would not end by themselves."""
    connections: Callable[[], str | None] = lambda: None
    """What is wrong with the connections, if the program that runs the app knows."""

    def promise(self) -> str:
        """What a 202 means."""
        return "unknown" if self.durability is None else self.durability.promise

    def log(self, directory: DataDirectory) -> None:
        """Log what this server runs on."""
        if self.durability is not None:
            log.info(
                "server.ready",
                version=__version__,
                sqlite=sqlite.VERSION,
                sqlite_from=sqlite.ORIGIN,
                stream=self.durability.server,
                durability=self.durability.promise,
                data_dir=str(directory.path),
                **({} if self.store is None else {"store": self.store}),
            )
            if self.durability.may_evict:
                log.warning("stream.may_evict", maxmemory_policy=self.durability.maxmemory_policy)
        for said in self.elsewhere:
            log.warning("stream.elsewhere", reason=said)
        if found := directory.open_to_others():
            log.warning("data.open_to_others", paths=[str(path) for path in found], advice=OPEN_ADVICE)
