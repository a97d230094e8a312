"""Whether the store was set back: whether it has fewer facts than the stream has noted of it.

Whoever puts an older copy of the database in its place takes facts away whose messages are no longer in the stream. At
a start that is a loss like others. A server that runs meanwhile has much of the store in memory, so it makes no more
facts, and says that it must be restarted.
"""

import structlog

from bq_server.clock import Clock
from bq_server.processing.processor import SET_BACK_MEANWHILE
from bq_server.store import batch, losses
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.losses import Loss
from bq_server.stream.counts import Counts, StreamCounts

log = structlog.get_logger("bq_server.ingest.store_account")

FIRST_ID = "0-0"
"""Below the id of any message."""


class StoreAccount:
    """Compares the store with the stream's note of it. Raises `StreamUnavailable` and `StoreUnavailable`."""

    def __init__(self, database: Database, counts: StreamCounts, place: str, clock: Clock) -> None:
        """`place`: of the stream, as the store calls it."""
        self._database = database
        self._counts = counts
        self._place = place
        self._clock = clock
        self.problem: str | None = None
        """That the store was set back since the start."""

    async def start(self, counts: Counts) -> bool:
        """Compare, before anything else is done, and store what is lost; returns whether something is."""
        note, loss = self._counts.note, None
        async with self._database.transaction() as connection:  # which sees all that is committed
            height = await connection.run(batch.height)
            if height < note.height:  # a worker that ran for a while, and is to lead now
                raise StoreUnavailable(SET_BACK_MEANWHILE)
            note.height = height
        lost = counts.noted - note.height
        if lost <= 0:
            return False
        # The loss is known by its moment: a start that was killed before it lowered the note has stored it.
        noticed_at = await self._counts.set_back_at(self._clock())
        async with self._database.transaction() as connection:
            stored = await losses.every(connection)
            if not any(each.facts and each.noticed_at == noticed_at for each in stored):
                loss = await self._keep(connection, lost, counts, noticed_at)
        if loss is not None:
            log.critical("store.set_back", what=loss.what, facts=lost, at_least=True, first=loss.first, last=loss.last)
        await self._counts.lower_note()
        return True

    async def look(self, counts: Counts) -> None:
        """Compare with what the stream had noted a moment ago, and note how far the store is."""
        note = self._counts.note
        # After the question to the stream: a store that has all its facts has at least those that were noted.
        async with self._database.read() as connection:
            height = await connection.run(batch.height)
        if height < max(counts.noted, note.height):
            await self._report_set_back(counts.noted)
            return
        note.saw(height)
        if note.height > counts.noted:
            await self._counts.put_note()

    async def _report_set_back(self, noted: int) -> None:
        """Report it, unless only a reader was late: a transaction, which could write, sees all that is committed."""
        if self.problem is not None:
            return
        async with self._database.transaction() as connection:
            lost = max(noted, self._counts.note.height) - await connection.run(batch.height)
        if lost > 0:
            self.problem = SET_BACK_MEANWHILE
            log.critical("store.set_back", what=self.problem, facts=lost, at_least=True)

    async def _keep(self, connection: Connection, lost: int, counts: Counts, noticed_at: int) -> Loss:
        was = await losses.known(connection, self._place)
        first = FIRST_ID if was is None else was.oldest
        what = "the database was set back to an earlier moment"
        loss = Loss(noticed_at, what, 0, first, counts.newest, at_least=True, facts=lost)
        await losses.add(connection, loss)
        return loss
