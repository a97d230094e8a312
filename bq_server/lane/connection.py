"""A connection while the lane answers on it."""

import asyncio
from collections import deque
from typing import Any, Protocol, cast

from bq_server.concurrency.byte_budget import Lease
from bq_server.lane.exchange import Exchange, RefusedUnread
from bq_server.lane.head import END, HEAD_BYTES, Head, LaneRoute, may_become_ours, quick_length, route_of
from bq_server.lane.lane import Lane
from bq_server.store.keys import ApiKey

PIPELINED = 16
"""Requests of one connection that are answered at once; the next is read when half of them are."""

SLOW_SWEEPS = 2
"""A request that takes so many sweeps to arrive is left to Hypercorn."""


class Transport(Protocol):
    """What knows whose connection it is."""

    def get_extra_info(self, name: str) -> Any:
        """`peername`, among others."""


def address_of(transport: Transport) -> str:
    """The address of the other end; '' if it has none."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""


class Host(Protocol):
    """What admitted the connection."""

    def admit(self, transport: asyncio.Transport, guest: "LaneConnection") -> bool:
        """Whether it may stay; if not, the host closes it."""

    def hand_over(self, transport: asyncio.Transport, data: bytes, *, ended: bool) -> None:
        """Let Hypercorn serve the connection from now on, beginning with what was read and not answered."""

    def release(self, transport: asyncio.Transport) -> None:
        """The connection is closed."""


class LaneConnection(asyncio.Protocol):
    """Answers the lane's requests; at the first other one, hands the connection over for good.

    Answers go out in the order of the requests.
    """

    def __init__(self, lane: Lane, host: Host, idle_sweeps: int) -> None:
        """`idle_sweeps`: how many sweeps a connection may see without a request."""
        self._lane = lane
        self._host = host
        self._idle_sweeps = idle_sweeps
        self._transport: asyncio.Transport
        self._peer = ""
        self._exchanges: deque[Exchange | RefusedUnread] = deque()
        self._held = bytearray()
        """What was read and is not yet a whole request, or waits for its turn."""
        self._lease = Lease(lane.budget)
        self._head: tuple[Head, ApiKey, int] | None = None
        """The head of the request at the start of what is held, and its size, if it is complete."""
        self._sweeps = 0
        """Sweeps since anything was read, or since the held request began."""
        self._paused = False
        self._blocked = False
        """The client doesn't read."""
        self._advancing = False
        self._turn: asyncio.Handle | None = None
        """In which it goes on with what is held."""
        self._leaving = False
        self._ended = False
        """The client won't send any more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        try:
            self._peer = address_of(self._transport)
            self._host.admit(self._transport, self)
        except MemoryError:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the signature is given
        """Called by the transport. Events under way are accepted nevertheless."""
        if self._turn is not None:
            self._turn.cancel()
        self._lease.give_back()
        self._host.release(self._transport)

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        if self._held:
            self._held += data
            if not self._paused:
                self._advance(self._held)
            else:
                self._lease.add(len(data))
        else:
            self._sweeps = 0
            self._advance(data)

    def eof_received(self) -> bool:
        """Called by the transport; whether it must stay open, because there is something left to answer.

        With TLS it never does: there the end of one half is the end of both, and uvloop complains of whoever disagrees.
        """
        self._ended = True
        if self._transport.get_extra_info("sslcontext") is not None:
            return False
        return bool(self._exchanges) or self._turn is not None or self._leaving

    def pause_writing(self) -> None:
        """Called by the transport: the client doesn't read as fast as it is answered."""
        self._blocked = True
        self._pause()

    def resume_writing(self) -> None:
        """Called by the transport."""
        self._blocked = False
        if not self._transport.is_closing():
            self._go_on()

    def sweep(self) -> None:
        """Called once a second: close what is idle, hand over what is slow."""
        if self._exchanges or self._leaving:
            return
        self._sweeps += 1
        if self._held:
            if self._sweeps >= SLOW_SWEEPS:
                self._leave()
        elif self._sweeps > self._idle_sweeps:
            self._transport.close()

    def stop(self) -> None:
        """Called when the server stops: answers under way are the last ones."""
        if not self._exchanges and not self._held and not self._leaving:
            self._transport.close()

    def _advance(self, data: bytes | bytearray) -> None:
        """Begin every whole request in what was read, and hold the rest."""
        self._advancing = True
        start = 0
        ours = True
        while ours and start < len(data):
            if len(self._exchanges) >= PIPELINED or self._blocked:
                self._pause()
                break
            if self._head is None and (found := self._refusable(data, start)):
                route, size = found
                self._exchanges.append(RefusedUnread(self._lane.quick_refusal(route)))
                start += size
                continue
            known = self._head or self._read_head(data, start)
            if known is None:
                ours = len(data) - start < HEAD_BYTES and may_become_ours(data, start) and data.find(END, start) < 0
                break
            head, key, size = known
            end = start + size + head.length
            if len(data) < end:
                self._head = known
                break
            self._head = None
            limited = self._lane.admission.limits.must_count(key)
            allowance = self._lane.allowance(key, self._peer, bytes(data[start : start + size])) if limited else None
            exchange = Exchange(self._lane, head, key, self._answered, allowance)
            self._exchanges.append(exchange)
            if allowance is None or not allowance.over:
                self._lane.queues[head.route].put(exchange, bytes(data[start + size : end]))
            else:
                exchange.refuse_over_limit(self._lane.clocks.real())
            start = end
            if head.closes:
                start = len(data)  # what comes after it is ignored
                self._ended = True
                self._pause()
        self._hold(data, start)
        self._advancing = False
        if not ours or not self._lease.take(len(self._held) - self._lease.held):
            self._leaving = True
            self._pause()
        if self._exchanges:
            self._flush()
        elif self._leaving:
            self._leave()

    def _refusable(self, data: bytes | bytearray, start: int) -> tuple[LaneRoute, int] | None:
        """The route and size of a complete request that is to be refused unread; None for any other."""
        route = route_of(data, start)
        if route is None or not self._lane.queues[route].is_full or self._lane.server.stopping:
            return None
        end = data.find(END, start, start + HEAD_BYTES) + len(END)
        length = quick_length(bytes(data[start:end])) if end >= len(END) else None
        if length is None or end + length > len(data):
            return None
        return route, end + length - start

    def _read_head(self, data: bytes | bytearray, start: int) -> tuple[Head, ApiKey, int] | None:
        end = data.find(END, start, start + HEAD_BYTES)
        if end < 0:
            return None
        size = end + len(END) - start
        head = self._lane.heads.read(bytes(data[start : start + size]))
        key = None if head is None else self._lane.key_of(head)
        return None if head is None or key is None else (head, key, size)

    def _hold(self, data: bytes | bytearray, start: int) -> None:
        if data is self._held:
            if start:
                del self._held[:start]
                self._sweeps = 0
        elif start < len(data):
            self._held += data[start:]

    def _answered(self) -> None:
        if not self._advancing:
            self._flush()

    def _flush(self) -> None:
        """Send the answers that are due, and continue with what was waiting for them."""
        if self._transport.is_closing():
            self._exchanges.clear()
            return
        due = []
        while self._exchanges and (answer := self._exchanges[0].answer) is not None:
            due.append(answer)
            if self._exchanges.popleft().ends:
                self._send(due)
                self._exchanges.clear()
                self._transport.close()
                return
        if due:
            self._send(due)
            self._go_on()

    def _send(self, answers: list[bytes]) -> None:
        try:
            self._transport.write(answers[0] if len(answers) == 1 else b"".join(answers))
        except Exception:
            self._transport.abort()  # with one answer lost, the next would be taken for it
            raise

    def _go_on(self) -> None:
        """Go on with what the answers held up: in a turn of its own, since some answers are there at once."""
        if self._leaving:
            self._leave()
        elif self._paused and not self._blocked and len(self._exchanges) <= PIPELINED // 2:
            if self._turn is None:
                self._turn = asyncio.get_running_loop().call_soon(self._take_turn)
        elif self._ended and not self._exchanges:
            self._transport.close()

    def _take_turn(self) -> None:
        self._turn = None
        if self._blocked or self._leaving or self._transport.is_closing():
            return
        try:
            if not self._ended:
                self._paused = False
                self._transport.resume_reading()
            if self._held:
                self._advance(self._held)
            if self._ended and not self._exchanges and not self._leaving:
                self._transport.close()
        except Exception:
            self._transport.abort()  # as it is when the transport calls
            raise

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _leave(self) -> None:
        """Hand the connection over once everything before has been answered."""
        self._leaving = True
        self._pause()
        if not self._exchanges:
            self._lease.give_back()
            self._host.hand_over(self._transport, bytes(self._held), ended=self._ended)
