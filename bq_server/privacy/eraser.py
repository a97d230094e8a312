"""Erasing a participant from the facts, everything that follows from them, the stream, and the files.

Events accepted before are waited for, and erased with the rest, as are those that come while it runs. A later event
under the same name is the first of a new participant.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.ingest.dead_letters import Letter, ScopedDeadLetters
from bq_server.ingest.unavailable import unavailable
from bq_server.processing.recipient_refold import RecipientRefold
from bq_server.refusals import Code, Refusal
from bq_server.sandbox.drain import Drain
from bq_server.store import aliases, erasures, feed, participant_tokens, participants
from bq_server.store.aliases import NamedStory
from bq_server.store.audit_log import Act
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.stream.erasure import StreamErasure

ROWS = 2_000
"""Facts, deliveries or entries in one transaction: others wait for the store no longer than for a large batch."""

ANNOUNCEMENTS = 20
"""In one transaction: each may hold what a whole batch is told of."""


class Erased(Struct, frozen=True):
    """What was removed of one participant."""

    facts: int
    """Facts that are anonymous now."""
    dead_letters: int


class CleanedUp(Struct, frozen=True):
    """What was done about the remains of erasures in the files."""

    erasures: int
    stream: bool
    """Whether the stream server has rewritten its append-only file."""


class Eraser:
    """Erases participants, and cleans up the files. Raises `Refusal` if the stream or the store can't be reached."""

    def __init__(
        self,
        database: Database,
        drain: Drain,
        dead_letters: ScopedDeadLetters,
        stream: StreamErasure,
        resets: Mapping[Scope, int],
        clock: Clock,
        recipient_refold: RecipientRefold,
    ) -> None:
        """`resets`: how often each environment was reset."""
        self._database = database
        self._drain = drain
        self._dead_letters = dead_letters
        self._stream = stream
        self._resets = resets
        self._clock = clock
        self._recipient_refold = recipient_refold
        self._one_at_a_time = asyncio.Lock()

    async def erase(self, act: Act, scope: Scope, participant_id: str, seconds: float) -> Erased:
        """Remove everything about a participant, except for what files still contain until they are cleaned up.

        Aliases are one person: erasing any of them erases the participant in whose story they are, and all names in it.
        Waits at most `seconds` until the accepted events under each are settled. If it fails midway, a part has been
        removed, and calling it again removes the rest. Also raises `Refusal` for a participant about whom nothing is
        kept.
        """
        with unavailable("The participant can't be erased"):
            async with self._database.read() as connection:
                participant_id = await aliases.story_of(connection, scope, participant_id)
                known = await participants.reference(connection, scope, participant_id)
                names = [] if known is None else await aliases.names_of(connection, scope, known)
        waits = [await self._drain.wait_for_participant(scope, each, seconds) for each in (participant_id, *names)]
        if not all(waits):
            detail = (
                f"After {seconds:g} s accepted events of the participant are still waiting and would recreate them. "
                "Nothing was erased: try again; /readyz reports whether the server is healthy."
            )
            raise Refusal(Code.NOT_DRAINED, detail)
        with unavailable("The participant can't be erased"):
            letters = await self._dead_letters.of_participant(scope, participant_id)
            for each in names:
                letters += await self._dead_letters.of_participant(scope, each)
            async with self._database.read() as connection:
                reference = await participants.reference(connection, scope, participant_id)
                notices = await feed.notices_of(connection, scope, participant_id)
            if reference is None and not letters and not notices:
                raise unknown(scope)
            async with self._database.transaction() as connection:
                facts = await erasures.count(connection, reference)
                await participant_tokens.end_series(connection, scope, participant_id)
                await act.keep(connection, facts=facts, dead_letters=len(letters))  # first: this may be interrupted
            await self._drop(scope, letters)
            facts = await self._remove(scope, participant_id, reference)
        return Erased(facts, len(letters))

    async def clean_up(self, act: Act | None = None) -> CleanedUp:
        """Rewrite the database and the stream's append-only file, if anything was erased since the last time.

        Takes about as long as copying them; meanwhile events are accepted, but none becomes a fact.
        """
        async with self._one_at_a_time:
            with unavailable("The files can't be cleaned up"):
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
        """Whether files may still contain something of erased participants."""
        try:
            async with self._database.read_for_intake() as connection:
                count = len(await erasures.uncleaned(connection))
        except StoreUnavailable:
            return None  # the check of the store reports that
        people = "a participant who was" if count == 1 else f"{count} participants who were"
        return f"files may contain remains of {people} erased: run `bq-server participants clean-up`" if count else None

    async def _drop(self, scope: Scope, letters: list[Letter]) -> None:
        keys = [each.event.idempotency_key for each in letters if each.event is not None]
        await self._forget_claims(scope, [key for key in keys if key is not None])
        await self._dead_letters.drop([each.letter.message_id for each in letters])

    async def _remove(self, scope: Scope, participant_id: str, reference: int | None) -> int:
        """Take the participant out of the store, a portion at a time; answer how many facts there were."""
        facts = 0
        if reference is not None:
            facts = await self._in_portions(lambda each: self._strip(each, scope, reference))
        seen = await self._untell(scope, participant_id)
        for name in await self._names(reference, scope):
            await self._untell(scope, name)
        if reference is not None:
            await self._in_portions(lambda each: erasures.remove_ledger(each, reference, ROWS))
            await self._in_portions(lambda each: erasures.give_received_to_nobody(each, scope, reference, ROWS))
        more = True
        while more:
            async with self._database.transaction() as connection:
                # Events may have come between the portions; between this and the last step none can.
                came = await self._remove_portion(connection, scope, participant_id, reference, seen)
                facts += came[0]
                more = ROWS in came
                if not more:
                    for other in await connection.run(lambda reading: _others(reading, reference)):
                        while await erasures.remove_deliveries(connection, scope, other.name, ROWS) == ROWS:
                            pass
                        await erasures.remove_name(connection, scope, other.name, other.number)
                    await erasures.remove(connection, scope, participant_id, reference, facts=facts, now=self._clock())
        return facts

    async def _names(self, reference: int | None, scope: Scope) -> list[str]:
        """The other names in the participant's story."""
        if reference is None:
            return []
        async with self._database.read() as connection:
            return await aliases.names_of(connection, scope, reference)

    async def _untell(self, scope: Scope, participant_id: str) -> int:
        """Take out what webhooks were told, and will be; returns the last announcement seen."""
        seen = 0
        until: int | None = 0
        while until is not None:
            async with self._database.transaction() as connection:
                until = await erasures.remove_announcements(connection, scope, participant_id, seen, ANNOUNCEMENTS)
            seen = until or seen
        await self._in_portions(lambda each: erasures.remove_deliveries(each, scope, participant_id, ROWS))
        return seen

    async def _remove_portion(
        self, connection: Connection, scope: Scope, participant_id: str, reference: int | None, seen: int
    ) -> tuple[int, ...]:
        """Take out some of everything; returns how much of each, facts first. `seen`: the last announcement seen."""
        until: int | None = seen
        while until is not None:
            until = await erasures.remove_announcements(connection, scope, participant_id, until, ANNOUNCEMENTS)
        deliveries = await erasures.remove_deliveries(connection, scope, participant_id, ROWS)
        if reference is None:
            return 0, deliveries
        facts = await self._strip(connection, scope, reference)
        entries = await erasures.remove_ledger(connection, reference, ROWS)
        return facts, deliveries, entries, await erasures.give_received_to_nobody(connection, scope, reference, ROWS)

    async def _in_portions(self, remove: Callable[[Connection], Awaitable[int]]) -> int:
        """Remove at most `ROWS` in each transaction until there are no more; answer how many there were."""
        removed, some = 0, ROWS
        while some == ROWS:
            async with self._database.transaction() as connection:
                some = await remove(connection)
            removed += some
        return removed

    async def _strip(self, connection: Connection, scope: Scope, reference: int) -> int:
        # If this fails later, the claims aren't missed: as long as facts have keys, they decide.
        await self._forget_claims(scope, await erasures.keys_of(connection, reference, ROWS))
        stripped, recipients = await erasures.strip(connection, scope, reference, ROWS)
        if recipients:
            await self._recipient_refold.refold(connection, scope, sorted(recipients))
        return stripped

    async def _forget_claims(self, scope: Scope, keys: list[str]) -> None:
        await self._stream.claims(*scope, keys, self._resets.get(scope, 0))


def _others(reading: Any, reference: int | None) -> list[NamedStory]:
    """The aliases of a participant."""
    if reference is None:
        return []
    return [each for each in aliases.names_in(reading, reference) if each.number != reference]


def unknown(scope: Scope) -> Refusal:
    """The refusal for a participant about whom nothing is kept: without the name, because refusals are logged."""
    return Refusal(Code.NOT_FOUND, f"Nothing is kept about such a participant in the {scope.environment} environment.")
