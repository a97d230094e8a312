"""Whether the store was set back: whether it has fewer facts than the stream has noted of it.

Whoever puts an older copy of the database in its place takes facts away whose messages are no longer in the stream.
"""

from collections.abc import Sequence
from functools import partial

import structlog

from bq_server.clock import Clock
from bq_server.store import batch, losses
from bq_server.store.database import Connection, Database
from bq_server.store.losses import Loss
from bq_server.stream.counts import Counts, StreamCounts
from bq_server.stream.store_note import StoreNote

log = structlog.get_logger("bq_server.ingest.store_account")

SET_BACK = "the database was set back to an earlier moment"

FIRST_ID = "0-0"
"""Below the id of any message."""


class StoreAccount:
    """Compares the store with the stream's note of it."""

    def __init__(self, database: Database, counts: StreamCounts, place: str, clock: Clock) -> None:
        """`place`: of the stream, as the store calls it."""
        self._database = database
        self._counts = counts
        self._place = place
        self._clock = clock
        self._outdated = False
        """Whether the stream's note is of facts whose loss is stored."""

    @property
    def _note(self) -> StoreNote:
        return self._counts.note

    async def start(self, counts: Counts, known: Sequence[Loss]) -> Sequence[Loss] | None:
        """As `look`, before anything else is done; what other processes have found before is theirs to report."""
        self._outdated = False
        self._note.lost = 0
        return await self._compare(counts, known)

    async def look(self, counts: Counts, known: Sequence[Loss]) -> Sequence[Loss] | None:
        """Compare the store with what the stream had noted a moment ago, and note how far it is.

        `known`: all losses that this process knows, some of which may not be stored. Returns all that are stored now if
        the store was set back. Raises `StreamUnavailable` and `StoreUnavailable`.
        """
        if self._outdated:
            await self._replace_note()
            return None
        # After the question to the stream: a store that has all its facts has at least those that were noted.
        async with self._database.read() as connection:
            last = await connection.run(batch.seq_given_last)
        if last < counts.noted or self._note.lost:
            return await self._compare(counts, known)
        self._note.saw(last)
        if self._note.seq > counts.noted:
            await self._counts.put_note()
        return None

    async def _compare(self, counts: Counts, known: Sequence[Loss]) -> Sequence[Loss] | None:
        """Compare in a transaction, which sees what is committed for good and keeps what is found."""
        stored = None
        async with self._database.transaction() as connection:
            last = await connection.run(batch.seq_given_last)
            lost = max(self._note.lost, counts.noted - last)
            if lost > 0:
                stored = await self._keep(connection, lost, counts, known)
            connection.after_commit(partial(self._note.begin, last))
        if stored is not None:
            loss = stored[-1]
            log.critical("store.set_back", what=loss.what, facts=lost, at_least=True, first=loss.first, last=loss.last)
            self._outdated = True
            await self._replace_note()
        return stored

    async def _keep(self, connection: Connection, lost: int, counts: Counts, known: Sequence[Loss]) -> Sequence[Loss]:
        """Store the loss, after those that the store has not, or has no more; returns all."""
        was = await losses.known(connection, self._place)
        first = FIRST_ID if was is None else was.oldest
        stored = await losses.every(connection)
        new = [*known[len(stored) :], Loss(self._clock(), SET_BACK, 0, first, counts.newest, at_least=True, facts=lost)]
        for each in new:
            await losses.add(connection, each)
        return [*stored, *new]

    async def _replace_note(self) -> None:
        await self._counts.put_note()
        self._outdated = False
