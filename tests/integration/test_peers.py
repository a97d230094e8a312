"""Processes over one store, in one: what transactions of one know of the others, and who may write."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from bq_server.clock import OwnClock
from bq_server.events import Scope
from bq_server.server import peers as peers_module
from bq_server.server.lifecycle import SoleWork
from bq_server.store import environments, processes
from bq_server.store.database import Database, StoreUnavailable
from tests.support.peers import Peer, joined

pytestmark = pytest.mark.anyio
SCOPE = Scope("default", "test")
FROZEN = OwnClock(frozen=True, at=1_000_000)


@asynccontextmanager
async def going_on(work: "asyncio.Task[None]") -> AsyncIterator[None]:
    yield
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def take_away(peer: Peer) -> None:
    """Let its lease expire."""
    work = partial(processes.give_up_lease, name=peers_module.LEASE, holder=peer.peers.process_id)
    async with peer.database.read() as connection:
        await connection.run(work)


async def lead(peer: Peer, sole: SoleWork) -> "asyncio.Task[None]":
    """It leads, once it has the lease."""
    working = asyncio.create_task(peer.peers.lead(sole))
    async with asyncio.timeout(20):
        while peer.peers.term is None:
            await asyncio.sleep(0.01)
    return working


async def test_work_of_a_leader_writes_only_as_long_as_it_has_the_lease(store_url: str) -> None:
    attempts: asyncio.Queue[str] = asyncio.Queue()
    go_on = asyncio.Event()

    @asynccontextmanager
    async def work() -> AsyncIterator[None]:
        task = asyncio.create_task(write_twice())
        yield
        await task

    async def write_twice() -> None:
        async with one.database.transaction():
            await attempts.put("written")
        await go_on.wait()
        try:
            async with one.database.transaction():
                await attempts.put("written by who had lost it")
        except StoreUnavailable as error:
            await attempts.put(str(error))

    async with joined(store_url, "one") as one, joined(store_url, "other") as other:
        sole = SoleWork(None, alone=False, works=[work])  # type: ignore[arg-type]
        async with going_on(await lead(one, sole)):
            assert await attempts.get() == "written"
            first = one.peers.term
            assert first is not None
            await take_away(one)
            second = await other.peers._take()  # before the first knows
            assert second is not None
            assert second > first, "a later term"
            go_on.set()
            assert await attempts.get() == "another worker has taken over"
            async with one.database.transaction():
                pass  # what any process may do


async def test_who_serves_alone_and_who_shares_exclude_each_other(store_url: str) -> None:
    async with joined(store_url, "one"), joined(store_url, "other"), Database.open(store_url) as alone:
        with pytest.raises(StoreUnavailable, match="another bq-server serves from this store: stop it first"):
            await alone.hold()
    async with Database.open(store_url) as alone, Database.open(store_url) as sharing:
        await alone.hold()
        with pytest.raises(StoreUnavailable, match="or start it with --role api or worker as well"):
            await sharing.hold(shared=True)


async def test_one_of_two_has_the_lease(store_url: str) -> None:
    async with joined(store_url, "one") as one, joined(store_url, "other") as other:
        assert await one.peers._take() is not None
        assert await other.peers._take() is None
        assert await one.peers._take() is not None, "renewed"
        await take_away(one)
        assert await other.peers._take() is not None
        assert await one.peers._take() is None


async def test_a_transaction_has_the_clock_that_another_process_has_set(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "LEASE_SECONDS", 0.0)  # nobody listens, and nobody is waited for
    async with joined(store_url, "one", "api") as one, joined(store_url, "other", "api") as other:
        async with one.database.transaction() as connection:
            assert one.clocks.now(SCOPE) == 5
        async with other.database.transaction() as connection:
            await environments.put_clock(connection, SCOPE, FROZEN)
        assert one.clocks.now(SCOPE) == 5, "it has heard nothing yet"
        async with one.database.transaction():
            assert one.clocks.now(SCOPE) == FROZEN.at


async def test_whoever_changes_a_clock_goes_on_when_all_know_it(store_url: str) -> None:
    async with joined(store_url, "one", "api") as one, joined(store_url, "other", "api") as other:
        woken = one.database.outbox.next("anything")
        async with going_on(asyncio.create_task(one.peers.listen())):
            async with other.database.transaction() as connection:
                await environments.put_clock(connection, SCOPE, FROZEN)
            assert one.clocks.now(SCOPE) == FROZEN.at
            assert woken.done(), "whoever waits for a time looks again"


async def test_a_wake_and_a_commit_are_heard_by_others(store_url: str) -> None:
    async with joined(store_url, "one", "api") as one, joined(store_url, "other", "api") as other:
        woken = other.database.outbox.next("endpoint")
        async with going_on(asyncio.create_task(other.peers.listen())):
            async with one.database.transaction() as connection:
                connection.wakes.add("endpoint")
            done, _ = await asyncio.wait([woken], timeout=20)
            assert done, "the other process was not woken"


async def test_an_environment_is_had_by_one_process_at_a_time(store_url: str) -> None:
    async with joined(store_url, "one", "api") as one, joined(store_url, "other", "api") as other:
        async with one.peers.turn(SCOPE, 5), other.peers.turn(Scope("default", "live"), 5):
            with pytest.raises(TimeoutError):
                async with other.peers.turn(SCOPE, 0.05):
                    pass
        async with other.peers.turn(SCOPE, 5):
            pass


async def test_a_worker_knows_when_the_others_were_heard_of(store_url: str) -> None:
    async with joined(store_url, "one") as one, joined(store_url, "other") as other, joined(store_url, "api", "api"):
        await one.peers._report()
        began = asyncio.get_running_loop().time()
        await other.peers._report()
        await one.peers._report()
        ((process_id, heard_at),) = one.peers.other_workers().items()
        assert process_id == other.peers.process_id
        assert began - 1 < heard_at <= asyncio.get_running_loop().time()
        await other.peers.leave()
        await one.peers._report()
        assert one.peers.other_workers() == {}


async def test_one_that_is_gone_is_told_until_it_is_back(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with joined(store_url, "one", "api") as one, joined(store_url, "worker") as worker:
        await one.peers._report()
        assert await one.peers.caution() is None
        await worker.peers.leave()
        await one.peers._report()
        assert await one.peers.caution() == "no worker is there: accepted events wait in the stream"
        await worker.peers._report()
        monkeypatch.setattr(peers_module, "LEASE_SECONDS", -1.0)
        await one.peers._report()
        assert "worker here:/worker was not heard of for" in str(await one.peers.caution())
        assert one.peers.counted()["worker", "missing"] == 1
