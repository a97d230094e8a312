"""How many accepted events a stream took with it: counted exactly, or said to be at least so many."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis.asyncio as redis

from bq_server.store import losses
from bq_server.store.database import Database
from bq_server.store.losses import Loss
from bq_server.stream.connection import StreamUnavailable
from tests.support.accounting_server import KEYS, OneServer, after_a_kill, started

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(client: redis.Redis, database: Database) -> AsyncIterator[OneServer]:
    async with started(client, database) as made:
        yield made


async def repeated(database: Database, *message_ids: str) -> None:
    """Note of messages that they repeat a fact, as a consumer does that takes them out later."""
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO scopes (scope, project, environment) VALUES (7, 'p', 'test')")
        for message_id in message_ids:
            await connection.execute("INSERT INTO duplicates (scope, message_id, fact) VALUES (7, ?, 1)", (message_id,))


async def test_what_a_killed_server_accepted_last_is_in_no_count_and_that_is_said(server: OneServer) -> None:
    await server.accept(3)
    await server.account.check()
    await server.accept(4)
    await server.client.flushall()
    async with after_a_kill(server) as following:
        assert await following.noticed() == [(3, True)]
        assert "at least 3 accepted events are lost" in str(await following.account.problem())
        last = server.totals.newest
        assert following.account.loss_of(last) is not None, "those that nobody counted are lost as well"


async def test_a_killed_server_that_had_noted_nothing_of_them_says_that_some_may_be_lost(server: OneServer) -> None:
    await server.account.check()
    await server.accept(4)
    await server.client.flushall()
    async with after_a_kill(server) as following:
        assert await following.noticed() == [(0, True)]
        assert "accepted events may be lost" in str(await following.account.problem())
        assert following.account.loss_of(server.totals.newest) is not None


async def test_what_became_of_the_others_before_the_kill_is_not_lost(server: OneServer) -> None:
    await server.accept(5)
    await server.account.check()
    entries = await server.take()
    await repeated(server.database, *[entry.message_id for entry in entries[:2]])
    await server.client.flushall()
    async with after_a_kill(server) as following:
        assert await following.noticed() == [(3, True)]


async def test_what_a_killed_server_had_not_taken_out_of_a_trimmed_stream_is_not_lost(server: OneServer) -> None:
    await server.accept(5)
    await server.account.check()
    entries = await server.take()
    await repeated(server.database, *[entry.message_id for entry in entries[:2]])
    await server.client.xtrim(KEYS.events, maxlen=0)
    async with after_a_kill(server) as following:
        assert await following.noticed() == [(3, True)]


async def test_a_trimmed_stream_keeps_its_counts_over_a_kill(server: OneServer) -> None:
    await server.accept(3)
    await server.account.check()
    await server.accept(4)
    await server.client.xtrim(KEYS.events, maxlen=0)
    async with after_a_kill(server) as following:
        assert await following.noticed() == [(7, False)]


async def test_a_server_that_stopped_knew_all_that_it_had_accepted(server: OneServer) -> None:
    await server.accept(3)
    await server.account.check()
    await server.accept(4)
    await server.account.finish()
    await server.client.flushall()
    async with after_a_kill(server) as following:
        assert await following.noticed() == [(7, False)]


async def test_more_in_the_new_stream_than_the_old_ever_had_hides_nothing(server: OneServer) -> None:
    await server.accept(5)
    await server.client.flushall()
    await server.accept(20)
    await server.account.check()
    entries = await server.take()
    await server.settle(entries)
    assert len(entries) == 20
    assert await server.noticed() == [(5, False)]


async def test_what_the_new_stream_lost_before_anybody_looked_is_counted_as_well(server: OneServer) -> None:
    await server.accept(5)
    await server.client.flushall()
    await server.accept(3)
    await server.client.xtrim(KEYS.events, maxlen=0)
    await server.accept(2)
    assert await server.noticed() == [(8, False)]


async def test_a_stream_that_went_twice_before_anybody_looked_took_at_least_what_is_known(server: OneServer) -> None:
    await server.accept(5)
    await server.account.check()
    await server.client.flushall()
    await server.accept(3)
    await server.client.flushall()
    assert await server.noticed() == [(5, True)]


async def test_what_was_in_progress_is_found_again(server: OneServer, capfd: pytest.CaptureFixture[str]) -> None:
    await server.accept(5)
    await server.account.check()
    entries = await server.take()
    await server.client.flushall()
    assert await server.noticed() == [(5, False)]
    await server.settle(entries[:2])
    assert await server.noticed() == [(3, False)], "two of them were facts all the time"
    counts = await server.counts.now()
    assert counts.missing == 3
    # Also before anybody looked.
    await server.accept(4)
    await server.client.flushall()
    await server.settle(entries[2:])
    assert await server.noticed() == [(3, False), (1, False)]


async def test_an_older_copy_is_noticed_although_more_came_than_at_the_last_check(server: OneServer) -> None:
    await server.accept(5)
    await server.account.check()
    entries = await server.take()
    await server.accept(10)
    # A copy as of the seventh: the eight after it are gone.
    newest = await server.client.xrevrange(KEYS.events, count=8)
    await server.client.xdel(KEYS.events, *[message_id for message_id, _ in newest])
    await server.client.hset(KEYS.counts, "appended", 7)
    ((messages, at_least),) = await server.noticed()
    assert at_least
    assert messages <= 8
    assert "older copy" in str(await server.account.problem())
    await server.settle(entries)
    assert len(await server.noticed()) == 1, "and only once"


async def test_other_processes_accept_what_this_one_knows_of_a_moment_later(
    client: redis.Redis, database: Database
) -> None:
    leader = OneServer(client, database)
    await leader.start(alone=False)
    await leader.accept(5)
    await leader.account.check()
    await leader.client.flushall()
    assert await leader.noticed() == [(5, True)]
    await leader.pipe.close()


async def test_an_answer_that_got_lost_makes_no_second_loss(server: OneServer) -> None:
    await server.accept(5)
    await server.client.flushall()
    server.counts.loses_an_answer = True
    with pytest.raises(StreamUnavailable):
        await server.account.check()
    assert await server.noticed() == [(5, False)]


async def test_ids_of_one_millisecond_are_told_apart(database: Database) -> None:
    await repeated(database, "1000-2", "1000-10", "1001-0", "1002-9", "1002-11")
    async with database.read() as connection:
        for first, last, most, found in (
            ("1000-0", "1002-99", 10, 5),
            ("1000-3", "1002-10", 10, 3),
            ("1000-11", "1002-8", 10, 1),
            ("1000-0", "1002-99", 2, 2),
            ("1003-0", "1005-0", 10, 0),
        ):
            assert await losses.processed(connection, first, last, most) == found, (first, last)


@pytest.mark.parametrize(
    ("messages", "at_least", "said"),
    [
        (0, False, "no accepted event is missing"),
        (1, False, ": 1 accepted event is lost"),
        (2, False, ": 2 accepted events are lost"),
        (0, True, ": accepted events may be lost, nobody can know how many"),
        (1, True, ": at least 1 accepted event is lost"),
        (2, True, ": at least 2 accepted events are lost"),
    ],
)
async def test_how_much_is_lost_is_said_in_words(messages: int, at_least: bool, said: str) -> None:
    assert said in Loss(0, "it went", messages, "1-0", "2-0", at_least=at_least).summary


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (Loss(0, "it went", 0, "1-0", "2-0", dead=1), "; 1 dead letter is gone, no other accepted event is missing"),
        (Loss(0, "it went", 2, "1-0", "2-0", dead=3), "1-0 and 2-0, and 3 dead letters are gone"),
        (Loss(0, "it went", 0, "1-0", "2-0", at_least=True, facts=1), ": at least 1 fact is lost"),
        (Loss(0, "it went", 0, "1-0", "2-0", at_least=True, facts=5), ": at least 5 facts are lost"),
    ],
)
async def test_facts_and_dead_letters_are_lost_in_words_too(loss: Loss, said: str) -> None:
    assert said in loss.summary


@asynccontextmanager
async def dead_letters_in(server: OneServer) -> AsyncIterator[None]:
    await server.client.hset(KEYS.dead, mapping={"1-0": "{}", "2-0": "{}"})
    await server.account.check()
    yield
    assert "2 dead letters are gone" in str(await server.account.problem())


async def test_dead_letters_go_with_a_stream_that_is_emptied(server: OneServer) -> None:
    async with dead_letters_in(server):
        await server.accept(3)
        await server.client.flushall()
        assert await server.noticed() == [(3, False)]


async def test_dead_letters_that_a_stopped_server_knew_of_go_with_a_stream_in_which_nothing_waited(
    server: OneServer,
) -> None:
    async with dead_letters_in(server):
        await server.account.finish()
        await server.client.flushall()
        async with after_a_kill(server) as following:
            assert await following.noticed() == [(0, False)]


async def test_dead_letters_that_somebody_dropped_are_not_lost(server: OneServer) -> None:
    await server.client.hset(KEYS.dead, mapping={"1-0": "{}", "2-0": "{}"})
    await server.account.check()
    await server.client.hdel(KEYS.dead, "1-0", "2-0")
    await server.account.check()
    await server.client.flushall()
    await server.account.check()
    assert "no accepted event is missing" in str(await server.account.problem())
