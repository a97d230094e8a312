"""This process among others that serve from the same store: what they tell each other, and which worker leads.

They meet in the store only. What a commit there wakes, and what it changes of what each keeps in memory, the others
learn by asking every few hundredths of a second; whoever changed it waits until all have. A lease decides which worker
consumes the stream and does what else one process at a time does. Every transaction of that work checks the lease.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

import structlog

from bq_server.clock import Clocks
from bq_server.events import Scope
from bq_server.server.lifecycle import SoleWork
from bq_server.settings import Role
from bq_server.store import environments, feed, processes
from bq_server.store.beside import Permit
from bq_server.store.database import Apart, Database, StoreUnavailable
from bq_server.store.environments import Environment
from bq_server.store.feed import Position
from bq_server.store.processes import MEMORY, PeerProcess
from bq_server.stream.charge import Charge, NotInCharge
from bq_server.stream.connection import StreamUnavailable, asking

LEASE = "worker"

LEASE_SECONDS = 8.0
"""After which silence a worker has lost its lease, and a process is no longer waited for."""

RENEW_SECONDS = 1.0
"""How often a process says that it is alive, and a worker renews its lease."""

STANDBY_SECONDS = 0.25
"""How often a worker without the lease tries to get it."""

POLL_SECONDS = 0.04
"""How often to ask for news."""

AGREE_SECONDS = 0.02
"""How often to ask whether all have learned something."""

KEPT_SECONDS = 3600.0
"""How long a process that vanished is reported as missing."""

RETRY_SECONDS = 1.0

log = structlog.get_logger("bq_server.processes")

_leads: ContextVar[bool] = ContextVar("leads", default=False)
"""Whether this is work of the leader, which may write only as long as it has the lease."""


def place_of_process(data_dir: str) -> str:
    """What tells a process from others, over its restarts: no two use a data directory."""
    return f"{socket.gethostname()}:{data_dir}"


class Peers:
    """A process that shares its store. Also the `Agreement` of its database."""

    def __init__(self, database: Database, apart: Apart, process_id: str, place: str, role: Role, number: int) -> None:
        """`number`: of the newest wake when it joined. See `join`."""
        self._database = database
        self._apart = apart
        self.process_id = process_id
        self._place = place
        self.role = role
        self._number = number
        """Of the newest wake that was heard."""
        self._head: Position | None = None
        self._hearing = asyncio.Lock()
        self._reported = 0.0
        """By the event loop's clock."""
        self._clocks: Clocks | None = None
        self._resets: MutableMapping[Scope, int] = {}
        self._memory = threading.Lock()
        self._remembered = -1
        """The number of the change of memory that clocks and resets are as new as."""
        self._of_references = -1
        """The same of the writing connection's references."""
        self._learners: list[Callable[[], Awaitable[None]]] = []
        self.known: Sequence[PeerProcess] = ()
        """All processes, as of the last report."""
        self.trouble: str | None = None
        """Why nothing was heard."""
        self.term: int | None = None
        """Of the lease that this process has."""

    @classmethod
    async def join(cls, database: Database, process_id: str, place: str, role: Role) -> "Peers":
        """Be one of the processes. What is kept in memory of the store is to be read after this.

        Raises `StoreUnavailable`.
        """
        apart = await database.connect_apart()
        number = await apart.run(partial(processes.join, process_id=process_id, place=place, role=role))
        return cls(database, apart, process_id, place, role, number)

    def remember(self, clocks: Clocks, resets: MutableMapping[Scope, int]) -> None:
        """Keep these as the store has them from now on, and have every transaction see it so."""
        self._clocks = clocks
        self._resets = resets
        self._database.share(self)

    def learn_with(self, learn: Callable[[], Awaitable[None]]) -> None:
        """Call this, too, when another process has changed what is kept in memory."""
        self._learners.append(learn)

    def missing(self) -> list[PeerProcess]:
        """Those that were not heard of for a while, and did not leave."""
        return [each for each in self.known if each.silent_seconds > LEASE_SECONDS]

    def other_workers(self) -> Mapping[str, float]:
        """When each other worker was last heard of, by the event loop's clock, by its process id."""
        others = [each for each in self.known if each.role == "worker" and each.process_id != self.process_id]
        return {each.process_id: self._reported - each.silent_seconds for each in others}

    async def caution(self) -> str | None:
        """What an operator should know of the other processes, or None."""
        if self.trouble is not None:
            return f"the other processes are not heard: {self.trouble}"
        lost = self.missing()
        said = [f"{each.role} {each.place} was not heard of for {each.silent_seconds:.0f} s" for each in lost]
        if not any(each.role == "worker" for each in self.known if each not in lost):
            said.append("no worker is there: accepted events wait in the stream")
        return "; ".join(said) or None

    def counted(self) -> Mapping[tuple[str, str], int]:
        """How many processes there are, by role and by state: alive or missing."""
        lost = self.missing()
        found = {(role, state): 0 for role in ("api", "worker") for state in ("alive", "missing")}
        for each in self.known:
            found[each.role, "missing" if each in lost else "alive"] += 1
        return found

    # What transactions do

    def beginning(self, permit: Permit | None = None) -> Callable[[Any], None]:
        """See `Agreement`."""
        return partial(self._begin, leads=_leads.get(), permit=permit)

    def _begin(self, connection: Any, *, leads: bool, permit: Permit | None) -> None:
        number, holds = processes.standing(connection, LEASE, self.process_id)
        if leads and not holds:
            raise StoreUnavailable("another worker has taken over")
        if permit is not None and not processes.is_permitted(connection, permit, LEASE):
            raise StoreUnavailable("the worker that leads has taken the work back, or doesn't lead any more")
        if number != self._of_references:
            self._database.forget_references(connection)
            self._of_references = number
        if number > self._remembered:
            self._remember(number, environments.read_every(connection))

    def _remember(self, number: int, known: Mapping[Scope, Environment]) -> None:
        """Take over clocks and resets, from whichever thread, unless newer ones are known."""
        with self._memory:
            if self._clocks is None or number < self._remembered:
                return
            self._remembered = number
            self._clocks.put_all({scope: each.clock for scope, each in known.items() if each.clock is not None})
            self._resets.update({scope: each.resets for scope, each in known.items()})

    async def agreed(self) -> None:
        """See `Agreement`. One that isn't heard of for a while is not waited for, nor is anybody without the store."""
        try:
            number = await self._apart.run(partial(processes.number_of, name=MEMORY))
            await self._hear()
            ask = partial(processes.count_ignorant, number=number, silent_seconds=LEASE_SECONDS)
            while await self._apart.run(ask):  # noqa: ASYNC110 - others make it so, in their processes
                await asyncio.sleep(AGREE_SECONDS)
        except StoreUnavailable as error:
            log.warning("processes.not_asked", reason=str(error))

    # What others tell

    async def listen(self) -> None:
        """Ask for news, and say that this process is alive, until cancelled."""
        while True:
            try:
                await self._hear()
                self.trouble = None
            except StoreUnavailable as error:
                if self.trouble is None:
                    log.warning("processes.not_heard", reason=str(error))
                self.trouble = str(error)
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(POLL_SECONDS)

    async def leave(self) -> None:
        """Be one of the processes no more."""
        with suppress(StoreUnavailable):
            await self._apart.run(partial(processes.leave, process_id=self.process_id))

    async def _hear(self) -> None:
        async with self._hearing:
            woken, head = await self._apart.run(self._news)
            if MEMORY in woken:
                await self._learn()
            if woken:
                self._number = max(woken.values())
                self._database.outbox.beat(woken)
            if head != self._head:
                self._head = head
                self._database.commits.beat()
            if MEMORY in woken or asyncio.get_running_loop().time() - self._reported >= RENEW_SECONDS:
                await self._report()

    def _news(self, connection: Any) -> tuple[Mapping[str, int], Position]:
        return processes.woken_after(connection, self._number), feed.read_head(connection)

    async def _learn(self) -> None:
        """Read anew what is kept in memory."""

        def read(connection: Any) -> tuple[int, Mapping[Scope, Environment]]:
            number = processes.number_of(connection, MEMORY)  # first: what is read then is at least as new
            self._database.remember_aliased(connection)
            return number, environments.read_every(connection)

        self._remember(*await self._apart.run(read))
        for learn in self._learners:
            await learn()
        self._database.outbox.beat_all()

    async def _report(self) -> None:
        self._reported = asyncio.get_running_loop().time()

        def report(connection: Any) -> Sequence[PeerProcess]:
            processes.report(connection, self.process_id, self._place, self.role, self._number)
            processes.remove_long_lost(connection, KEPT_SECONDS)
            return processes.every(connection)

        self.known = await self._apart.run(report)

    # Taking turns

    @asynccontextmanager
    async def turn(self, scope: Scope, seconds: float) -> AsyncIterator[None]:
        """Have an environment to oneself among all processes. Raises `TimeoutError`, and `StoreUnavailable`.

        It ends with the process. Only one task of a process may ask for it at a time.
        """
        name = "/".join(scope)
        try:
            async with asyncio.timeout(seconds):
                while not await self._apart.run(partial(processes.take_turn, name=name)):  # noqa: ASYNC110
                    await asyncio.sleep(AGREE_SECONDS)
            yield
        finally:  # also after being cancelled, when it may have been had nevertheless
            with suppress(StoreUnavailable):
                await self._apart.run(partial(processes.give_up_turn, name=name))

    async def lead(self, sole: SoleWork) -> None:
        """Whenever the lease can be had, do what one process at a time does, until it is lost. Until cancelled."""
        while True:
            until = asyncio.get_running_loop().time() + LEASE_SECONDS
            try:
                term = await self._take()
            except StoreUnavailable:
                term = None
            if term is None:
                await asyncio.sleep(STANDBY_SECONDS)
                continue
            renewing = asyncio.create_task(self._renew(until))
            try:
                self.term = term
                await self._work(sole, renewing)
            except (StoreUnavailable, StreamUnavailable, NotInCharge) as error:
                log.warning("worker.not_leading", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                self.term = None
                renewing.cancel()
                with suppress(StoreUnavailable):
                    await self._apart.run(partial(processes.give_up_lease, name=LEASE, holder=self.process_id))

    async def _work(self, sole: SoleWork, renewing: "asyncio.Task[None]") -> None:
        token = _leads.set(True)
        try:
            async with AsyncExitStack() as stack:
                for work in sole.works:
                    await stack.enter_async_context(work())
                log.info("worker.leads", process=self._place)
                await asyncio.wait({renewing})
                log.warning("worker.lost_lease", process=self._place)
        finally:
            _leads.reset(token)

    async def _renew(self, until: float) -> None:
        """Renew the lease, and return when it is lost."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await asyncio.sleep(RENEW_SECONDS)
            asked_at = loop.time()
            with suppress(StoreUnavailable):
                if await self._take() is None:
                    return
                until = asked_at + LEASE_SECONDS

    async def _take(self) -> int | None:
        work = partial(processes.take_lease, name=LEASE, holder=self.process_id, seconds=LEASE_SECONDS)
        return await self._apart.run(work)


@asynccontextmanager
async def in_charge(charge: Charge, peers: Peers) -> AsyncIterator[None]:
    """Let the consumer of the process that leads take charge of the stream. Raises `StreamUnavailable`."""
    assert peers.term is not None, "the process leads"  # noqa: S101
    with asking():
        await charge.take(peers.term)
    yield
