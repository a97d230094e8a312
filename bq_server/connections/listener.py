"""Every connection from accept to close: which are admitted, what serves them, when they must end."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, cast

import structlog
from msgspec import Struct, field

from bq_server.api.addresses import network_of, plain
from bq_server.api.problems import problem_reply
from bq_server.concurrency.notifier import Notifier
from bq_server.connections.hypercorn import HypercornConnection, agreed_protocol
from bq_server.connections.tls import Handshake
from bq_server.ids import IdSource
from bq_server.lane.answers import Date, encode
from bq_server.lane.connection import address_of
from bq_server.metrics.counts import ConnectionCounts
from bq_server.refusals import Code, Refusal
from bq_server.runtime.descriptors import RESERVE, in_use
from bq_server.runtime.sampled_log import SampledLog

log = structlog.get_logger("bq_server.connections")

SWEEP_SECONDS = 1.0
TURNED_AWAY = 32
"""Most refused connections that are told why at the same time; others are just closed."""

TURNED_AWAY_SWEEPS = 2
LOG_SECONDS = 10.0
LEAST_CONNECTIONS = 16
STREAM_BYTES = 16 << 10
"""Half of what is read ahead of Hypercorn."""


class ConnectionLimits(Struct, frozen=True):
    """How many connections may be open, in total and from one address; see the settings."""

    total: int
    per_address: int

    def within(self, descriptors: int) -> "ConnectionLimits":
        """These, reduced to what the limit of descriptors allows."""
        total = max(LEAST_CONNECTIONS, min(self.total, descriptors - RESERVE))
        return ConnectionLimits(total, min(self.per_address, total))


class Guest(Protocol):
    """What serves a connection."""

    def sweep(self) -> None:
        """Called once a second."""

    def stop(self) -> None:
        """Called when the server stops: nothing new must be begun."""


class Open(Struct):
    """An open connection. `unsent` bytes waited for the client at the last sweep, and did so for `stalled` sweeps."""

    guest: Guest
    network: str
    unsent: int = 0
    stalled: int = 0


class ConnectionStatus(Struct):
    """What a health check needs to know."""

    limits: ConnectionLimits
    descriptors: int
    counts: ConnectionCounts = field(default_factory=ConnectionCounts)

    def __post_init__(self) -> None:
        self.counts.limit = self.limits.total

    def problem(self) -> str | None:
        """Why new connections are refused; None if they aren't."""
        if self.counts.open >= self.limits.total:
            return f"the limit of {self.limits.total} open connections is reached"
        used = in_use()
        if used is not None and used > self.descriptors - RESERVE // 4:
            return f"{used} of {self.descriptors} file descriptors are in use"
        return None


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], HypercornConnection]
Enter = Callable[["Listener"], asyncio.Protocol]


