"""Two workers over one store and one stream server, in one process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.ids import IdSource
from bq_server.processing import shared_batch
from bq_server.processing.available_workers import AvailableWorkers
from bq_server.processing.compiled_games import Games
from bq_server.processing.message_batch import MessageProcessor
from bq_server.processing.permits import Permits
from bq_server.processing.processor import Outcome, Processor
from bq_server.processing.share_worker import ShareWorker
from bq_server.processing.shared_batch import SharedMessages
from bq_server.server.peers import LEASE, Peers
from bq_server.store.beside import Permit
from bq_server.store.database import Database
from bq_server.stream.entries import EntryResult, StreamEntry
from bq_server.stream.keys import StreamKeys
from bq_server.stream.shares import Part, Shares
from bq_server.stream.store_note import StoreNote, note_of
from tests.support.peers import joined
from tests.support.stepped_clock import SteppedClock
from tests.support.store import asked

KEYS, SCOPE = StreamKeys("bq"), Scope("default", "test")


class CountingProcessor(Processor):
    """Remembers what it was given, and fails on the events of one name."""

    def __init__(self, database: Database, note: StoreNote | None = None) -> None:
        super().__init__(database, IdSource(), Clocks(lambda: 1), Games(), note=note)
        self.beside: list[set[str]] = []
        """The ids of the events of each transaction beside others."""
        self.fails_on = ""
        self.gate: asyncio.Event | None = None

    async def process_beside(self, events: Sequence[Event], permit: Permit | None = None) -> list[Outcome]:
        self.beside.append({event.event_id for event in events})
        if self.gate is not None:
            await self.gate.wait()
        self._fail(events)
        return await super().process_beside(events, permit)

    async def process(self, events: Sequence[Event]) -> list[Outcome]:
        self._fail(events)
        return await super().process(events)

    def _fail(self, events: Sequence[Event]) -> None:
        if any(event.event_name == self.fails_on for event in events):
            raise ZeroDivisionError("a bug")


@dataclass
class Worker:
    """A worker process."""

    peers: Peers
    processor: CountingProcessor
    shares: Shares
    works: ShareWorker

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.works.run())
        yield
        async with asyncio.timeout(20):
            self.works.stop()
            await task


@dataclass
class Pair:
    """One that leads and another."""

    store_url: str
    leader: Worker
    helper: Worker
    messages: SharedMessages
    permits: Permits
    note: StoreNote
    heard: dict[str, float] = field(default_factory=dict)

    @property
    def facts(self) -> int:
        ((count,),) = asked(self.store_url, "SELECT count(*) FROM facts")
        return int(count)

    def hear(self) -> None:
        self.heard[self.helper.peers.process_id] = asyncio.get_running_loop().time()

    async def process(self, entries: Sequence[StreamEntry]) -> Sequence[EntryResult]:
        self.hear()
        return await self.messages.process(entries)

    async def lose(self, entries: Sequence[StreamEntry], monkeypatch: pytest.MonkeyPatch) -> Part:
        """Process them while the helper has its part, and does nothing about it; the part."""
        with monkeypatch.context() as patch:
            patch.setattr(shared_batch, "ANSWER_SECONDS", 0.3)
            processing = asyncio.create_task(self.process(entries))
            part = await self.helper.shares.next_part()
            assert part is not None
            assert await processing == [None] * len(entries)
        return part


@asynccontextmanager
async def worker_pair(migrated_url: str, client: Any) -> AsyncIterator[Pair]:
    """Two workers, of which one leads."""
    async with AsyncExitStack() as stack:

        async def worker(name: str, note: StoreNote) -> Worker:
            peer = await stack.enter_async_context(joined(migrated_url, name))
            processor = CountingProcessor(peer.database, note)
            shares = Shares(client, KEYS, peer.peers.process_id)
            return Worker(peer.peers, processor, shares, ShareWorker(processor, shares, note, lambda: False))

        note = note_of("inst_1")
        leader, helper = await worker("one", note), await worker("other", note_of("inst_1"))
        assert await leader.peers._take() is not None
        permits = Permits(await leader.processor._database.connect_apart(), leader.peers.process_id, LEASE)
        heard: dict[str, float] = {}
        messages = SharedMessages(
            MessageProcessor(leader.processor, SteppedClock()),
            leader.processor,
            leader.shares,
            permits,
            AvailableWorkers(lambda: heard),
            note,
        )
        async with messages.leading():
            yield Pair(migrated_url, leader, helper, messages, permits, note, heard)


def entries_of(numbers: range, **more: Any) -> list[StreamEntry]:
    """Messages of many participants."""
    return [entry(number, **more) for number in numbers]


def entry(number: int, name: str = "bought", participant_id: str = "", **more: Any) -> StreamEntry:
    who = participant_id or f"p{number % 20}"
    event = Event(f"evt_{number:026}", SCOPE, name, who, "{}", number, number, **more)
    return StreamEntry(f"{number}-0", event.to_payload())
