"""A stream server's stream, its group and its dead letters, as far as a consumer needs them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from bq_server.stream.consumer_group import BATCH, PendingEntry
from bq_server.stream.counts import Count
from bq_server.stream.dead_letters import DeadLetter
from bq_server.stream.entries import StreamEntry


@dataclass
class Delivery:
    consumer: str
    deliveries: int


EPOCH = "epoch_1"


class StreamInMemory:
    """A stream with its group and its dead letters. What fails is said by the name of the method."""

    def __init__(self, *payloads: str) -> None:
        self.entries = {f"{number}-0": payload for number, payload in enumerate(payloads, 1)}
        self.pending_now: dict[str, Delivery] = {}
        self.letters: dict[str, DeadLetter] = {}
        self.settled = 0
        self.failing: dict[str, list[Exception]] = {}
        self.groups_made = 0
        self.came = asyncio.Event()

    def deliver(self, consumer: str, *numbers: int, deliveries: int = 1) -> None:
        for number in numbers:
            self.pending_now[f"{number}-0"] = Delivery(consumer, deliveries)

    def add(self, *payloads: str) -> None:
        for payload in payloads:
            self.entries[f"{len(self.entries) + self.settled + 1}-0"] = payload
        self.came.set()

    def _fail(self, method: str) -> None:
        if self.failing.get(method):
            raise self.failing[method].pop(0)

    async def make(self) -> bool:
        self._fail("make")
        self.groups_made += 1
        return self.groups_made == 1

    async def read(self, *, block: bool) -> list[StreamEntry]:
        while True:
            new = [name for name in self.entries if name not in self.pending_now][:BATCH]
            if new or not block:
                break
            self.came.clear()
            await self.came.wait()
        for name in new:
            self.pending_now[name] = Delivery("me", 1)
        self._fail("read")
        return [self._entry(name) for name in new]

    async def pending(self, after: str | None) -> list[PendingEntry]:
        self._fail("pending")
        names = sorted(self.pending_now, key=_order)
        page = [name for name in names if after is None or _order(name) > _order(after)][:BATCH]
        return [PendingEntry(name, self.pending_now[name].consumer, self.pending_now[name].deliveries) for name in page]

    async def take_over(self, pending: Sequence[PendingEntry]) -> list[StreamEntry]:
        for each in pending:
            if each.consumer != "me":
                self.pending_now[each.message_id] = Delivery("me", each.deliveries + 1)
        return await self.fetch([each.message_id for each in pending])

    async def fetch(self, message_ids: Sequence[str]) -> list[StreamEntry]:
        for name in message_ids:
            if name not in self.entries:
                self.pending_now.pop(name, None)
        return [self._entry(name) for name in message_ids if name in self.entries]

    async def reset_deliveries(self, entries: Sequence[StreamEntry]) -> None:
        for entry in entries:
            self.pending_now[entry.message_id] = Delivery("me", 0)

    async def remove(self, entries: Sequence[StreamEntry]) -> Count:
        self._fail("remove")
        for entry in entries:
            self._drop(entry.message_id)
        return Count(EPOCH, self.settled)

    async def remove_idle_consumers(self) -> None:
        return None

    async def others_have_some(self) -> bool:
        return False

    async def add_letter(self, letter: DeadLetter, entry_id: str) -> Count:
        self._fail("add_letter")
        self.letters[letter.message_id] = letter
        self._drop(entry_id)
        return Count(EPOCH, self.settled)

    def _entry(self, name: str) -> StreamEntry:
        return StreamEntry(name, self.entries[name].encode())

    def _drop(self, name: str) -> None:
        self.settled += 1
        del self.entries[name]
        del self.pending_now[name]


class Letters:
    def __init__(self, stream: StreamInMemory) -> None:
        self.add = stream.add_letter


def _order(message_id: str) -> int:
    return int(message_id.split("-")[0])
