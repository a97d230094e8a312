"""The dead letters of one environment: messages that were accepted and can't be processed."""

from collections.abc import Sequence

from msgspec import Struct

from bq_server.concurrency.time_slices import TimeSlices
from bq_server.events import Event, Scope, event_of
from bq_server.ingest.unavailable import unavailable
from bq_server.stream.dead_letters import DeadLetter, DeadLetters

UNAVAILABLE = "Dead letters are unavailable"


class Letter(Struct, frozen=True):
    """A dead letter and its event; None if that can't be read, and hence belongs to no environment."""

    letter: DeadLetter
    event: Event | None

    @property
    def scope(self) -> Scope | None:
        """The environment it belongs to."""
        return None if self.event is None else self.event.scope


def letter_of(letter: DeadLetter) -> Letter:
    """A dead letter with its event."""
    return Letter(letter, event_of(letter.payload, letter.message_id))


class ScopedDeadLetters:
    """Finds the dead letters of one environment only. Raises `Refusal` without a stream."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters

    async def page(self, scope: Scope, before: str | None, limit: int) -> list[Letter]:
        """At most so many, latest accepted first, from before that id."""
        found: list[Letter] = []
        slices = TimeSlices()
        with unavailable(UNAVAILABLE):
            async for each in self._letters.latest_first(before):
                await slices.give_way()
                letter = letter_of(each)
                if letter.scope == scope:
                    found.append(letter)
                    if len(found) == limit:
                        break
        return found

    async def get(self, scope: Scope, message_id: str) -> Letter | None:
        """The dead letter of that id, unless it is being retried."""
        with unavailable(UNAVAILABLE):
            found = [letter_of(each) for each in await self._letters.get([message_id]) if each.retried_as is None]
        return next((each for each in found if each.scope == scope), None)

    async def of_participant(self, scope: Scope, participant_id: str) -> list[Letter]:
        """All of a participant, latest accepted first."""
        found: list[Letter] = []
        slices = TimeSlices()
        with unavailable(UNAVAILABLE):
            async for each in self._letters.latest_first():
                await slices.give_way()
                letter = letter_of(each)
                if letter.event is not None and (letter.scope, letter.event.participant_id) == (scope, participant_id):
                    found.append(letter)
        return found

    async def retry(self, message_ids: Sequence[str]) -> list[str]:
        """Put these back into the stream; returns which existed."""
        with unavailable(UNAVAILABLE):
            return await self._letters.retry(message_ids)

    async def drop(self, message_ids: Sequence[str]) -> list[str]:
        """Remove these permanently; returns which existed."""
        with unavailable(UNAVAILABLE):
            return await self._letters.drop(message_ids)
