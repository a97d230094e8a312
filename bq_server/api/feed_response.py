"""One open feed: what happened is sent as it is committed, and read only as fast as the client takes it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import structlog
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from bq_server.api.call import Call
from bq_server.api.feed_events import FeedEvent, last_word, written
from bq_server.api.schemas.feed import FeedEnd, FeedQuery
from bq_server.concurrency.time_slices import TimeSlices
from bq_server.delivery.feeds import PAGE, WISH_SECONDS, Feeds
from bq_server.store.database import StoreUnavailable
from bq_server.store.feed import Position

log = structlog.get_logger("bq_server.api.feed")

PIECE_BYTES = 64 << 10
"""How much is sent at once, unless a single event is larger."""

LOOK_SECONDS = 1.0
"""How soon it notices that the key has ended."""

PAUSE_SECONDS = 0.05
"""Least time between two reads of the store, if the first did not fill a page."""

RECONNECT_MILLISECONDS = 1000
"""After which clients that keep to the standard connect again."""

STREAM_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
"""The second one asks proxies such as nginx not to buffer."""


class _NotTaken(Exception):
    """The client is too slow."""


class FeedResponse(Response):
    """Sends until the client goes away, or until there is a reason to end, which it then sends."""

    def __init__(
        self,
        call: Call[FeedQuery],
        feeds: Feeds[FeedEvent],
        after: Position,
        over: Callable[[], FeedEnd | None],
        now: Callable[[], int],
        heartbeat_seconds: float,
        taking_seconds: float,
    ) -> None:
        """`over` returns why it must end, None while it needn't; `now` is in microseconds since the epoch, UTC.

        A client that hasn't taken a piece within `taking_seconds` is told so and disconnected.
        """
        super().__init__(headers=STREAM_HEADERS)
        del self.headers["Content-Length"]
        self._call = call
        self._feeds = feeds
        self._position = after
        self._over = over
        self._now = now
        self._heartbeat = heartbeat_seconds
        self._taking_seconds = taking_seconds
        self._send: Send
        self._sent_at = 0.0
        self._wish_at = asyncio.get_running_loop().time() + WISH_SECONDS / 2
        """When to wish again for what the request has wished for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the feed."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send(_body(b"", more=False))
            return
        self._send = send
        assert self._call.key is not None  # noqa: S101 - no feed is opened without one
        with self._feeds.seat(self._call.key.key_id):
            told, gone = asyncio.create_task(self._tell()), asyncio.create_task(_gone(receive))
            try:
                await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
                if told.done():
                    told.result()
            finally:
                for task in (told, gone):
                    task.cancel()
                await asyncio.wait({told, gone})

    async def _tell(self) -> None:
        """Send what happens until there is a reason to end."""
        try:
            await self._take(f"retry: {RECONNECT_MILLISECONDS}\nid: {written(self._position)}\n: feed\n\n".encode())
            end = await self._follow()
        except _NotTaken:
            self._feeds.counts.cut += 1
            end = FeedEnd(
                reason="slow_reader",
                detail="The client didn't keep up. Connect again with the id of the last event received.",
            )
        if end is not None:
            self._log_end(end)
        await self._send(_body(b"" if end is None else last_word(end, self._now()), more=False))

    async def _follow(self) -> FeedEnd | None:
        """Send what happens; the reason to end, None if the client only asked for what was there."""
        loop, wanted = asyncio.get_running_loop(), self._call.query
        while True:
            if (end := self._over()) is not None:
                return end
            await self._wish()
            moved, looked_at = self._feeds.moved(), loop.time()
            page = await self._next_page()
            if page:
                await self._take_page(page, wanted)
            elif not wanted.follow:
                return None
            if loop.time() - self._sent_at >= self._heartbeat:
                await self._take(f"id: {written(self._position)}\n: alive\n\n".encode())
            if not page:
                quiet = self._sent_at + self._heartbeat - loop.time()
                await asyncio.wait({moved}, timeout=max(0.0, min(LOOK_SECONDS, quiet)))
            if len(page) < PAGE:
                await asyncio.sleep(max(0.0, looked_at + PAUSE_SECONDS - loop.time()))

    async def _wish(self) -> None:
        """Go on wishing for what is worked out only for who asks."""
        now = asyncio.get_running_loop().time()
        if self._call.query.wishes and now >= self._wish_at:
            with suppress(StoreUnavailable):
                await self._feeds.wish(self._call.scope, self._call.query.wishes)
                self._wish_at = now + WISH_SECONDS / 2

    async def _next_page(self) -> Sequence[FeedEvent]:
        """What comes next; nothing while the store can't be read, which is retried soon."""
        try:
            return await self._feeds.page(self._call.scope, self._position)
        except StoreUnavailable:
            await asyncio.sleep(LOOK_SECONDS)
            return ()

    async def _take_page(self, page: Sequence[FeedEvent], wanted: FeedQuery) -> None:
        slices = TimeSlices()
        piece = bytearray()
        for event in page:
            await slices.give_way()
            if event.concerns(wanted):
                if piece and len(piece) + len(event.encoded) > PIECE_BYTES:
                    await self._take(bytes(piece))
                    piece.clear()
                piece += event.encoded
            self._position = event.position
        if piece:
            await self._take(bytes(piece))

    async def _take(self, piece: bytes) -> None:
        """Have the client take a piece. Raises `_NotTaken` when it doesn't."""
        pieces = list(_divided(piece))
        for number, part in enumerate(pieces, 1):
            try:
                async with asyncio.timeout(self._taking_seconds):
                    await self._send(_body(part))
            except TimeoutError:
                # A part is on its way. In the middle of an event, a message would be taken for the rest of it.
                if number < len(pieces):
                    self._cut()
                raise _NotTaken from None
        self._sent_at = asyncio.get_running_loop().time()

    def _cut(self) -> None:
        connection = self._call.request.scope.get("state", {}).get("bq.connection")
        if connection is not None:
            connection.abort()

    def _log_end(self, end: FeedEnd) -> None:
        if end.reason != "server_stopping":
            state = self._call.request.scope
            log.warning(
                "feed.cut", reason=end.reason, key_id=state.get("bq.key_id"), request_id=state.get("bq.request_id")
            )


def _divided(piece: bytes) -> Iterator[bytes]:
    """In parts that are each passed on whole."""
    for start in range(0, len(piece), PIECE_BYTES):
        yield piece[start : start + PIECE_BYTES]


def _body(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone away."""
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
