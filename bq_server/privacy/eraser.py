"""Erasing a participant: from the facts, from all that follows from them, from the stream, and from the files.

What was accepted of the participant before is waited for, and goes with the rest. An event that comes afterwards under
the same name is the first of somebody new.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.ingest.dead_letters import Letter, ScopedDeadLetters
from bq_server.ingest.unavailable import unavailable
from bq_server.refusals import Code, Refusal
from bq_server.sandbox.drain import Drain
from bq_server.store import erasures, feed, participants
from bq_server.store.audit_log import Act
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.stream.erasure import StreamErasure

ROWS = 2_000
"""Facts, deliveries or entries in one transaction: others wait for the store no longer than for a large batch."""

ANNOUNCEMENTS = 20
"""In one transaction: each may hold what a whole batch is told of."""


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

    async def erase(self, act: Act, scope: Scope, participant_id: str, seconds: float) -> Erased:
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
                notices = await feed.notices_of(connection, scope, participant_id)
            if reference is None and not letters and not notices:
                raise unknown(scope)
            async with self._database.transaction() as connection:
                facts = await erasures.count(connection, reference)
                await act.keep(connection, facts=facts, dead_letters=len(letters))  # first: this may be interrupted
            await self._drop(scope, letters)
            facts = await self._remove(scope, participant_id, reference)
        return Erased(facts, len(letters))

    async def clean_up(self, act: Act | None = None) -> CleanedUp:
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
                    if act is not None:
                        await act.keep(connection, erasures=len(open_ones))
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
        """Take the participant out of the store, a portion at a time; answer how many facts there were."""
        facts = 0
        if reference is not None:
            facts = await self._in_portions(lambda each: self._strip(each, scope, reference))
        after: int | None = 0
        while after is not None:
            async with self._database.transaction() as connection:
                after = await erasures.remove_announcements(connection, scope, participant_id, after, ANNOUNCEMENTS)
        await self._in_portions(lambda each: erasures.remove_deliveries(each, scope, participant_id, ROWS))
        if reference is not None:
            await self._in_portions(lambda each: erasures.remove_ledger(each, reference, ROWS))
        async with self._database.transaction() as connection:
            await erasures.remove(connection, scope, participant_id, reference, facts=facts, now=self._clock())
        return facts

    async def _in_portions(self, remove: Callable[[Connection], Awaitable[int]]) -> int:
        """Remove at most `ROWS` in each transaction until there are no more; answer how many there were."""
        removed, some = 0, ROWS
        while some == ROWS:
            async with self._database.transaction() as connection:
                some = await remove(connection)
            removed += some
        return removed

    async def _strip(self, connection: Connection, scope: Scope, reference: int) -> int:
        # Should this fail later, nobody misses the claims: while facts have keys, they decide.
        await self._forget_claims(scope, await erasures.keys_of(connection, reference, ROWS))
        return await erasures.strip(connection, scope, reference, ROWS)

    async def _forget_claims(self, scope: Scope, keys: list[str]) -> None:
        await self._stream.claims(*scope, keys, self._resets.get(scope, 0))


def unknown(scope: Scope) -> Refusal:
    """The refusal for a participant of whom nothing is kept: without the name, because refusals are logged."""
    return Refusal(Code.NOT_FOUND, f"Nothing is kept of such a participant in the {scope.environment} environment.")
