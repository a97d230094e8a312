"""Sharing batches out: the worker that leads hands parts of each to the others, which process them at the same time.

It stays the one that reads messages, retries them, gives them up and removes them. Participants are divided over
partitions, and those over the workers, anew for each batch; a batch ends when all its parts have. A part that another
worker didn't process, for whatever reason, the leader processes itself, as it does everything where it is alone.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

import structlog
from msgspec import Struct

from bq_server.events import Scope
from bq_server.processing.available_workers import AvailableWorkers
from bq_server.processing.message_batch import MessageBatch, MessageProcessor, verdict_on
from bq_server.processing.partitions import PARTITIONS, partition_of
from bq_server.processing.permits import Permits
from bq_server.processing.processor import NotBeside, Processor
from bq_server.store.database import StoreUnavailable
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.entries import EntryResult, StreamEntry
from bq_server.stream.shares import Part, PartAnswer, Shares
from bq_server.stream.store_note import StoreNote

log = structlog.get_logger("bq_server.processing.shared_batch")

FEWEST = 200
"""A smaller batch isn't shared: there is no backlog, and handing out costs more than it saves."""

MOST_OF_A_PART = 1_000
"""Events of one transaction, whose end all wait for who want the store to themselves: what is more, of one participant
or a few, is processed alone, where others get their turn."""

ANSWER_SECONDS = 5.0
"""How long another worker may take: many times what a part needs, and less than a lease lasts."""

LOOK_SECONDS = 0.5
"""How often to look, while waiting for answers, whether the others are still there."""

ALONE_SECONDS = 30.0
"""How long not to try again to process messages of an environment beside others, after that was refused."""

MOST_ALONE = 1000
"""Environments of which that is remembered."""


class _Share(Struct):
    """A part of a batch that another worker has."""

    process_id: str
    positions: Sequence[int]


