"""Eraser a participant: from the facts, from all that follows from them, from the stream, and from the files.

What was accepted of the participant before is waited for, and goes with the rest. An event that comes afterwards under
the same name is the first of somebody new.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.ingest.dead_letters import Letter, ScopedDeadLetters
from bq_server.ingest.unavailable import unavailable
from bq_server.refusals import Code, Refusal
from bq_server.sandbox.drain import Drain
from bq_server.store import erasures, participants
from bq_server.store.database import Database, StoreUnavailable
from bq_server.stream.erasure import StreamErasure

FACTS = 2_000
"""Facts in one transaction: others wait for the store no longer than for a large batch."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was taken out of one participant."""

    facts: int
    """That are nobody's now."""
    dead_letters: int


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What was done about the remains of erasures in files."""

    erasures: int
    stream: bool
    """Whether the stream server has written its append-only file anew."""


class Eraser:
    """Erases participants, and cleans up after it. Raises `Refusal` when the stream or the store can't be reached."""

    def __init__(
        self,
        database: Database,
        drain: Drain,
        dead_letters: ScopedDeadLetters,
        stream: StreamErasure,
        resets: Mapping[Scope, int],
        clock: Clock,
    ) -> None:
        """`resets`: how often each environment was emptied."""
        self._database = database
        self._drain = drain
        self._dead_letters = dead_letters
        self._stream = stream
        self._resets = resets
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def erase(self, scope: Scope, participant_id: str, seconds: float) -> Erased:
        """Take everything of a participant out, but for what files still hold until they are cleaned up.

        Waits at most `seconds` until what was accepted of the participant is settled. What fails midway has taken out a
        part: to ask again takes out the rest. Raises `Refusal` also for a participant of whom nothing is kept.
        """
        if not await self._drain.wait_for_participant(scope, participant_id, seconds):
            detail = (
                f"After {seconds:g} s accepted events of the participant still wait, and they would come back. Nothing "
                "was erased: ask again, /readyz tells whether the server is well."
            )
            raise Refusal(Code.NOT_DRAINED, detail)
        with unavailable("The participant can't be erased now"):
            letters = await self._dead_letters.of_participant(scope, participant_id)
            async with self._database.read() as connection:
                reference = await participants.reference(connection, scope, participant_id)
            if reference is None and not letters:
                raise unknown(scope)
            await self._drop(scope, letters)
            facts = await self._remove(scope, participant_id, reference)
        return Erased(facts, len(letters))

    async def clean_up(self) -> CleanedUp:
        """Have the database and the stream's append-only file written anew, if anything was erased since the last time.

        Takes about as long as to copy them; meanwhile events are accepted, and none becomes a fact.
        """
        async with self._one_at_a_time:
            with unavailable("The files can't be cleaned up now"):
                async with self._database.read() as connection:
                    open_ones = await erasures.uncleaned(connection)
                if not open_ones:
                    return CleanedUp(0, True)
                await self._database.compact()
                rewritten = await self._stream.rewrite()
                async with self._database.transaction() as connection:
                    await erasures.put_cleaned(connection, open_ones[-1], self._clock())
                return CleanedUp(len(open_ones), rewritten)

    async def caution(self) -> str | None:
        """Whether files may still hold something of participants who were erased."""
        try:
            async with self._database.read_for_intake() as connection:
                count = len(await erasures.uncleaned(connection))
        except StoreUnavailable:
            return None  # the check of the store says so
        people = "a participant who was" if count == 1 else f"{count} participants who were"
        return f"files may hold remains of {people} erased: `bq-server participants clean-up`" if count else None

    async def _drop(self, scope: Scope, letters: list[Letter]) -> None:
        keys = [each.event.idempotency_key for each in letters if each.event is not None]
        await self._forget_claims(scope, [key for key in keys if key is not None])
        await self._dead_letters.drop([each.letter.message_id for each in letters])

    async def _remove(self, scope: Scope, participant_id: str, reference: int | None) -> int:
        """Take the participant out of the store; answer how many facts there were."""
        facts = 0
        while True:
            async with self._database.transaction() as connection:
                count = 0
                if reference is not None:
                    # Should this fail later, nobody misses the claims: while facts have keys, they decide.
                    await self._forget_claims(scope, await erasures.keys_of(connection, reference, FACTS))
                    count = await erasures.strip(connection, scope, reference, FACTS)
                facts += count
                if count < FACTS:
                    await erasures.remove(connection, scope, participant_id, reference, facts=facts, now=self._clock())
                    return facts

    async def _forget_claims(self, scope: Scope, keys: list[str]) -> None:
        await self._stream.claims(*scope, keys, self._resets.get(scope, 0))


def unknown(scope: Scope) -> Refusal:
    """The refusal for a participant of whom nothing is kept: without the name, because refusals are logged."""
    return Refusal(Code.NOT_FOUND, f"Nothing is kept of such a participant in the {scope.environment} environment.")
