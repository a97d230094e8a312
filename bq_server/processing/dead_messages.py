"""Announcing dead letters, which are in the stream, from an outbox in the store.

A message is noted before it becomes a dead letter, and announced once it is one: after a kill in between, the next
start finds which of those noted are dead.
"""

import asyncio
from functools import partial
from typing import Any

import structlog

from bq_server.clock import Clocks
from bq_server.concurrency.notifier import Notifier
from bq_server.events import Event
from bq_server.processing.announcements import MESSAGE_DEAD
from bq_server.store import dying_messages, outbox
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.dead_letters import DeadLetter, DeadLetters

log = structlog.get_logger("bq_server.processing.dead_messages")

RETRY_SECONDS = 1.0


class DeadMessages:
    """Notes messages that die, and announces them."""

    def __init__(self, database: Database, letters: DeadLetters, clocks: Clocks) -> None:
        self._database = database
        self._letters = letters
        self._clocks = clocks
        self._dying: set[str] = set()
        """Noted, but not yet dead letters in the stream."""
        self._buried = Notifier()
        self.progress = Notifier()
        """Signalled when everything noted is announced."""

    async def before(self, letter: DeadLetter) -> None:
        """Note that the message is about to become this letter. Raises `StoreUnavailable`."""
        event = _event(letter)
        if event is None:
            return
        async with self._database.transaction() as connection:
            listeners = await connection.run(partial(outbox.listening, scope=event.scope))
            if any(MESSAGE_DEAD in each.event_types for each in listeners):
                self._dying.add(letter.message_id)
                await dying_messages.add(connection, letter.message_id, letter.died_at)

    def after(self, letter: DeadLetter) -> None:
        """Note that it now is one."""
        if letter.message_id in self._dying:
            self._dying.discard(letter.message_id)
            self._buried.beat()

    async def is_noted(self) -> bool:
        """Whether something is still to be announced."""
        async with self._database.read() as connection:
            return bool(await dying_messages.every(connection))

    async def run(self) -> None:
        """Announce, until cancelled."""
        while True:
            beat = self._buried.next()
            try:
                await self._tell_all()
            except (StoreUnavailable, StreamUnavailable) as error:
                log.warning("dead_messages.stalled", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.progress.beat()
            await beat

    async def _tell_all(self) -> None:
        async with self._database.read() as connection:
            noted = await dying_messages.every(connection)
        ids = [message_id for message_id in noted if message_id not in self._dying]
        if not ids:
            return
        letters = {each.message_id: each for each in await self._letters.get(ids)}
        async with self._database.transaction() as connection:
            for message_id in ids:
                letter = letters.get(message_id)
                if letter is not None and letter.died_at == noted[message_id]:
                    await self._tell(connection, letter)
                await dying_messages.remove(connection, message_id)

    async def _tell(self, connection: Connection, letter: DeadLetter) -> None:
        event = _event(letter)
        if event is None:
            return
        own = {"message_id": letter.message_id, "event_name": event.event_name, "reason": letter.reason}
        announcement = event.participant_id, str(MESSAGE_DEAD), None, event.occurred_at, own
        now = self._clocks.now(event.scope)

        def write(writing: Any) -> None:
            for listener in outbox.listening(writing, event.scope):
                if MESSAGE_DEAD in listener.event_types:
                    outbox.put(writing, listener, [announcement], now)

        await connection.run(write)
        connection.fills_outbox = True


def _event(letter: DeadLetter) -> Event | None:
    try:
        return Event.from_payload(letter.payload, letter.message_id)
    except (ValueError, TypeError):  # of no environment whose endpoints could be told
        return None
