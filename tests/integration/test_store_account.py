"""A store that was set back beside its stream: found by what the stream has noted of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.ids import IdSource
from bq_server.processing.compiled_games import Games
from bq_server.processing.processor import Processor
from bq_server.store import batch, losses
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.losses import Loss
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.store_note import note_of
from tests.support.accounting_server import KEYS, OURS, OneServer, after_a_kill, started

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(client: redis.Redis, database: Database) -> AsyncIterator[OneServer]:
    async with started(client, database) as made:
        yield made


async def made(server: OneServer, facts: int) -> None:
    """Settle what is in hand as so many facts, as far as the store's numbers go."""
    entries = await server.take()
    async with server.database.transaction() as connection:
        before = await connection.run(batch.height)
        await connection.run(lambda store: give(server, store, before + facts))
        connection.after_commit(lambda: server.note.saw(before + facts))
    await server.settle(entries)


def give(server: OneServer, store: Any, seq: int) -> None:
    """Have this be the seq given last."""
    if server.database.file is not None:
        store.execute("DELETE FROM sqlite_sequence WHERE name = 'facts'")
        store.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('facts', ?)", (seq,))
    else:
        store.execute("UPDATE last_given SET seq = ? WHERE name = 'facts'", (seq,))


async def set_back(server: OneServer, seq: int) -> None:
    async with server.database.transaction() as connection:
        await connection.run(lambda store: give(server, store, seq))


async def test_what_is_acknowledged_is_noted_in_the_same_step(server: OneServer) -> None:
    await server.accept(3)
    await made(server, 3)
    assert (await server.counts.now()).noted == 3


async def test_a_store_that_is_set_back_is_noticed_once(server: OneServer) -> None:
    await server.accept(5)
    await made(server, 5)
    await set_back(server, 2)
    async with after_a_kill(server) as following:
        assert await following.noticed() == [(0, True)]
        assert "at least 3 facts are lost" in str(await following.account.problem())
        assert (await following.counts.now()).noted == 2
        await following.accept(1)
        await made(following, 1)
        assert await following.noticed() == [(0, True)]
        async with after_a_kill(following) as third:
            assert await third.noticed() == [(0, True)]


@pytest.mark.parametrize("done", ["nothing", "the moment", "the loss"])
async def test_a_start_that_is_killed_anywhere_leads_to_one_loss(
    server: OneServer, monkeypatch: pytest.MonkeyPatch, done: str
) -> None:
    await server.accept(5)
    await made(server, 5)
    await set_back(server, 2)
    killed = OneServer(server.client, server.database)

    async def die(*_: object) -> None:
        raise StreamUnavailable("killed")

    async def die_once_done(connection: Connection, loss: Loss) -> None:
        connection.after_commit(lambda: setattr(killed.counts, "_client", None))
        await add(connection, loss)

    add = losses.add
    with monkeypatch.context() as changed:
        match done:
            case "nothing":
                changed.setattr(killed.counts, "set_back_at", die)
            case "the moment":
                changed.setattr(losses, "add", die)
            case "the loss":
                changed.setattr(losses, "add", die_once_done)
        with pytest.raises((StreamUnavailable, AttributeError)):
            await killed.start()
    async with after_a_kill(server) as following:
        assert await following.noticed() == [(0, True)]
        assert (await following.counts.now()).noted == 2
        # As many facts later, and as many gone: another one.
        await following.accept(3)
        await made(following, 3)
        await set_back(following, 2)
        async with after_a_kill(following) as third:
            assert await third.noticed() == [(0, True), (0, True)]


async def test_a_store_that_is_set_back_meanwhile_is_a_loss_at_the_next_start(server: OneServer) -> None:
    await server.accept(5)
    await made(server, 5)
    await set_back(server, 2)
    assert await server.noticed() == []
    assert "restart the server" in str(await server.account.problem())
    assert (await server.counts.now()).noted == 5
    with pytest.raises(StoreUnavailable, match="restart the server"):  # a worker that is to lead
        await server.account.start(owned=True)
    async with after_a_kill(server) as following:
        assert await following.noticed() == [(0, True)]
        assert "at least 3 facts are lost" in str(await following.account.problem())


def sent(number: int) -> Event:
    return Event(
        event_id=f"evt_{number}",
        scope=Scope("default", "test"),
        event_name="e",
        participant_id="u",
        properties="{}",
        occurred_at=number,
        received_at=number,
    )


async def test_no_facts_are_made_in_a_store_that_was_set_back_meanwhile(server: OneServer) -> None:
    note = note_of(OURS)
    processor = Processor(server.database, IdSource(), Clocks(lambda: 1), Games(), note=note)
    await processor.process([sent(1)])
    assert note.height == 1
    async with server.database.transaction() as connection:
        await connection.execute("DELETE FROM facts")
        await connection.run(lambda store: give(server, store, 0))
    with pytest.raises(StoreUnavailable, match="restart the server"):
        await processor.process([sent(2)])


async def test_facts_that_no_message_became_are_noted_at_the_next_check(server: OneServer) -> None:
    await set_back(server, 7)
    await server.account.check()
    assert (await server.counts.now()).noted == 7


async def test_a_reader_that_is_late_is_no_store_that_was_set_back(
    server: OneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a reader of a server that another has replaced: the transaction, which writes, has the last word."""
    await server.accept(5)
    await made(server, 5)
    real, seen = batch.height, []

    def late(connection: Any) -> int:
        seen.append(connection.in_transaction)
        return real(connection) if connection.in_transaction else 1

    monkeypatch.setattr(batch, "height", late)
    assert await server.noticed() == []
    assert {*seen} == {True, False}
    assert await server.account.problem() is None


async def test_a_note_of_another_installation_says_nothing_of_this_store(server: OneServer) -> None:
    await server.client.hset(KEYS.counts, note_of("inst_2").field, 1000)
    assert await server.noticed() == []
    async with after_a_kill(server) as following:
        assert await following.noticed() == []