class SharedMessages:
    """Processes messages as `MessageProcessor` does, with the help of other workers where there are some."""

    def __init__(
        self,
        messages: MessageProcessor,
        processor: Processor,
        shares: Shares,
        permits: Permits,
        workers: AvailableWorkers,
        note: StoreNote | None = None,
    ) -> None:
        """`note`: of the store, for facts that others make."""
        self._messages = messages
        self._processor = processor
        self._shares = shares
        self._permits = permits
        self._workers = workers
        self._note = note
        self._numbers = count(1)
        self._alone: dict[Scope, float] = {}
        """Until when messages of an environment are processed alone, by the event loop's clock."""
        self._told = 1
        """With how many workers the log says that batches are shared."""

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        """To be entered whenever this process begins to lead, before it processes anything.

        Raises `StoreUnavailable`.
        """
        await self._permits.begin()
        yield

    @property
    def workers(self) -> int:
        """How many can work on a batch now, with this one."""
        return 1 + len(self._workers.now())

    async def process(self, entries: Sequence[StreamEntry]) -> Sequence[EntryResult]:
        """As `MessageProcessor.process`."""
        await self._take_back()  # of an earlier batch, after which the store was away
        if len(entries) < FEWEST:
            return await self._messages.process(entries)
        others = self._workers.now()
        self._tell(1 + len(others))
        if not others:
            return await self._messages.process(entries)
        batch = await self._messages.read(entries)
        own, parts, rest = self._divided(batch, others)
        if own or parts:
            rest += await self._process_shared(batch, own, parts)
        await self._messages.process_events(batch, sorted(rest))
        return batch.results

    def _divided(
        self, batch: MessageBatch, others: Sequence[str]
    ) -> tuple[list[int], Mapping[str, list[int]], list[int]]:
        """The positions of the events for this worker and for each other one, and of those to be processed alone."""
        own: list[int] = []
        alone: list[int] = []
        parts: dict[str, list[int]] = {each: [] for each in others}
        partitions: list[list[int]] = [[] for _ in range(PARTITIONS)]
        kept_alone = self._kept_alone()
        for position, event in batch.events.items():
            if event.scope in kept_alone:
                alone.append(position)
            else:
                partitions[partition_of(event.scope, event.participant_id)].append(position)
        # The largest first, each to whoever has least: few participants may have sent most.
        shares = [own, *parts.values()]
        for positions in sorted(partitions, key=len, reverse=True):
            min(shares, key=len).extend(positions)
        for share in shares:
            share.sort()
            alone += share[MOST_OF_A_PART:]
            del share[MOST_OF_A_PART:]
        return own, {each: positions for each, positions in parts.items() if positions}, alone

    async def _process_shared(
        self, batch: MessageBatch, own: Sequence[int], parts: Mapping[str, Sequence[int]]
    ) -> list[int]:
        """Process these events side by side; returns the positions of those that weren't processed."""
        working = asyncio.create_task(self._process_own(batch, own))
        try:
            settled, highest = await self._gather(batch, await self._hand_out(batch, parts))
            await self._take_back()
        except BaseException:
            for process_id in parts:
                self._permits.suspend(process_id)
            raise
        finally:
            settled_here = await working  # nothing of a batch goes on beside the next
        if self._note is not None:
            self._note.saw(highest)  # not earlier: this worker's transaction is compared with the note
        shared = {*own, *(position for positions in parts.values() for position in positions)}
        return list(shared.difference(settled, settled_here))

    async def _process_own(self, batch: MessageBatch, positions: Sequence[int]) -> Collection[int]:
        """Process the events at these positions; returns those that are settled, all or none."""
        if not positions:
            return ()
        try:
            outcomes = await self._processor.process_beside([batch.events[position] for position in positions])
        except NotBeside as error:
            self._keep_alone(error.scopes)
            return ()
        except Exception as error:  # noqa: BLE001 - they are processed once more, and that tells what is at fault
            log.warning("batch.failed", error=repr(error), events=len(positions))
            return ()
        self._messages.settle(batch, positions, [verdict_on(outcome) for outcome in outcomes])
        return positions

    async def _hand_out(self, batch: MessageBatch, parts: Mapping[str, Sequence[int]]) -> dict[int, _Share]:
        """Hand each worker its part; returns what they have, by the part's number."""
        shares = {next(self._numbers): _Share(process_id, positions) for process_id, positions in parts.items()}
        handed = await asyncio.gather(*(self._hand(batch, number, share) for number, share in shares.items()))
        return {number: share for (number, share), had in zip(shares.items(), handed, strict=True) if had}

    async def _hand(self, batch: MessageBatch, number: int, share: _Share) -> bool:
        """Hand a worker its part; whether it has it."""
        try:
            permit = await self._permits.of(share.process_id)
        except StoreUnavailable:
            permit = None
        if permit is None:
            return False
        entries = [batch.entries[position] for position in share.positions]
        messages = [(entry.known_as, entry.payload) for entry in entries]
        try:
            await self._shares.hand_out(
                share.process_id, Part(number, (permit.holder, permit.name, permit.term), messages)
            )
        except StreamUnavailable as error:
            log.warning("share.not_handed_out", reason=str(error))
            self._permits.suspend(share.process_id)  # it may have it nevertheless
            return False
        return True

    async def _gather(self, batch: MessageBatch, shares: dict[int, _Share]) -> tuple[Collection[int], int]:
        """Wait until all have answered, or can't be waited for any longer.

        Returns the positions of the events that are settled, and the height that the store has then.
        """
        settled: set[int] = set()
        highest, now = 0, asyncio.get_running_loop().time
        until = now() + ANSWER_SECONDS
        try:
            while shares and (left := until - now()) > 0:
                answer = await self._shares.next_answer(min(left, LOOK_SECONDS))
                if answer is None:
                    for number in [each for each in shares if not self._workers.is_there(shares[each].process_id)]:
                        self._lose(shares.pop(number))
                elif (share := shares.pop(answer.number, None)) is not None:  # else it is late, of an earlier batch
                    settled.update(self._settle(batch, share, answer))
                    highest = max(highest, answer.height)
        except StreamUnavailable as error:
            log.warning("share.no_answers", reason=str(error))
        for share in shares.values():
            self._lose(share)
        return settled, highest

    def _settle(self, batch: MessageBatch, share: _Share, answer: PartAnswer) -> Collection[int]:
        """Note what a worker has found; returns the positions of the events that are settled, all or none."""
        if answer.failure is None and len(answer.results) == len(share.positions):
            self._workers.answered(share.process_id)
            self._messages.settle(batch, share.positions, answer.results)
            return share.positions
        if answer.alone:
            self._keep_alone(Scope(*scope) for scope in answer.alone)
        else:
            log.warning("share.failed", process=share.process_id, reason=answer.failure, events=len(share.positions))
            self._workers.failed(share.process_id)
            self._permits.renew(share.process_id)
        return ()

    def _lose(self, share: _Share) -> None:
        """Give up waiting for a worker."""
        log.warning("share.unanswered", process=share.process_id, events=len(share.positions))
        self._workers.silent(share.process_id)
        self._permits.suspend(share.process_id)

    async def _take_back(self) -> None:
        """Let those not waited for any longer make no facts of what they were handed. Raises `StoreUnavailable`."""
        for process_id in await self._permits.revoke():
            with suppress(StreamUnavailable):  # it only spares a worker from trying
                await self._shares.drop(process_id)

    def _keep_alone(self, scopes: Iterable[Scope]) -> None:
        until = asyncio.get_running_loop().time() + ALONE_SECONDS
        for scope in scopes:
            self._alone[scope] = until
        while len(self._alone) > MOST_ALONE:
            del self._alone[next(iter(self._alone))]

    def _kept_alone(self) -> Collection[Scope]:
        now = asyncio.get_running_loop().time()
        self._alone = {scope: until for scope, until in self._alone.items() if until > now}
        return self._alone.keys()

    def _tell(self, workers: int) -> None:
        if workers != self._told:
            self._told = workers
            log.info("worker.shares", workers=workers)
