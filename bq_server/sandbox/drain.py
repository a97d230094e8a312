"""Waiting until everything accepted is settled: a fact, a duplicate or a dead letter."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from bq_server.clock import Clocks
from bq_server.concurrency.notifier import Notifier
from bq_server.concurrency.time_slices import TimeSlices
from bq_server.delivery.delivery_progress import DeliveryProgress
from bq_server.events import Event, Scope, event_of, scope_of
from bq_server.ingest.unavailable import unavailable
from bq_server.processing.contest_freezer import ContestFreezer
from bq_server.processing.dead_messages import DeadMessages
from bq_server.processing.group_rewarder import GroupRewarder
from bq_server.processing.points_expiry import PointsExpirer
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.sandbox.unfinished_work import UnfinishedWork, unfinished_work
from bq_server.store import games
from bq_server.store.database import Database
from bq_server.stream.backlog import LATEST, PAGE, Backlog, Kept, StreamEnd
from bq_server.stream.dead_letters import read_letter

LOOK_SECONDS = 0.25
"""Longest wait for a signal before looking again, in case none comes."""


_Wanted = Callable[[Kept], bool]


class Drained(Struct, frozen=True):
    """What an environment contains when nothing waits: facts, messages that repeated one, dead letters."""

    facts: int
    duplicates: int
    dead: int


class Drain:
    """Waits for the consumer and for refolds. Raises `Refusal` if not drained in time, or without stream or store."""

    def __init__(
        self,
        database: Database,
        backlog: Backlog,
        consumed: Notifier,
        refolded: Notifier,
        dead_messages: DeadMessages,
        expirer: PointsExpirer,
        outgoing: DeliveryProgress,
        freezer: ContestFreezer,
        clocks: Clocks,
        rewarder: GroupRewarder,
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`look_seconds`: how soon to look again where no signal comes, as from work of other processes."""
        self._look_seconds = look_seconds
        self._database = database
        self._backlog = backlog
        self._consumed = consumed
        self._refolded = refolded
        self._dead_messages = dead_messages
        self._expirer = expirer
        self._outgoing = outgoing
        self._freezer = freezer
        self._clocks = clocks
        self._rewarder = rewarder

    async def wait(self, scope: Scope, seconds: float, *, webhooks: bool = False) -> Drained:
        """Wait until everything accepted before is settled and no definition of the environment is being recomputed.

        Points that are due have expired then, results of contests that are due are frozen, and members of groups are
        told what they have reached.
        With `webhooks`, also until each delivery that is due was tried.
        """
        with unavailable("The queue can't be read now"):
            deadline = asyncio.get_running_loop().time() + seconds
            settled = await self._consumes(_of(scope), LATEST, deadline)
            if settled is None:
                raise await self._not_drained(scope, seconds)
            found = await self._look(scope)
            if not found.is_nothing:
                if not (await self._tells(deadline) and await self._refolds(scope, deadline)):
                    raise await self._not_drained(scope, seconds)
                await self._freezer.look(scope)
                await self._rewarder.look(scope)
                await self._expirer.look(scope)
                found = await self._look(scope)
            if webhooks and not await self._sends(scope, deadline):
                raise await self._not_sent(scope, seconds)
            dead = await self.dead(scope) if settled.has_dead else ()
            return Drained(found.facts, found.duplicates, len(dead))

    async def wait_for(self, scope: Scope, message_id: str, seconds: float) -> bool:
        """Wait until the environment's messages up to this one are settled; returns whether they were in time."""
        with unavailable("The queue can't be read now"):
            until = asyncio.get_running_loop().time() + seconds
            return await self._consumes(_of(scope), message_id, until) is not None

    async def wait_for_participant(self, scope: Scope, participant_id: str, seconds: float) -> bool:
        """Wait until everything accepted about a participant is settled; returns whether it was in time."""
        with unavailable("The queue can't be read now"):
            until = asyncio.get_running_loop().time() + seconds
            settled = await self._consumes(_of(scope, participant_id), LATEST, until)
            return settled is not None and await self._tells(until)

    async def waiting(self, scope: Scope, participant_id: str) -> list[Event]:
        """What was accepted about a participant and is waiting, oldest first."""
        with unavailable("The queue can't be read now"):
            slices = TimeSlices()
            found = []
            async for kept in self._backlog.queued(await self._backlog.newest()):
                await slices.give_way()
                event = event_of(kept.content, kept.message_id)
                if event is not None and (event.scope, event.participant_id) == (scope, participant_id):
                    found.append(event)
            return found

    async def dead(self, scope: Scope) -> list[str]:
        """The message ids of the environment's dead letters."""
        with unavailable("The dead letters can't be read now"):
            slices = TimeSlices()
            found = []
            async for kept in self._backlog.dead():
                await slices.give_way()
                letter = read_letter(kept.message_id, kept.content)
                if letter.retried_as is None and scope_of(letter.payload, letter.message_id) == scope:
                    found.append(letter.message_id)
            return found

    async def _look(self, scope: Scope) -> UnfinishedWork:
        async with self._database.read() as connection:
            return await connection.run(partial(unfinished_work, scope=scope, now=self._clocks.now(scope)))

    async def _consumes(self, wanted: _Wanted, up_to: str, deadline: float) -> StreamEnd | None:
        """Wait until no wanted message waits, up to this one; returns what is there then, None if not in time."""
        while True:
            beat = self._consumed.next()
            tail = await self._backlog.tail(up_to)
            newest = await self._newest(wanted, tail.messages)
            if newest is None:
                return tail
            up_to = newest
            if not await self._wait(beat, deadline):
                return None

    async def _newest(self, wanted: _Wanted, tail: Sequence[Kept]) -> str | None:
        """The newest wanted message of those and of all before: other environments may have a long queue."""
        found = next((each.message_id for each in tail if wanted(each)), None)
        if found is not None or len(tail) < PAGE:
            return found
        slices = TimeSlices()
        async for message in self._backlog.queued_latest_first(f"({tail[-1].message_id}"):
            await slices.give_way()
            if wanted(message):
                return message.message_id
        return None

    async def _tells(self, deadline: float) -> bool:
        """Wait until feeds and endpoints are told of all dead letters: what is still to come could follow a reset."""
        while True:
            beat = self._dead_messages.progress.next()
            if not await self._dead_messages.is_noted():
                return True
            if not await self._wait(beat, deadline):
                return False

    async def _refolds(self, scope: Scope, deadline: float) -> bool:
        while True:
            beat = self._refolded.next()
            if not await self._open_refolds(scope):
                return True
            if not await self._wait(beat, deadline):
                return False

    async def _sends(self, scope: Scope, deadline: float) -> bool:
        while True:
            beat = self._outgoing.progress.next()
            if await self._outgoing.is_quiet(scope):
                return True
            if not await self._wait(beat, deadline):
                return False

    async def _wait(self, beat: asyncio.Future[None], deadline: float) -> bool:
        """Wait for a signal, or a while; returns whether there is time to look again."""
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        await asyncio.wait([beat], timeout=min(left, self._look_seconds))
        return True

    async def _not_sent(self, scope: Scope, seconds: float) -> Refusal:
        due = await self._outgoing.due(scope)
        detail = f"After {seconds:g} s {due} webhooks are still to be sent. Nothing is lost: try again."
        return Refusal(Code.NOT_DRAINED, detail, [FieldError("webhooks", "still_sending", f"{due} are due")])

    async def _open_refolds(self, scope: Scope) -> int:
        async with self._database.read() as connection:
            return await connection.run(partial(games.refolds_under_way, scope=scope))

    async def _not_drained(self, scope: Scope, seconds: float) -> Refusal:
        up_to, queued = await self._backlog.newest(), 0
        slices = TimeSlices()
        async for message in self._backlog.queued(up_to):
            await slices.give_way()
            queued += scope_of(message.content, message.message_id) == scope
        recomputing = await self._open_refolds(scope)
        still = [
            FieldError("queued", "still_queued", f"{queued} accepted events of this environment are not settled yet"),
            FieldError(
                "recomputing", "still_recomputing", f"{recomputing} changes of the game are still being computed"
            ),
        ]
        detail = (
            f"After {seconds:g} s {queued} accepted events of this environment are still waiting, and {recomputing} "
            "changes of its game are still being computed. Nothing is lost: try again; /readyz reports whether "
            "the server is healthy."
        )
        return Refusal(Code.NOT_DRAINED, detail, [each for each in still if not each.detail.startswith("0 ")])


def _of(scope: Scope, participant_id: str | None = None) -> _Wanted:
    """Whether a message is of the environment, or of one participant of it."""

    def is_wanted(message: Kept) -> bool:
        event = event_of(message.content, message.message_id)
        return event is not None and event.scope == scope and participant_id in (None, event.participant_id)

    return is_wanted
