"""Writing to the stream: group commit, backpressure, and a 503 at once while the stream server is away."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import redis.asyncio as redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from bq_server.grouping import GroupCommit
from bq_server.stream.breaker import Breaker
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.keys import StreamKeys
from bq_server.stream.scripts import load

GROUP_MESSAGES = 500
"""Messages in one round trip: a few milliseconds of the stream server's time."""

WAITING_MESSAGES = 20_000
"""Messages that may wait for a round trip before more are turned away."""

SYNC_CLAIM_MILLISECONDS = 60_000
"""How long a sync event's claim lasts: it bridges the moment until the fact is there to be asked."""


class StreamFull(Exception):
    """As many messages wait in the stream as may; none was added."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An idempotency key taken for an event."""

    key: str
    """From `StreamKeys.claim`."""
    fingerprint: str
    event_id: str
    received_at: int
    """Microseconds since the epoch, UTC."""
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be appended."""

    payload: bytes
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a message: newly in the stream, or its key was claimed by an equal or by another event."""

    status: Literal["appended", "repeated", "conflict"]
    message_id: str


_STATUS: tuple[Literal["appended", "repeated", "conflict"], ...] = ("appended", "repeated", "conflict")


class Writer:
    """Appends messages. Those that arrive while a round trip is under way go together in the next one."""

    def __init__(self, client: redis.Redis, keys: StreamKeys, *, queue_limit: int, window_hours: int) -> None:
        self._keys = keys
        self._queue_limit = queue_limit
        self._window_milliseconds = window_hours * 3_600_000
        self._append = load(client, "append")
        self._claim = load(client, "claim")
        self._release = load(client, "release")
        self._breaker = Breaker(client)
        self._group: GroupCommit[Sequence[Message], Sequence[Appended] | None] = GroupCommit(
            self._write, group_weight=GROUP_MESSAGES, waiting_weight=WAITING_MESSAGES, weigh=len
        )
        self._claims: GroupCommit[Claim, Claim] = GroupCommit(
            self._take, group_weight=GROUP_MESSAGES, waiting_weight=WAITING_MESSAGES
        )

    async def append(self, messages: Sequence[Message]) -> Sequence[Appended]:
        """Append the messages in one step and answer what became of each.

        Returns after the stream server has answered, which with `appendfsync always` is after they are on disk.
        Raises `StreamUnavailable` (some of them may be in the stream all the same), `StreamFull` (none is),
        `GroupFull` (too much waits, none is) and `GroupClosed`.
        """
        self._breaker.check()
        appended = await self._group.submit(messages)
        if appended is None:
            raise StreamFull
        return appended

    async def claim(self, claim: Claim) -> Claim:
        """Take the key for an event that does not go through the stream; answer the claim that holds now.

        Raises `StreamUnavailable`, `GroupFull` and `GroupClosed`.
        """
        self._breaker.check()
        return await self._claims.submit(claim)

    async def release(self, claim: Claim) -> None:
        """Give up a claim whose event came to nothing; one that can't be given up runs out by itself."""
        with suppress(RedisError, StreamUnavailable):
            self._breaker.check()
            await self._release(keys=[claim.key], args=[claim.event_id])

    async def close(self) -> None:
        """Take no more messages and wait until those taken are written."""
        await self._group.close()
        await self._claims.close()
        await self._breaker.close()

    async def _write(self, group: Sequence[Sequence[Message]]) -> Sequence[Sequence[Appended] | None]:
        keys = [self._keys.events]
        args: list[bytes | str | int] = [self._queue_limit, self._window_milliseconds]
        for messages in group:
            for message in messages:
                claim = message.claim
                keys.append(claim.key if claim else "")
                args += (
                    (message.payload, claim.fingerprint, claim.event_id, claim.received_at)
                    if claim
                    else (message.payload, "", "", "")
                )
        answers = await self._run(self._append, keys, args)
        if not answers:
            # The group as a whole is past the limit; the next, smaller one may fit.
            return [None] * len(group)
        results = [Appended(_STATUS[status], message_id.decode()) for status, message_id in answers]
        position = 0
        divided = []
        for messages in group:
            divided.append(results[position : position + len(messages)])
            position += len(messages)
        return divided

    async def _take(self, group: Sequence[Claim]) -> Sequence[Claim]:
        args: list[bytes | str | int] = [SYNC_CLAIM_MILLISECONDS]
        for claim in group:
            args += (claim.fingerprint, claim.event_id, claim.received_at)
        held = await self._run(self._claim, [claim.key for claim in group], args)
        return [_held(claim.key, value.decode()) for claim, value in zip(group, held, strict=True)]

    async def _run(self, script: AsyncScript, keys: list[str], args: list[bytes | str | int]) -> Any:
        self._breaker.check()
        try:
            return await script(keys=keys, args=args)
        except RedisError as error:
            raise self._breaker.trip(error) from error


def _held(key: str, value: str) -> Claim:
    fingerprint, message_id, event_id, received_at = value.split(" ")
    return Claim(key, fingerprint, event_id, int(received_at), None if message_id == "-" else message_id)
