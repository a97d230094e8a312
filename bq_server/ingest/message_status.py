"""The status of an accepted event."""

import re
from typing import Literal

from msgspec import Struct

from bq_server.events import Scope, scope_of
from bq_server.ingest.stream_account import StreamAccount
from bq_server.ingest.unavailable import unavailable
from bq_server.store import facts
from bq_server.store.database import Database
from bq_server.store.facts import StoredFact
from bq_server.stream.lookup import MessageLookup

_MESSAGE_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


class MessageState(Struct, frozen=True):
    """The status of a message, with the fact it became or repeats, or why it never will."""

    status: Literal["queued", "processed", "duplicate", "dead", "lost"]
    fact: StoredFact | None = None
    reason: str | None = None


class Messages:
    """Finds the messages of one environment only."""

    def __init__(self, database: Database, lookup: MessageLookup, account: StreamAccount) -> None:
        self._database = database
        self._lookup = lookup
        self._account = account

    async def locate(self, scope: Scope, message_id: str) -> MessageState | None:
        """The status of the message, or None if this environment has no such message.

        Raises `Refusal` if the stream or the store can't be queried.
        """
        if not _MESSAGE_ID.fullmatch(message_id):
            return None
        with unavailable("The message can't be looked up"):
            return await self._locate(scope, message_id)

    async def _locate(self, scope: Scope, message_id: str) -> MessageState | None:
        if found := await self._in_store(scope, message_id):
            return found
        payload = await self._lookup.waiting(message_id)
        if payload is not None and scope_of(payload, message_id) == scope:
            return MessageState("queued")
        letter = await self._lookup.dead(message_id)
        if letter is not None and scope_of(letter.payload, message_id) == scope:
            if letter.retried_as is not None:
                return MessageState("queued")
            return MessageState("dead", reason=letter.reason)
        # It may have become a fact between the first lookup and the second.
        if found := await self._in_store(scope, message_id):
            return found
        # Nobody knows whose it was: what is lost is lost in every environment.
        loss = self._account.loss_of(message_id)
        return None if loss is None else MessageState("lost", reason=loss.summary)

    async def _in_store(self, scope: Scope, message_id: str) -> MessageState | None:
        async with self._database.read() as connection:
            if fact := await facts.by_message(connection, scope, message_id):
                return MessageState("processed", fact)
            if fact := await facts.repeated_by(connection, scope, message_id):
                return MessageState("duplicate", fact)
        return None
