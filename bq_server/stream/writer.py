"""Writing to the stream: group commit, backpressure, and an immediate 503 while the stream server is unavailable."""

import asyncio
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from bq_server.concurrency.group_commit import GroupCommit
from bq_server.metrics.counts import WriterCounts
from bq_server.stream.claims import NO_MESSAGE_ID, Claim
from bq_server.stream.counts import Count, Totals
from bq_server.stream.guarded_pipe import GuardedPipe
from bq_server.stream.keys import StreamKeys
from bq_server.stream.scripts import load

GROUP_MESSAGES = 500
"""Messages per round trip: a few milliseconds of the stream server's time."""

ROUND_TRIPS = 2
"""Groups under way at once: the stream server has work while it waits for the disk, and this process meanwhile too."""

WAITING_MESSAGES = 20_000
"""Messages that may wait for a round trip before more are refused."""

WAITING_SECONDS = 0.1
"""How long a message may have to wait for its round trip; if longer, it is refused at once."""


class StreamFull(Exception):
    """The stream has reached its limit of messages; none was added."""


class Message(NamedTuple):
    """What to append."""

    payload: bytes
    claim: Claim | None = None
    replaces: str | None = None
    """A message that has the claim and was found nowhere: this one is appended in its place."""


class Appended(NamedTuple):
    """The message is in the stream under this id; `repeated` if an equal event claimed its key before."""

    message_id: str
    repeated: bool


class KeyTaken:
    """A different event has claimed the message's key: it was not appended."""


class Dead(NamedTuple):
    """An equal event, now a dead letter, has claimed the message's key: it was not appended."""

    message_id: str


class Gone(NamedTuple):
    """As `Dead`, but the message with the claim is neither in the stream nor a dead letter: a fact by now, or lost."""

    message_id: str


AppendResult = Appended | KeyTaken | Dead | Gone
"""What became of a message."""

_TAKEN = KeyTaken()


class Writer:
    """Appends messages. Those that arrive while a round trip is under way go together in the next one."""

    def __init__(
        self,
        pipe: GuardedPipe,
        keys: StreamKeys,
        *,
        queue_limit: int,
        window_hours: int,
        totals: Totals | None = None,
    ) -> None:
        """`queue_limit`: most messages the stream may hold; `window_hours`: how long a claim on a key lasts."""
        self._pipe = pipe
        self._keys = keys
        self._queue_limit = queue_limit
        self._totals = totals or Totals()
        self._window_milliseconds = window_hours * 3_600_000
        self._append = load("claims", "append")
        self.counts = WriterCounts()
        self._group: GroupCommit[Sequence[Message], Sequence[AppendResult]] = GroupCommit(
            self._write,
            group_weight=GROUP_MESSAGES,
            waiting_weight=WAITING_MESSAGES,
            waiting_seconds=WAITING_SECONDS,
            at_once=ROUND_TRIPS,
            weigh=len,
        )

    def append(self, messages: Sequence[Message]) -> asyncio.Future[Sequence[AppendResult]]:
        """Append the messages in one step; returns the future of what became of each.

        It is done after the stream server has answered, which with `appendfsync always` is after they are on disk, and
        where a replica must have them, after they are on its disk. It
        or the future raises `StreamUnavailable` (some may be in the stream nevertheless), `StreamFull` (none is),
        `GroupFull` (too much is waiting, none is) and `GroupClosed`.
        """
        self._pipe.check()
        return self._group.put(messages)

    async def close(self) -> None:
        """Accept no more messages and wait until those accepted are written."""
        await self._group.close()

    async def _write(self, group: Sequence[Sequence[Message]]) -> Sequence[Sequence[AppendResult] | Exception]:
        messages = [message for each in group for message in each]
        keys = [self._keys.events, self._keys.dead, self._keys.counts]
        args: list[bytes | str | int] = [self._queue_limit, self._window_milliseconds, len(messages)]
        args += [message.payload for message in messages]
        for number, (_, claim, replaces) in enumerate(messages, 1):
            if claim is not None:
                keys.append(claim.key)
                args += (number, claim.fingerprint, claim.event_id, claim.received_at, replaces or NO_MESSAGE_ID)
        began = time.perf_counter()
        answers: list[Any] = await self._pipe.run(self._append, keys, args, accepts=True)
        self.counts.seconds.observe(time.perf_counter() - began)
        if not answers:
            # The group as a whole exceeds the limit; the next, smaller one may fit.
            return [StreamFull() for _ in group]
        epoch = answers.pop().decode()
        self._totals.saw_appended(Count(epoch, answers.pop()))
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
