"""Hypercorn's side of a connection, with what Hypercorn 0.18 lacks added where its parts meet.

What is mended, and why it has to be:

- A closed connection kept its descriptor until the idle timeout: `TCPServer.run` leaves its task group only when the
  idle task ends, and nothing ends that when the peer has closed. `HypercornConnection` ends it.
- Handlers that waited for an HTTP/2 peer to read waited for ever when it went away: `H2Protocol.handle(Closed)` closes
  streams and not their buffers. `Http2` closes both.
- With a window of 0, `H2Protocol._send_data` pops nothing from a buffer and takes that for room in it, so that answers
  were buffered without bound. `Http2` lets such a stream wait.
- `Content-Length` beside `Transfer-Encoding` was accepted (RFC 9112, 6.1: the way of request smuggling), and a large
  head where it came at once. `Http1` refuses both, with a document where there was only a status.
- A request with `Connection: close` was carried out and answered 400 if any bytes followed it, even a line end. `Http1`
  ignores them (RFC 9112, 9.6).
- Tunnels of HTTP/2, and paths that are not of ASCII, ended the connection with a traceback. `Http2` resets their
  streams.
- Priorities of HTTP/2 (deprecated by RFC 9113) could be such that their tree refused them, with a traceback. `Http2`
  ignores them.
- A frame of HTTP/2 was kept up to its 16 MB before it was refused as too long, and an unfinished head as long as the
  connection. `BoundedFrames` refuses the one at once, `Http2.waits_for_head` ends the other.
- A stream that was reset is forgotten before its last data, which ended the connection with a `KeyError`.
- A request that was cancelled with its connection while it restarted the idle task took that for the idle task's end,
  went on, and ended with a traceback. `IdleTask` lets the cancellation pass.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import h2.errors
import h2.events
import h11
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import AsyncioSingleTask, WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H2CProtocolRequiredError, H2ProtocolAssumedError, H11Protocol
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from bq_server.concurrency.notifier import Notifier
from bq_server.connections.early_refusals import EarlyRefusals
from bq_server.connections.http2_frames import BoundedFrames

READ_BYTES = 1 << 16
RESETS = 200
"""HTTP/2 streams that a client may cancel on one connection; beyond that, no more than half of those it begins."""


class _Refused(Exception):
    """The request is one that HTTP forbids, or too large a head."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Http1Connection(h11.Connection):
    """Ignores what follows a request that closes the connection."""

    @property
    def is_over(self) -> bool:
        """Whether the client has sent its last request."""
        return self.their_state in (h11.MUST_CLOSE, h11.CLOSED)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event in what was received."""
        return h11.NEED_DATA if self.is_over and self.trailing_data[0] else super().next_event()


class Http1(H11Protocol):
    """HTTP/1 as Hypercorn speaks it, without ambiguous framing."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._own = _Http1Connection(h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size)
        self.connection = self._own

    async def handle(self, event: Event) -> None:
        """Take what was read, or the end."""
        if isinstance(event, RawData) and event.data and self._own.is_over:
            return
        try:
            await super().handle(event)
        except _Refused as refused:
            await self._send_error_response(refused.status)
            await self.send(Closed())

    async def _send_error_response(self, status_code: int) -> None:
        reply = self.connection_state["bq.connection"].early_refusals.refuse(status_code)
        headers = [*reply.headers.items(), ("content-type", reply.media_type), ("content-length", str(len(reply.body)))]
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        await self._send_h11_event(
            h11.Response(status_code=reply.status, headers=encoded + self.config.response_headers("h11"))
        )
        await self._send_h11_event(h11.Data(data=reply.body))
        await self._send_h11_event(h11.EndOfMessage())

    async def _check_protocol(self, event: Any) -> None:
        names = {name.lower() for name, _ in event.headers}
        if {b"content-length", b"transfer-encoding"} <= names:
            raise _Refused(400)
        # The limit of h11 is of what is not complete, and a large head may come at once.
        if sum(len(name) + len(value) + 4 for name, value in event.headers) > self.config.h11_max_incomplete_size:
            raise _Refused(431)
        await super()._check_protocol(event)

    async def _create_stream(self, request: h11.Request) -> None:
        # Web sockets are not spoken here: an invitation to another protocol may be ignored (RFC 9110, 7.8).
        if any(name == b"upgrade" for name, _ in request.headers):
            kept = [(name, value) for name, value in request.headers if name != b"upgrade"]
            version = request.http_version
            request = h11.Request(method=request.method, target=request.target, headers=kept, http_version=version)
        await super()._create_stream(request)

    @property
    def waits_for_head(self) -> bool:
        """Whether a part of a request's head is there, and not the rest."""
        return self.stream is None and bool(self.connection.trailing_data[0])


