"""Telling of dead letters, which are in the stream, from the store: to feeds, and to webhook endpoints.

A message is noted before it becomes a dead letter, and announced once it is one: after a kill in between, the next
start finds which of those noted are dead.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog

from bq_server.clock import Clocks
from bq_server.concurrency.notifier import Notifier
from bq_server.events import Event, event_of
from bq_server.moments import format_timestamp
from bq_server.processing.announcements import tell
from bq_server.processing.event_types import MESSAGE_DEAD
from bq_server.store import dead_letter_notes, feed
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.feed import NewNotice
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.dead_letters import DeadLetter, DeadLetters

log = structlog.get_logger("bq_server.processing.dead_messages")

RETRY_SECONDS = 1.0


class DeadMessages:
    """Notes messages that become dead letters, and announces them."""

    def __init__(self, database: Database, letters: DeadLetters, clocks: Clocks) -> None:
        self._database = database
        self._letters = letters
        self._clocks = clocks
        self._noting: Collection[str] = ()
        """Noted, and just becoming dead letters."""
        self._written = Notifier()
        self.progress = Notifier()
        """Signalled when everything noted is announced."""

    @asynccontextmanager
    async def announced(self, letters: Sequence[DeadLetter]) -> AsyncIterator[None]:
        """Note letters before they are written, and have those told of that are there when the context ends.

        A letter without a readable event belongs to no environment: nobody is told of it. Raises `StoreUnavailable`.
        """
        noted = [each for each in letters if event_of(each.payload, each.message_id) is not None]
        self._noting = {each.message_id for each in noted}
        try:
            if noted:
                async with self._database.transaction() as connection:
                    for each in noted:
                        await dead_letter_notes.add(connection, each.message_id, each.died_at)
            yield
        finally:
            self._noting = ()
            self._written.beat()

    async def is_noted(self) -> bool:
        """Whether something is still to be announced."""
        async with self._database.read() as connection:
            return bool(await dead_letter_notes.every(connection))

    async def run(self) -> None:
        """Announce, until cancelled."""
        while True:
            beat = self._written.next()
            try:
                await self._tell_all()
            except (StoreUnavailable, StreamUnavailable) as error:
                log.warning("dead_messages.stalled", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.progress.beat()
            await asyncio.shield(beat)

    async def _tell_all(self) -> None:
        async with self._database.read() as connection:
            noted = await dead_letter_notes.every(connection)
        ids = [message_id for message_id in noted if message_id not in self._noting]
        if not ids:
            return
        letters = [each for each in await self._letters.get(ids) if each.died_at == noted[each.message_id]]
        async with self._database.transaction() as connection:
            for letter in letters:
                event = event_of(letter.payload, letter.message_id)
                if event is not None:
                    await self._tell(connection, letter, event)
            for message_id in ids:
                await dead_letter_notes.remove(connection, message_id)

    async def _tell(self, connection: Connection, letter: DeadLetter, event: Event) -> None:
        now = self._clocks.now(event.scope)
        own = {"message_id": letter.message_id, "event_name": event.event_name, "reason": letter.reason}
        about = {"participant_id": event.participant_id, "event_name": event.event_name}
        data = {**own, **about, "event_id": event.event_id, "occurred_at": format_timestamp(event.occurred_at)}
        await feed.add_notices(connection, [NewNotice(event.scope, "message.dead", now, data, **about)])
        told = [(event.participant_id, MESSAGE_DEAD, None, event.occurred_at, own)]
        work = partial(tell, scope=event.scope, event_type=MESSAGE_DEAD, told=told, now=now)
        connection.wakes |= await connection.run(work)
