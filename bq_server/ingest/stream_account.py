"""Accounting for what was accepted: the stream is compared with what is known about it, and losses are reported.

Each message that entered the stream was settled or still waits there. The stream server counts both atomically with
each step; the store remembers the counts, so that a stream that has vanished altogether is noticed too.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog
from msgspec.structs import replace

from bq_server.clock import Clock
from bq_server.ids import IdSource
from bq_server.ingest.store_account import StoreAccount
from bq_server.moments import HOUR
from bq_server.store import losses
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.losses import Known, Loss, order
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.counts import Counts, StreamCounts, Totals

log = structlog.get_logger("bq_server.ingest.stream_account")

LOOK_SECONDS = 1.0

ADVICE = "find out what happened to the stream server or the database, then run `bq-server doctor --acknowledge`"


class StreamAccount:
    """Checks the stream every second. Call `start` before the consumer and the writer do anything.

    Each place where a stream was used has its own account: what waits elsewhere is not lost.
    """

    def __init__(
        self,
        database: Database,
        counts: StreamCounts,
        totals: Totals,
        installation_id: str,
        *,
        place: str,
        ids: IdSource,
        clock: Clock,
    ) -> None:
        self._database = database
        self._counts = counts
        self._totals = totals
        self._installation_id = installation_id
        self._place = place
        self._ids = ids
        self._clock = clock
        self._store = StoreAccount(database, counts, place, clock)
        self._known: Known | None = None
        self._losses: list[Loss] = []
        """All losses ever."""
        self._saved: tuple[Known | None, Sequence[Loss]] = (None, ())
        self._suspected = False
        """Whether messages were missing at the last check: they may have been in progress, and settled by the next."""
        self._foreign: str | None = None
        self._alone = True
        self._replacing: tuple[str, bool] | None = None
        """The epoch of the count that may have begun in a stream that replaced another, and whether it says all."""

    async def start(self, *, owned: bool, alone: bool = True) -> None:
        """Start counting.

        `owned`: whether the stream bore the mark of this installation; `alone`: whether no other process accepts
        events. Raises `StreamUnavailable` and `StoreUnavailable`.
        """
        self._alone = alone
        async with self._database.read() as connection:
            self._known = await losses.known(connection, self._place)
            self._losses = await losses.every(connection)
        self._saved = (self._known, tuple(self._losses))
        counts = await self._counts.now()
        if await self._store.start(counts):
            async with self._database.read() as connection:
                self._losses = await losses.every(connection)
            self._saved = (None, tuple(self._losses))
            # It may have known another stream, or that nothing waited: neither says anything of this one.
            same = self._known is not None and self._known.epoch == counts.epoch
            self._known = replace(self._known, final=False) if self._known is not None and same else None
        if self._known is None:
            await self._begin()
        else:
            self._totals.begin(self._known.epoch, self._known.appended, self._known.settled)
            # Ids are times of the stream server's clock: what came since the last check is not above this one.
            self._totals.newest = max(self._known.newest, f"{self._clock() // 1000}-0", key=order)
            if not await self._replaced_when_empty(self._known):
                await self._look(owned=owned, patient=False, certain=self._known.final)
            self._known = replace(self._known, final=False)
            self._totals.newest = self._known.newest
        await self._save()

    async def run(self) -> None:
        """Check until cancelled. An unavailable stream or store is checked again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.check()
            except (StreamUnavailable, StoreUnavailable) as error:
                log.debug("accounting.stalled", reason=str(error))

    async def check(self) -> None:
        """Check once, and store what was found. Raises `StreamUnavailable` and `StoreUnavailable`."""
        counts = await self._look(owned=True, patient=True, certain=self._alone)
        await self._store.look(counts)
        await self._save()

    async def follow(self) -> None:
        """Know the losses that another process finds, until cancelled."""
        while True:
            try:
                async with self._database.read() as connection:
                    self._losses = await losses.every(connection)
            except StoreUnavailable as error:
                log.debug("accounting.stalled", reason=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def finish(self) -> None:
        """Check once more, after the consumer and the writer have stopped."""
        with suppress(StreamUnavailable, StoreUnavailable):
            counts = await self._look(owned=True, patient=False, certain=self._alone)
            await self._store.look(counts)
            if self._known is not None:
                self._known = replace(self._known, final=self._alone)
            await self._save()

    async def problem(self) -> str | None:
        """Losses not yet acknowledged, for a health check."""
        found: Sequence[Loss] = self._losses
        try:
            async with self._database.read_for_intake() as connection:
                stored = await losses.every(connection)
        except StoreUnavailable:
            stored = []
        unsaved = found[len(stored) :]
        open_ones = [each.summary for each in (*stored, *unsaved) if each.acknowledged_at is None]
        if self._foreign is not None:
            open_ones.append(f"the stream bears the mark of another installation, {self._foreign}")
        problems = [f"{'; '.join(open_ones)}; {ADVICE}"] if open_ones else []
        problems += [self._store.problem] if self._store.problem else []
        return "; ".join(problems) or None

    def loss_of(self, message_id: str) -> Loss | None:
        """The loss that a message found nowhere may belong to."""
        place = order(message_id)
        return next((each for each in self._losses if each.is_of_events and _between(each, place)), None)

    async def _look(self, *, owned: bool, patient: bool, certain: bool) -> Counts:
        """Compare the stream with what is known about it; returns what it was.

        `certain`: whether everything accepted is known. A process that was killed had no time to note the last of it,
        and what another process accepts is noted a moment later.
        """
        known = self._known
        assert known is not None  # noqa: S101 - since the start
        # Seen before the question: the stream that is asked must have had as many.
        appended = max(known.appended, self._totals.appended.get(known.epoch, 0))
        counts = await self._counts.now()
        wrong = []
        if counts.epoch != known.epoch:
            self._foreign = None
            await self._replace(known, counts, ["the stream was emptied or replaced"], certain=certain)
            return counts
        if not (counts.owner and owned):
            wrong.append("the stream lost the mark of its owner")
            await self._counts.mark_owner(self._installation_id)
        self._foreign = counts.owner if counts.owner not in ("", self._installation_id) else None
        if (not counts.grouped and await self._counts.make_group()) or self._totals.groups_made:
            wrong.append("the stream lost its consumer group")
        self._totals.groups_made = 0
        if counts.appended < appended:
            await self._replace(known, counts, ["the stream is an older copy than was known", *wrong], certain=False)
        else:
            await self._hold(known, counts, wrong, patient=patient, certain=certain)
        return counts

    async def _hold(self, known: Known, counts: Counts, wrong: list[str], *, patient: bool, certain: bool) -> None:
        """Compare what is missing with what is known to be."""
        missing = max(0, counts.missing)
        gone = missing - known.lost
        if gone > 0 and patient and not wrong and not self._suspected:
            self._suspected = True
            return
        self._suspected = False
        if counts.missing < 0:
            await self._counts.adopt(-counts.missing)
            log.warning("stream.foreign_messages", messages=-counts.missing)
        if gone < 0:
            log.info("stream.found", messages=-gone)
            self._correct(-gone)
        if gone > 0:
            wrong.append("messages disappeared from the stream")
        if wrong:
            over = 0
            if gone > 0 and not (certain or patient):
                # What a killed process had made a fact of, and not yet taken out, was settled by nobody.
                since = counts.settled - known.settled
                over = min(gone, await self._processed(known.oldest, counts.newest, since + gone) - since)
            self._note(wrong, max(gone, 0) - max(over, 0), known, counts, at_least=over > 0)
        self._known = self._seen(replace(known, lost=missing), counts)

    async def _replaced_when_empty(self, known: Known) -> bool:
        """Whether this is another stream, replacing one in which nothing waited when the last server stopped."""
        if not known.final or known.dead or known.appended - known.settled > known.lost:
            return False
        if (await self._counts.now()).epoch == known.epoch:
            return False
        log.warning("stream.replaced", reason="the stream is a different one; nothing waited in the previous one")
        await self._begin()
        await self._counts.mark_owner(self._installation_id)
        return True

    async def _replace(self, known: Known, counts: Counts, wrong: list[str], *, certain: bool) -> None:
        """The stream that was counted has vanished, and this is another one, or an older copy."""
        if self._replacing is None or counts.epoch != self._replacing[0]:
            gone, exact = await self._gone(known, counts, certain=certain)
            self._replacing = self._ids.new("epoch"), exact
            lost = await self._counts.begin(self._replacing[0], gone, counts.missing)
        else:  # it has begun, and the answer got lost
            lost = max(0, counts.missing)
        epoch, exact = self._replacing
        await self._counts.mark_owner(self._installation_id)
        await self._follow(epoch, lost)
        self._replacing = None
        self._note(wrong, lost, known, counts, at_least=not exact, dead=max(0, known.dead - counts.dead))

    async def _gone(self, known: Known, counts: Counts, *, certain: bool) -> tuple[int, bool]:
        """How many messages a stream that vanished took with it, and whether these are all."""
        totals = self._totals
        if certain and not counts.epoch and totals.appended.get("", 0) <= counts.appended:
            appended = max(known.appended, totals.appended.get(known.epoch, 0))
            settled = max(known.settled, totals.settled.get(known.epoch, 0))
            # What was in progress was settled in the new one, which it had never entered: fewer than none are missing.
            return appended - settled - known.lost + counts.missing, True
        # At least those that waited at the last check, are no facts and are not in this one.
        waited = known.appended - known.settled - known.lost
        gone = waited - await self._processed(known.oldest, known.newest, waited)
        if counts.epoch:
            return max(0, gone - counts.waiting), False
        return max(0, gone) + max(0, counts.missing), False

    async def _processed(self, first: str, last: str, most: int) -> int:
        """How many of the messages between these ids are facts, or repeat one; counted up to `most`."""
        async with self._database.read() as connection:
            return await losses.processed(connection, first, last, most)

    async def _begin(self) -> None:
        """Count what there is in a stream that nobody has counted, or in which nothing waited that is missing now."""
        epoch = self._ids.new("epoch")
        lost = await self._counts.begin(epoch, 0, (await self._counts.now()).missing)
        await self._follow(epoch, lost)

    async def _follow(self, epoch: str, lost: int) -> None:
        """Go on with a count that has begun."""
        await self._counts.make_group()
        self._totals.groups_made = 0
        counts = await self._counts.now()
        self._totals.begin(epoch, counts.appended, counts.settled)
        # Ids are times of the stream server's clock, which may differ from this machine's.
        earliest = f"{max(0, self._clock() - HOUR) // 1000}-0"
        self._known = self._seen(Known(epoch, 0, 0, lost, earliest, earliest), counts)

    def _seen(self, known: Known, counts: Counts) -> Known:
        """What is known after a check that found everything in order."""
        newest = max(counts.newest, known.newest, key=order)
        oldest = counts.oldest or newest
        return replace(
            known, appended=counts.appended, settled=counts.settled, oldest=oldest, newest=newest, dead=counts.dead
        )

    def _note(
        self,
        wrong: Sequence[str],
        messages: int,
        known: Known,
        counts: Counts,
        *,
        at_least: bool = False,
        dead: int = 0,
    ) -> None:
        last = max(known.newest, counts.newest, self._totals.newest, key=order)
        loss = Loss(self._clock(), " and ".join(wrong), messages, known.oldest, last, at_least=at_least, dead=dead)
        self._losses.append(loss)
        log.critical(
            "stream.lost",
            what=loss.what,
            messages=messages,
            at_least=at_least,
            first=loss.first,
            last=loss.last,
            dead_letters=dead,
        )

    def _correct(self, found: int) -> None:
        """So much of what was missing has been settled after all: of the newest losses first."""
        for place in reversed(range(len(self._losses))):
            loss = self._losses[place]
            share = min(found, loss.messages)
            self._losses[place] = replace(loss, messages=loss.messages - share)
            found -= share

    async def _save(self) -> None:
        """Store what has changed since the last time."""
        known, before = self._saved
        now = (self._known, tuple(self._losses))
        # What a store that was set back knows of the stream tells the next start what is lost.
        if now == (known, before) or self._store.problem is not None:
            return
        async with self._database.transaction() as connection:
            if self._known is not None:
                await losses.put_known(connection, self._place, self._known)
            for place, (loss, was) in enumerate(zip(self._losses, before, strict=False)):
                if loss.messages != was.messages:
                    await losses.correct(connection, place, loss.messages)
            for loss in self._losses[len(before) :]:
                await losses.add(connection, loss)
        self._saved = now


def _between(loss: Loss, place: tuple[int, ...]) -> bool:
    return order(loss.first) <= place <= order(loss.last)
