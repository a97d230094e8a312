"""Parts of a batch on their way to other workers, and what came of them on its way back: lists in the stream server.

The messages themselves stay in the stream, pending, with the one consumer that read them. What is in these lists is a
copy, and may be lost, come late, or be left behind by a process that is gone: then it expires.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import redis.asyncio as redis
import structlog

from bq_server.stream.connection import asking
from bq_server.stream.keys import StreamKeys

log = structlog.get_logger("bq_server.stream.shares")

KEPT_SECONDS = 60
"""How long a list is kept after something was added to it."""

BLOCK_SECONDS = 1.0
"""How long to wait for something at a time: less than the client waits for an answer."""


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Messages of a batch for one worker."""

    number: int
    """Of all parts that a leader hands out, another each time."""
    permit: tuple[str, str, int]
    """The holder, the name and the term of what its transaction relies on. The holder is whom to answer."""
    messages: Sequence[tuple[str, bytes]]
    """The id that its sender knows, and the payload, of each."""


class PartAnswer(msgspec.Struct, frozen=True, array_like=True):
    """What came of a part. Either there is a result for each message or, where nothing was stored, a failure."""

    number: int
    """Of the part."""
    results: Sequence[str | None] = msgspec.field(default_factory=list)
    """In the order of the messages: None for one that is settled, or why it can never be processed."""
    height: int = 0
    """Which the store has then."""
    failure: str | None = None
    """Why nothing was stored."""
    alone: Sequence[tuple[str, str]] = msgspec.field(default_factory=list)
    """The environments, as project and name, because of which nothing was stored: their messages are to be processed
    while nobody else processes any."""


_part = msgspec.msgpack.Decoder(Part)
_answer = msgspec.msgpack.Decoder(PartAnswer)

T = TypeVar("T")


class Shares:
    """The lists as one process uses them. Every method raises `StreamUnavailable`."""

    def __init__(self, client: redis.Redis, keys: StreamKeys, process_id: str) -> None:
        """`client`: one that others wait for nothing on, as this one blocks."""
        self._client: Any = client
        self._keys = keys
        self._process_id = process_id

    async def hand_out(self, process_id: str, part: Part) -> None:
        """Give a worker a part, instead of one that it has not begun."""
        with asking():
            await self._put(self._keys.share(process_id), part, instead=True)

    async def drop(self, process_id: str) -> None:
        """Let a worker not begin what it was given."""
        with asking():
            await self._client.delete(self._keys.share(process_id))

    async def next_answer(self, seconds: float) -> PartAnswer | None:
        """What came of a part that this process has handed out, perhaps long ago; None if nothing comes for so long."""
        return await self._pop(self._keys.answers(self._process_id), seconds, _answer)

    async def next_part(self) -> Part | None:
        """A part for this process; None if none comes for `BLOCK_SECONDS`."""
        return await self._pop(self._keys.share(self._process_id), BLOCK_SECONDS, _part)

    async def answer(self, part: Part, answer: PartAnswer) -> None:
        """Tell whoever has handed out a part what came of it."""
        with asking():
            await self._put(self._keys.answers(part.permit[0]), answer, instead=False)

    async def _put(self, key: str, sent: Part | PartAnswer, *, instead: bool) -> None:
        async with self._client.pipeline(transaction=True) as pipe:
            if instead:
                pipe.delete(key)
            pipe.rpush(key, msgspec.msgpack.encode(sent))
            pipe.expire(key, KEPT_SECONDS)
            await pipe.execute()

    async def _pop(self, key: str, seconds: float, decoder: "msgspec.msgpack.Decoder[T]") -> T | None:
        with asking():
            found = await self._client.blpop([key], min(seconds, BLOCK_SECONDS))
        if found is None:
            return None
        try:
            return decoder.decode(found[1])
        except msgspec.MsgspecError as error:  # of a process of another version
            log.warning("share.unreadable", key=key, reason=str(error))
            return None
