"""Notices of dead letters, written before the message becomes one, so that none is missed."""

from collections.abc import Sequence

from bq_server.clock import Clocks
from bq_server.events import Event
from bq_server.store.database import Database
from bq_server.store.feed import NewNotice, add_notices
from bq_server.stream.dead_letters import DeadLetter


class DeadNotices:
    """Notes dead letters for the feed of their environment."""

    def __init__(self, database: Database, clocks: Clocks) -> None:
        self._database = database
        self._clocks = clocks

    async def note(self, letters: Sequence[tuple[str, DeadLetter]]) -> None:
        """Note letters, each with the id of its entry in the stream. Letters already noted are left alone.

        One without an event belongs to no environment and gets no notice. Raises `StoreUnavailable`.
        """
        notices = [notice for entry_id, letter in letters if (notice := self._notice(entry_id, letter)) is not None]
        if notices:
            async with self._database.transaction() as connection:
                await add_notices(connection, notices)

    def _notice(self, entry_id: str, letter: DeadLetter) -> NewNotice | None:
        try:
            event = Event.from_payload(letter.payload, letter.message_id)
        except (ValueError, TypeError):
            return None
        return NewNotice(
            event.scope,
            "message.dead",
            self._clocks.now(event.scope),
            {
                "message_id": letter.message_id,
                "event_id": event.event_id,
                "event_name": event.event_name,
                "participant_id": event.participant_id,
                "reason": letter.reason,
            },
            cause=f"{entry_id} {event.event_id}",
            participant_id=event.participant_id,
            event_name=event.event_name,
        )
