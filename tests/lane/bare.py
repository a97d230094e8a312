"""A connection of the lane without a network: bytes in, bytes out, and a stream that answers when it is told."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any, cast

from bq_server.api.addresses import Proxies
from bq_server.api.admission import Admission
from bq_server.api.auth import Keyring
from bq_server.api.bodies import BodyLimits
from bq_server.api.rate_limits import RateLimits
from bq_server.api.request_parser import RequestParser
from bq_server.clock import Clocks, system_clock
from bq_server.concurrency.byte_budget import ByteBudget
from bq_server.events import Event, Scope
from bq_server.ids import IdSource
from bq_server.ingest.async_intake import AsyncIntake
from bq_server.ingest.drafts import Drafter
from bq_server.ingest.outcomes import Accepted
from bq_server.ingest.validation import Limits
from bq_server.lane.connection import LaneConnection
from bq_server.lane.lane import Lane
from bq_server.store.keys import ApiKey, digest

KEY = "bq_test_" + "0" * 32


class BareTransport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.paused = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.paused = True

    def get_extra_info(self, name: str) -> None:
        return None

    def resume_reading(self) -> None:
        self.paused = False


class BareIntake:
    """Accepts in order; numbers the messages. While it is held, nothing is answered."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.held: list[tuple[asyncio.Future[Any], list[Accepted]]] | None = None

    def accept_soon(self, events: Sequence[Event]) -> asyncio.Future[Any]:
        first = len(self.events)
        self.events += events
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        results = [Accepted(f"1700000000000-{first + n}", repeated=False) for n in range(len(events))]
        if self.held is None:
            future.set_result(results)
        else:
            self.held.append((future, results))
        return future

    def let_go(self) -> None:
        for future, results in self.held or ():
            future.set_result(results)
        self.held = None


class Bare:
    """The lane's connection with all that is around it."""

    def __init__(self, *, inflight_bytes: int = 64 << 20) -> None:
        def clock() -> int:
            return 1_700_000_000_000_000

        ids, clocks = IdSource(clock, lambda count: bytes(count)), Clocks(clock)
        keyring = Keyring(cast("Any", None), system_clock)
        key = ApiKey("key_1", Scope("default", "test"), digest(KEY), frozenset({"ingest"}), "k", 0, None)
        keyring._by_prefix = {key.sha256[:8]: [key]}
        self.intake = BareIntake()
        self.budget = ByteBudget(inflight_bytes)
        reading = RequestParser(Drafter(ids, clocks), Limits(65536, 32, 100), BodyLimits(1 << 20, 8 << 20, 10))
        self.stopping = False
        admission = Admission(keyring, RateLimits(clock), Proxies())
        lane = Lane(
            admission,
            cast("AsyncIntake", self.intake),
            reading,
            clocks,
            ids,
            self.budget,
            server=self,
        )
        lane.date.now = lambda: b"D"  # type: ignore[method-assign]
        for queue in lane.queues.values():
            queue._waiting_seconds = math.inf  # a busy machine is no reason to refuse here
        self.lane = lane
        self.transport = BareTransport()
        self.left: bytes | None = None
        """What was handed over with the connection."""
        self.released = False
        self.connection = LaneConnection(lane, self, idle_sweeps=3)
        self.connection.connection_made(cast("asyncio.Transport", self.transport))

    def admit(self, transport: asyncio.Transport, guest: LaneConnection) -> bool:
        return True

    def hand_over(self, transport: asyncio.Transport, data: bytes, *, ended: bool) -> None:
        assert self.left is None, "handed over twice"
        self.left = data

    def release(self, transport: asyncio.Transport) -> None:
        self.released = True

    async def feed(self, data: bytes) -> None:
        """What the network brings; reading that is paused waits, and whoever has the connection gets it."""
        while self.transport.paused and self.left is None and not self.transport.closed:
            await asyncio.sleep(0)
        if self.left is not None:
            self.left += data
        elif not self.transport.closed:
            self.connection.data_received(data)

    async def idle(self) -> None:
        """Until all that was begun is answered."""
        for _ in range(30):
            await asyncio.sleep(0)