class Listener:
    """Admits, counts and closes connections."""

    def __init__(
        self,
        status: ConnectionStatus,
        ids: IdSource,
        serve: Serve,
        enter: Enter | None = None,
        *,
        write_seconds: float,
    ) -> None:
        """`serve` makes Hypercorn's side of a connection; `enter` the protocol that meets it first, if another does.

        A client that takes nothing of what waits for it for `write_seconds` is disconnected.
        """
        self._stalled_sweeps = max(1, int(write_seconds / SWEEP_SECONDS))
        self._status = status
        self._ids = ids
        self._serve = serve
        self._enter = enter
        self._loop = asyncio.get_running_loop()
        self._open: dict[asyncio.Transport | Handshake, Open] = {}
        self._by_network: Counter[str] = Counter()
        self._turned_away: dict[asyncio.Transport | Handshake, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._date = Date()
        self._broken = SampledLog("bq_server.connections")
        self._released = Notifier()
        self._logged = -LOG_SECONDS
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def protocol(self) -> asyncio.Protocol:
        """For a new connection."""
        return _Straight(self) if self._enter is None else self._enter(self)

    def secured(self, before: Handshake, transport: asyncio.Transport) -> None:
        """The TLS handshake is done: HTTP/2 is for Hypercorn, and HTTP/1.1 begins as it does without TLS."""
        if (counted := self._open.pop(before, None)) is None:
            transport.abort()
            return
        self._open[transport] = counted
        if agreed_protocol(transport) == "h2":
            self.hand_over(transport, b"")
            return
        protocol = self.protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def admit(self, transport: asyncio.Transport | Handshake, guest: Guest) -> bool:
        """Count the connection in, or answer that it can't be served and close it."""
        if (counted := self._open.get(transport)) is not None:
            counted.guest = guest  # it was counted before the TLS handshake
            return True
        address = address_of(transport)
        network = network_of(address)
        limits = self._status.limits
        if len(self._open) >= limits.total:
            self._turn_away(transport, f"the limit of {limits.total} open connections is reached")
            return False
        if address and self._by_network[network] >= limits.per_address:
            whose = plain(address) if plain(address) == network else f"the network {network}"
            self._turn_away(
                transport, f"{whose} has reached the limit of {limits.per_address} open connections from one address"
            )
            return False
        self._open[transport] = Open(guest, network)
        self._by_network[network] += 1
        self._status.counts.open = len(self._open)
        self._status.counts.admitted += 1
        return True

    def release(self, transport: asyncio.Transport | Handshake) -> None:
        """The connection is closed."""
        gone = self._open.pop(transport, None)
        self._turned_away.pop(transport, None)
        if gone is not None:
            self._by_network[gone.network] -= 1
            if not self._by_network[gone.network]:
                del self._by_network[gone.network]
        self._status.counts.open = len(self._open)
        self._released.beat()

    def hand_over(self, transport: asyncio.Transport, data: bytes, *, ended: bool = False) -> None:
        """Let Hypercorn serve the connection, beginning with what was read already; `ended`: nothing will follow."""
        if transport.is_closing():
            return
        reader = asyncio.StreamReader(limit=STREAM_BYTES, loop=self._loop)
        protocol = _Stream(reader, self._loop, self, transport)
        protocol.connection_made(transport)
        transport.set_protocol(protocol)
        if not ended:
            transport.resume_reading()  # before the data: with much of it, the reader pauses at once
        if data:
            reader.feed_data(data)
        if ended:
            reader.feed_eof()
        connection = self._serve(reader, asyncio.StreamWriter(transport, protocol, reader, self._loop))
        self._open[transport].guest = _Served(connection)
        task = self._loop.create_task(connection.run())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken.error("connection.broke", exc_info=error)

    async def close(self, seconds: float) -> None:
        """Let every connection finish what is under way for this long, then close it."""
        for each in list(self._open.values()):
            each.guest.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    await self._released.next()
        self._timer.cancel()
        for transport in [*self._open, *self._turned_away]:
            transport.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            with suppress(asyncio.CancelledError):
                await asyncio.wait(self._tasks, timeout=seconds)

    def _turn_away(self, transport: asyncio.Transport | Handshake, reason: str) -> None:
        self._status.counts.turned_away += 1
        now = self._loop.time()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            log.warning("connections.full", reason=reason)
        if isinstance(transport, Handshake):
            return  # the client would not understand an answer without TLS
        transport.set_protocol(_TurnedAway(self, transport))
        if len(self._turned_away) >= TURNED_AWAY:
            transport.abort()
            return
        self._turned_away[transport] = 0
        request_id = self._ids.new("req")
        detail = f"This connection can't be served: {reason}. Reuse connections, or retry later."
        reply = problem_reply(Refusal(Code.OVERLOADED, detail), request_id, {"Connection": "close"})
        transport.write(encode(reply, request_id, self._date.now()))
        # What still arrives is read and dropped: closing with it unread would discard the answer.
        transport.write_eof()

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        for transport, each in list(self._open.items()):
            unsent = transport.get_write_buffer_size()
            each.stalled = each.stalled + 1 if unsent and unsent >= each.unsent else 0
            each.unsent = unsent
            if each.stalled > self._stalled_sweeps:
                transport.abort()
            else:
                each.guest.sweep()
        for transport in list(self._turned_away):
            self._turned_away[transport] += 1
            if self._turned_away[transport] > TURNED_AWAY_SWEEPS:
                transport.abort()


class _Served:
    """A connection that Hypercorn serves; it notices by itself that the server stops."""

    __slots__ = ("_connection",)

    def __init__(self, connection: HypercornConnection) -> None:
        self._connection = connection

    def sweep(self) -> None:
        """Nothing: Hypercorn has its own clock."""

    def stop(self) -> None:
        """Nothing: it learns that from Hypercorn's context."""


class _Straight(asyncio.Protocol):
    """Passes a new connection on to Hypercorn."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tcp = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        if self._listener.admit(tcp, self):
            self._listener.hand_over(tcp, b"")

    def sweep(self) -> None:
        """Nothing: it is handed over at once."""

    def stop(self) -> None:
        """Nothing: it holds nothing."""


class _Stream(asyncio.StreamReaderProtocol):
    """The stream that Hypercorn reads; counts the connection out."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        loop: asyncio.AbstractEventLoop,
        listener: Listener,
        transport: asyncio.Transport,
    ) -> None:
        super().__init__(reader, loop=loop)
        self._listener = listener
        self._mine = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._listener.release(self._mine)


class _TurnedAway(asyncio.Protocol):
    """Reads and drops what a refused client sends, until it has seen why."""

    def __init__(self, listener: Listener, transport: Any) -> None:
        self._listener = listener
        self._transport = transport

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature is given
        self._listener.release(self._transport)