class Http2(H2Protocol):
    """HTTP/2 as Hypercorn speaks it, hardened against clients that don't read, or only cancel."""

    begun = 0
    resets = 0

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._frames = BoundedFrames(server=True)
        self.connection.incoming_buffer = self._frames

    @property
    def waits_for_head(self) -> bool:
        """Whether a part of a request's head is there, and not the rest."""
        return self._frames.amid_head

    async def handle(self, event: Event) -> None:
        """Take what was read, or the end."""
        await super().handle(event)
        if isinstance(event, Closed):
            for buffer in list(self.stream_buffers.values()):
                await buffer.close()

    async def _handle_events(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams:
                # It came after the answer, or after the stream's end: only the connection's window needs to know.
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                continue
            if isinstance(event, h2.events.RequestReceived):
                self.begun += 1
                if not _is_request(event.headers):
                    self.connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.PROTOCOL_ERROR)
                    continue
            if isinstance(event, h2.events.StreamReset):
                self.resets += 1
                if self.resets > max(RESETS, self.begun // 2):
                    self.connection.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
                    await self._flush()
                    await self.send(Closed())
                    return
            await super()._handle_events([event])
        await self._flush()

    async def _priority_updated(self, event: Any) -> None:
        """Ignore priorities: answers are sent as they come."""

    async def _send_data(self, stream_id: int) -> None:
        buffer = self.stream_buffers.get(stream_id)
        if buffer is not None and buffer.buffer and self._window(stream_id) <= 0:
            self.priority.block(stream_id)
            return
        await super()._send_data(stream_id)

    def _window(self, stream_id: int) -> int:
        try:
            window: int = self.connection.local_flow_control_window(stream_id)
        except h2.exceptions.ProtocolError:
            return 1  # the stream is closed, which the caller finds out
        return window


def _is_request(fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether it is one that the application could see: neither a tunnel, nor of other characters than ASCII's."""
    asked = {name: value for name, value in fields if name in (b":method", b":path")}
    return len(asked) == 2 and asked[b":method"] != b"CONNECT" and all(value.isascii() for value in asked.values())


def agreed_protocol(transport: asyncio.BaseTransport) -> str | None:
    """The protocol negotiated with TLS; None if none was, or without TLS."""
    secure = transport.get_extra_info("ssl_object")
    return None if secure is None else secure.selected_alpn_protocol()


class Protocols:
    """The protocol of a connection, as `ProtocolWrapper` is: HTTP/1 until the client asks for HTTP/2."""

    def __init__(self, agreed: str | None, *parts: Any) -> None:
        """`agreed`: the protocol negotiated with TLS."""
        self._parts = parts
        self.protocol: Http1 | Http2 = Http2(*parts) if agreed == "h2" else Http1(*parts)

    async def initiate(self) -> None:
        """Begin."""
        await self.protocol.initiate()

    async def handle(self, event: Event) -> None:
        """Take what was read, or the end."""
        try:
            await self.protocol.handle(event)
        except H2ProtocolAssumedError as error:
            await self._change()
            if error.data:
                await self.protocol.handle(RawData(data=error.data))
        except H2CProtocolRequiredError as error:
            await self._change(error.headers, error.settings)
            if error.data:
                await self.protocol.handle(RawData(data=error.data))

    async def _change(self, *upgrade: Any) -> None:
        self.protocol = Http2(*self._parts)
        await self.protocol.initiate(*upgrade)


class IdleTask(AsyncioSingleTask):
    """What ends a connection that is idle for too long."""

    async def restart(self, task_group: Any, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Restart the wait."""
        async with self._lock:
            if self._handle is not None:
                self._handle.cancel()
                await asyncio.wait({self._handle})
            waiting = action()
            try:
                self._handle = task_group._task_group.create_task(waiting)  # noqa: SLF001 - as Hypercorn does
            except RuntimeError:
                waiting.close()  # the connection is being ended


class HypercornConnection(TCPServer):
    """One connection that Hypercorn serves. `abort` ends it at once; the gate in the application counts its answers."""

    protocol: Any
    """A `Protocols`."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        state: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        early_refusals: EarlyRefusals,
        head_seconds: float,
        write_seconds: float,
    ) -> None:
        """`head_seconds`: in which a request's head must have arrived, once it has begun.

        `write_seconds`: in which the client must take a piece of an answer; see `Gate`.
        """
        loop = asyncio.get_running_loop()
        super().__init__(app, loop, config, context, {**state, "bq.connection": self}, reader, writer)
        self.idle_task = IdleTask()
        self.early_refusals = early_refusals
        self._head_seconds = head_seconds
        self.write_seconds = write_seconds
        self.ended = False
        self.answering = 0
        """Bytes of answers begun that the client hasn't taken."""
        self.answered = Notifier()

    async def run(self) -> None:
        """Serve it until either side closes it."""
        socket = self.writer.get_extra_info("socket")
        try:
            client = parse_socket_addr(socket.family, socket.getpeername())
            server = parse_socket_addr(socket.family, socket.getsockname())
            async with TaskGroup(self.loop) as self._task_group:
                self.protocol = Protocols(
                    agreed_protocol(self.writer.transport),
                    self.app,
                    self.config,
                    self.context,
                    self._task_group,
                    ConnectionState(self.state),
                    self.writer.get_extra_info("sslcontext") is not None,
                    client,
                    server,
                    self.protocol_send,
                )
                await self.protocol.initiate()
                await self.idle_task.restart(self._task_group, self._idle_timeout)
                try:
                    await self._read_data()
                finally:
                    # Nothing more will come, also where this was cancelled: neither a request that the idle task would
                    # wait for, nor one to be idle after.
                    self.ended = True
                    self.answered.beat()
                await self.idle_task.stop()
        except OSError:
            pass
        finally:
            await self._close()

    async def protocol_send(self, event: Event) -> None:
        """Send what the protocol sends, or note that it is idle."""
        if not (self.ended and isinstance(event, Updated)):
            await super().protocol_send(event)

    def abort(self) -> None:
        """Close it at once; what was not sent is lost."""
        self.writer.transport.abort()

    async def _read_data(self) -> None:
        head_until = 0.0
        while not self.reader.at_eof():
            if self.protocol.protocol.waits_for_head:
                head_until = head_until or self.loop.time() + self._head_seconds
            else:
                head_until = 0.0
            try:
                async with asyncio.timeout_at(head_until or None):
                    data = await self.reader.read(READ_BYTES)
            except (OSError, TimeoutError):
                break
            await self.protocol.handle(RawData(data))
        await self.protocol.handle(Closed())
