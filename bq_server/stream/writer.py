"""Writing to the stream: group commit, backpressure, and a 503 at once while the stream server is away."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import redis.asyncio as redis
from redis.exceptions import RedisError

from bq_server.concurrency.group_commit import GroupCommit
from bq_server.metrics.counts import WriterCounts
from bq_server.stream.breaker import Breaker
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.counts import Totals
from bq_server.stream.keys import StreamKeys
from bq_server.stream.script_connection import Pipe
from bq_server.stream.scripts import Script, load

GROUP_MESSAGES = 500
"""Messages in one round trip: a few milliseconds of the stream server's time."""

WAITING_MESSAGES = 20_000
"""Messages that may wait for a round trip before more are turned away."""

WAITING_SECONDS = 0.1
"""How long a message may have to wait for its round trip: past that it is turned away at once."""

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
    dead: bool = False
    """Whether that message is a dead letter."""


class Message(NamedTuple):
    """What is to be appended."""

    payload: bytes
    claim: Claim | None = None
    replaces: str | None = None
    """A message that holds the claim and was found nowhere: this one is appended in its place."""


class Appended(NamedTuple):
    """The message is in the stream under this id; `repeated` when its key was claimed by an equal event before it."""

    message_id: str
    repeated: bool


class KeyTaken:
    """The message's key was claimed by another event: it was not appended."""


class Dead(NamedTuple):
    """The message's key was claimed by an equal event before it, which is a dead letter: it was not appended."""

    message_id: str


class Gone(NamedTuple):
    """As `Dead`, but the message with that claim is neither in the stream nor a dead letter: a fact by now, or lost."""

    message_id: str


AppendResult = Appended | KeyTaken | Dead | Gone
"""What became of a message."""

_TAKEN = KeyTaken()


class Writer:
    """Appends messages. Those that arrive while a round trip is under way go together in the next one."""

    def __init__(
        self,
        client: redis.Redis,
        keys: StreamKeys,
        *,
        queue_limit: int,
        window_hours: int,
        totals: Totals | None = None,
    ) -> None:
        self._keys = keys
        self._queue_limit = queue_limit
        self._totals = totals or Totals()
        self._window_milliseconds = window_hours * 3_600_000
        self._pipe = Pipe(client)
        self._append = load("append")
        self._claim = load("claim")
        self._release = load("release")
        self._breaker = Breaker(client)
        self.counts = WriterCounts()
        self._group: GroupCommit[Sequence[Message], Sequence[AppendResult]] = GroupCommit(
            self._write,
            group_weight=GROUP_MESSAGES,
            waiting_weight=WAITING_MESSAGES,
            waiting_seconds=WAITING_SECONDS,
            weigh=len,
        )
        self._claims: GroupCommit[Claim, Claim] = GroupCommit(
            self._take, group_weight=GROUP_MESSAGES, waiting_weight=WAITING_MESSAGES
        )

    def append(self, messages: Sequence[Message]) -> asyncio.Future[Sequence[AppendResult]]:
        """Append the messages in one step; the future of what became of each.

        Done after the stream server has answered, which with `appendfsync always` is after they are on disk.
        Raises, or the future does, `StreamUnavailable` (some of them may be in the stream all the same), `StreamFull`
        (none is), `GroupFull` (too much waits, none is) and `GroupClosed`.
        """
        self._breaker.check()
        return self._group.put(messages)

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
            await self._pipe.run(self._release, [claim.key], [claim.event_id])

    async def close(self) -> None:
        """Take no more messages and wait until those taken are written."""
        await self._group.close()
        await self._claims.close()
        await self._breaker.close()
        self._pipe.close()

    async def _write(self, group: Sequence[Sequence[Message]]) -> Sequence[Sequence[AppendResult] | Exception]:
        messages = [message for each in group for message in each]
        keys = [self._keys.events, self._keys.dead, self._keys.counts]
        args: list[bytes | str | int] = [self._queue_limit, self._window_milliseconds, len(messages)]
        args += [message.payload for message in messages]
        for number, (_, claim, replaces) in enumerate(messages, 1):
            if claim is not None:
                keys.append(claim.key)
                args += (number, claim.fingerprint, claim.event_id, claim.received_at, replaces or "-")
        began = time.perf_counter()
        answers: list[Any] = await self._run(self._append, keys, args)
        self.counts.seconds.observe(time.perf_counter() - began)
        if not answers:
            # The group as a whole is past the limit; the next, smaller one may fit.
            return [StreamFull() for _ in group]
        self._totals.appended = max(self._totals.appended, answers.pop())
        found = [_result(answer.decode()) for answer in answers]
        if isinstance(found[-1], Appended) and not found[-1].repeated:
            self._totals.newest = found[-1].message_id
        self._count(found)
        results = iter(found)
        return [list(islice(results, len(each))) for each in group]

    def _count(self, results: Sequence[AppendResult]) -> None:
        counts = self.counts
        counts.messages.observe(len(results))
        for result in results:
            if isinstance(result, Appended):
                counts.appended += 1
                counts.repeated += result.repeated

    async def _take(self, group: Sequence[Claim]) -> Sequence[Claim]:
        args: list[bytes | str | int] = [SYNC_CLAIM_MILLISECONDS]
        for claim in group:
            args += (claim.fingerprint, claim.event_id, claim.received_at)
        held = await self._run(self._claim, [self._keys.dead, *(claim.key for claim in group)], args)
        return [_held(claim.key, value.decode()) for claim, value in zip(group, held, strict=True)]

    async def _run(self, script: Script, keys: list[str], args: list[bytes | str | int]) -> Any:
        self._breaker.check()
        try:
            return await self._pipe.run(script, keys, args)
        except RedisError as error:
            raise self._breaker.trip(error) from error


def _result(answer: str) -> AppendResult:
    match answer[0]:
        case "=":
            return Appended(answer[1:], repeated=True)
        case "!":
            return _TAKEN
        case "?":
            return Dead(answer[1:])
        case "~":
            return Gone(answer[1:])
        case _:
            return Appended(answer, repeated=False)


def _held(key: str, value: str) -> Claim:
    fingerprint, message_id, event_id, received_at, *dead = value.split(" ")
    own = None if message_id == "-" else message_id
    return Claim(key, fingerprint, event_id, int(received_at), own, dead=bool(dead))
