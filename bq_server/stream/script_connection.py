"""A connection for scripts only, which costs a tenth of a client's command per group of messages.

redis-py opens it, with the user, the password, TLS and the database of the URL; from then on hiredis packs commands and
parses answers, without a task, lock or timeout object for each step in between.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import hiredis
import redis.asyncio as redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as TimedOut

from bq_server.stream.connection import APPEND_TIMEOUT
from bq_server.stream.primary_connection import reason_to_leave
from bq_server.stream.replicas import TRIES, WAIT, NotReplicated, is_replicated
from bq_server.stream.scripts import Script

Command = tuple[bytes | str | int, ...]

_INCOMPLETE = object()


class Pipe(asyncio.Protocol):
    """Runs scripts in the order of the calls. It never sends one twice, because an append may have been made."""

    def __init__(self, client: redis.Redis, *, seconds: float = APPEND_TIMEOUT) -> None:
        """`seconds`: how long to wait for an answer."""
        self._client = client
        self._seconds = seconds
        self._opening: asyncio.Task[asyncio.Transport] | None = None
        self._opened_by: Any = None
        """The stream that redis-py opened, kept while its transport is in use."""
        self._transport: asyncio.Transport | None = None
        self._reader: hiredis.Reader
        self._waiting: deque[asyncio.Future[Any]] = deque()

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int], *, replicated: bool = False
    ) -> Any:
        """What the script answers; texts are bytes.

        With `replicated`, once a replica has on its disk what the script wrote. Raises `redis.RedisError`.
        """
        call = self._replicated if replicated else self._call
        try:
            return await call(("EVALSHA", script.sha, len(keys), *keys, *args))
        except ResponseError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await call(("EVAL", script.text, len(keys), *keys, *args))  # which the server remembers

    def close(self) -> None:
        """Close the connection."""
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._transport.close()

    async def _replicated(self, command: Command) -> Any:
        transport = self._transport or await self._open()
        found = await self._answer(transport, command)
        for _ in range(TRIES):
            # The server waits for what was written on the same connection, and for nothing on another: see `_answer`.
            if is_replicated(await self._answer(transport, WAIT)):
                return found
        raise NotReplicated

    async def _call(self, command: Command) -> Any:
        return await self._answer(self._transport or await self._open(), command)

    async def _answer(self, transport: asyncio.Transport, command: Command) -> Any:
        if transport is not self._transport:
            raise Disconnected("the connection was closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        packed = hiredis.pack_command(cast("Any", command))
        self._waiting.append(answer)
        try:
            transport.write(packed)
        except Exception:
            transport.abort()  # it may be sent or not: its answer must not be taken for that of another command
            raise
        limit = loop.call_later(self._seconds, self._expire, answer, transport)
        try:
            return await answer
        finally:
            limit.cancel()

    def _expire(self, answer: asyncio.Future[Any], transport: asyncio.Transport, turns: int = 2) -> None:
        """Give up on an answer, but not at once: it may have arrived while this process was busy."""
        if answer.done():
            return
        if turns:  # in each of which the transport may read
            asyncio.get_running_loop().call_soon(self._expire, answer, transport, turns - 1)
        else:
            answer.set_exception(TimedOut(f"no answer within {self._seconds:g} s"))
            transport.abort()  # its answer must not be taken for a later command's

    async def _open(self) -> asyncio.Transport:
        """The connection, opened once for all who wait for it.

        A server that stopped accepts a connection and says nothing on it. Whoever waits gives up as on an answer; the
        opening goes on, since finding a primary may take longer than that.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect(), name="stream-connection")
            self._opening.add_done_callback(self._end_opening)
        done, _ = await asyncio.wait({self._opening}, timeout=self._seconds)
        for opening in done:
            if opening.cancelled():
                raise Disconnected("the connection was closed")
            return opening.result()
        raise TimedOut(f"no connection within {self._seconds:g} s")

    def _end_opening(self, opening: asyncio.Task[asyncio.Transport]) -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # which nobody may wait for any more

    async def _connect(self) -> asyncio.Transport:
        pool: Any = self._client.connection_pool
        connection = pool.make_connection()
        try:
            await connection.connect()
        except RuntimeError as error:  # uvloop's, where the server closes it while something is sent
            raise Disconnected("the connection was closed") from error
        except asyncio.CancelledError:
            await connection.disconnect(nowait=True)
            raise
        # redis-py has no public way to lend its transport, so the whole stream is taken from it.
        stream, connection._writer, connection._reader = connection._writer, None, None  # noqa: SLF001
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE, replyError=ResponseError)
        self._opened_by = stream
        self._transport = cast("asyncio.Transport", stream.transport)
        self._transport.set_protocol(self)
        return self._transport

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not _INCOMPLETE:
            if isinstance(reply, hiredis.PushNotification):
                continue
            answer = self._waiting.popleft()
            if answer.done():
                continue
            if isinstance(reply, Exception):
                reason = reason_to_leave(str(reply))
                answer.set_exception(reply if reason is None else Disconnected(reason))
                if reason is not None and self._transport is not None:
                    self._transport.abort()  # the next call finds the new primary
            else:
                answer.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the transport. Waiting commands may or may not have been executed."""
        self._transport = self._opened_by = None
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(Disconnected(str(error or "the connection was closed")))
        self._waiting.clear()
