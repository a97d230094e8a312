"""Transactions beside each other: of different partitions they don't wait, and what they come to is what one makes."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest

from bq_server.audit.verification import Verifier
from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.game.document.definitions import Game
from bq_server.ids import IdSource
from bq_server.processing import processor as processor_module
from bq_server.processing.compiled_games import Games
from bq_server.processing.game_changes import GameChanges
from bq_server.processing.partitions import PARTITIONS, partition_of
from bq_server.processing.processor import NotBeside, Processor
from bq_server.server.peers import LEASE, Peers
from bq_server.store import batch, environments, feed, feed_wishes, rank_sections
from bq_server.store.beside import Beside, Permit
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.feed import Position
from bq_server.store.references import Ranking
from bq_server.stream.store_note import StoreNote, note_of
from tests.support.played_world import GAME, NOW, SCOPE, START
from tests.support.store import asked

pytestmark = pytest.mark.anyio
HOUR = 3_600_000_000
NAMES = [f"u{number}" for number in range(60)]
POINTS: Ranking = ("leaderboard/points", "all_time", "all_time")


@asynccontextmanager
async def worker(store_url: str, note: StoreNote | None = None) -> AsyncIterator[tuple[Database, Processor]]:
    """One process as far as the store is concerned."""
    async with Database.open(store_url) as database:
        yield database, Processor(database, IdSource(), Clocks(lambda: NOW), Games(), note=note)


async def apply(database: Database, game: Mapping[str, Any]) -> None:
    changes = GameChanges(database, Games(), IdSource(), Clocks(lambda: START))
    await changes.apply(SCOPE, Game.model_validate(game), backfill=False)


def event(number: int, who: str, name: str = "bought", **more: Any) -> Event:
    fields: dict[str, Any] = {
        "event_id": f"evt_{number}",
        "scope": SCOPE,
        "event_name": name,
        "participant_id": who,
        "properties": json.dumps({"amount": number % 7, "shop": f"s{number % 5}"}),
        "occurred_at": START + number % 400 * HOUR,
        "received_at": START + number,
        "message_id": f"{number}-0",
    }
    return Event(**(fields | more))


def apart(events: Sequence[Event], workers: int) -> list[list[Event]]:
    """The events of each worker's partitions."""
    found: dict[int, list[Event]] = defaultdict(list)
    for each in events:
        found[partition_of(each.scope, each.participant_id) % workers].append(each)
    return [found[number] for number in range(workers)]


def of_partition(number: int) -> str:
    return next(name for name in NAMES if partition_of(SCOPE, name) == number)


def test_participants_are_spread_over_all_partitions() -> None:
    spread = Counter(partition_of(SCOPE, f"user-{number}") for number in range(16_000))
    assert sorted(spread) == list(range(PARTITIONS))
    assert max(spread.values()) < 2 * min(spread.values())
    # Other releases must agree: a change would have two workers write about one participant.
    assert [partition_of(Scope("p", "live"), name) for name in ("ada", "bo", "é", "\udc80")] == [13, 13, 0, 14]


class Held:
    """A transaction beside others that goes on until it is let go."""

    def __init__(self, database: Database, *partitions: int) -> None:
        self._database, self._beside = database, Beside(partitions, None)
        self._go = asyncio.Event()
        self.began = asyncio.Event()

    async def run(self) -> None:
        async with self._database.transaction(beside=self._beside):
            self.began.set()
            await self._go.wait()

    def let_go(self) -> None:
        self._go.set()


async def waiting(store_url: str) -> int:
    sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    ((found,),) = await asyncio.to_thread(asked, store_url, sql)
    return int(found)


async def until_waiting(store_url: str, number: int) -> None:
    async with asyncio.timeout(20):
        while await waiting(store_url) != number:
            await asyncio.sleep(0.01)


async def test_other_partitions_are_not_waited_for_and_the_same_one_is(store_url: str) -> None:
    async with worker(store_url) as (first, _), worker(store_url) as (_, second):
        held = Held(first, 1)
        holding = asyncio.create_task(held.run())
        await held.began.wait()
        (made,) = await second.process_beside([event(1, of_partition(2))])
        same = asyncio.create_task(second.process_beside([event(2, of_partition(1)), event(3, of_partition(2))]))
        await until_waiting(store_url, 1)
        assert not same.done()
        held.let_go()
        await holding
        assert [each.fact.seq for each in await same] == [made.fact.seq + 1, made.fact.seq + 2]


async def test_who_is_alone_waits_for_all_and_all_for_that_one(store_url: str) -> None:
    async with worker(store_url) as (first, _), worker(store_url) as (_, second):
        held = Held(first, 1)
        holding = asyncio.create_task(held.run())
        await held.began.wait()
        alone = asyncio.create_task(second.process([event(1, of_partition(2))]))
        await until_waiting(store_url, 1)
        assert not alone.done()
        held.let_go()
        await holding
        await alone


@pytest.mark.parametrize("seed", range(4))
async def test_two_workers_come_to_what_one_does(store_url: str, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    for name in ("GROUP", "GROUP_OUTSIDE"):
        monkeypatch.setattr(processor_module, name, 20)
    monkeypatch.setattr(rank_sections, "SECTION", 4)
    monkeypatch.setattr(rank_sections, "LONG", 12)
    chance = random.Random(seed)
    events = [
        event(
            number,
            chance.choice(NAMES),
            chance.choice(["bought", "login", f"seldom{number % 50}"]),
            idempotency_key=f"k{number}" if number % 3 == 0 else None,
            fingerprint="0" * 32 if number % 3 == 0 else None,
        )
        for number in range(600)
    ]
    again = [chance.choice(events) for _ in range(60)]
    chance.shuffle(events)
    async with worker(store_url) as (first, one), worker(store_url) as (second, two):
        await apply(first, GAME)
        batches = [
            [*events[start : start + 100], *again[start // 10 : start // 10 + 10]] for start in range(0, 600, 100)
        ]
        for number, batch in enumerate(batches):
            own, other = apart(batch, 2)
            await asyncio.gather(one.process_beside(own), two.process_beside(other))
            if number == 1:  # a ranking that is asked for its ranks is divided, and kept so
                await _divide(first)
                second._references.forget()  # as processes are told to
            await one.process([event(10_000 + number, "u1", "login")])  # somebody alone, in between
        verifier = Verifier(first)
        async for checked in verifier.participants(SCOPE):
            assert checked.differences == []
        assert [stray async for stray in verifier.strays(SCOPE)] == []
        assert await verifier.miscounts(SCOPE) == []
    ((total, numbers, ids),) = asked(
        store_url, "SELECT count(*), count(DISTINCT seq), count(DISTINCT event_id) FROM facts"
    )
    assert total == numbers == ids == 606
    assert asked(store_url, "SELECT count(*) > 2 FROM rank_sections") == [(True,)]
    counted = dict(asked(store_url, "SELECT event_name, count FROM event_names"))
    assert counted == Counter(each.event_name for each in events) + Counter(login=6)
    ((properties,),) = asked(store_url, "SELECT sum(count) FROM event_properties WHERE property = 'amount'")
    assert properties == 606
    ((events_of_all,),) = asked(store_url, "SELECT sum(total_events) FROM participants")
    assert events_of_all == 606


async def _divide(database: Database) -> None:
    async with database.transaction() as connection:

        def divide(writing: Any) -> None:
            references = connection.references
            references.divide(writing, references.ranking(writing, references.scope(writing, SCOPE), POINTS))

        await connection.run(divide)


async def test_numbers_are_never_given_twice(store_url: str) -> None:
    async with worker(store_url) as (first, one), worker(store_url) as (_, two):
        await one.process_beside([event(1, "u1")])
        await one.process([event(2, "u1"), event(3, "u2")])  # alone: after the highest there is
        with pytest.raises(ZeroDivisionError):
            async with first.transaction(beside=Beside([0], None)) as connection:
                await connection.run(lambda writing: writing.reserve_seqs(10))
                raise ZeroDivisionError
        (outcome,) = await two.process_beside([event(4, "u3")])
        assert outcome.fact.seq == 14, "what was reserved and not used is left out"
        (alone,) = await one.process([event(5, "u3")])
        assert alone.fact.seq == 15


async def test_a_feed_reads_no_further_than_nothing_is_under_way(store_url: str) -> None:
    async with worker(store_url) as (first, _), worker(store_url) as (second, other):
        async with first.transaction(beside=Beside([1], None)) as connection:
            assert await connection.run(lambda writing: writing.reserve_seqs(3)) == 0
            (later,) = await other.process_beside([event(1, of_partition(2))])
            assert later.fact.seq == 4
            async with second.read() as reading:
                assert await feed.head(reading) == (0, 0)
                assert await feed.page(reading, SCOPE, Position(0, 0), 10) == []
        async with second.read() as reading:
            assert await feed.head(reading) == (4, 0)
            (found,) = await feed.page(reading, SCOPE, Position(0, 0), 10)
            assert found.position == (4, 0)


async def test_a_feed_that_begins_after_numbers_were_left_out_misses_nothing(store_url: str) -> None:
    async with worker(store_url) as (first, one):
        await one.process([event(1, "u1")])
        with pytest.raises(ZeroDivisionError):
            async with first.transaction(beside=Beside([0], None)) as connection:
                await connection.run(lambda writing: writing.reserve_seqs(10))
                raise ZeroDivisionError
        async with first.read() as reading:
            begin = await feed.head(reading)
        await one.process([event(2, "u1")])
        async with first.read() as reading:
            (told,) = await feed.page(reading, SCOPE, begin, 10)
            assert told.position == (2, 0)


async def test_what_is_reserved_after_the_newest_fact_says_nothing_of_it(store_url: str) -> None:
    async with worker(store_url) as (first, one), worker(store_url) as (second, _):
        await one.process([event(1, "u1")])
        async with first.transaction(beside=Beside([0], None)) as connection:
            await connection.run(lambda writing: writing.reserve_seqs(10))
            # As of another transaction, which reserved after the newest had been looked for.
            await connection.run(
                lambda writing: writing.execute(
                    "SELECT pg_advisory_xact_lock_shared((hashtext(current_schema())::bigint << 32) | 7)"
                )
            )
            async with second.read() as reading:
                assert await feed.head(reading) == (1, 0)


async def test_an_export_waits_for_what_is_under_way(store_url: str) -> None:
    async with worker(store_url) as (first, _), worker(store_url) as (second, other):
        async with first.transaction(beside=Beside([1], None)) as connection:
            await connection.run(lambda writing: writing.reserve_seqs(1))
            await other.process_beside([event(1, of_partition(2))])
            async with second.read() as reading:
                assert await environments.facts_after(reading, SCOPE, 0, 10) == []
        async with second.read() as reading:
            assert [fact.seq for fact in await environments.facts_after(reading, SCOPE, 0, 10)] == [2]


async def test_each_commit_beside_others_makes_the_store_higher(store_url: str) -> None:
    note = note_of("inst")
    async with worker(store_url) as (first, _), worker(store_url, note) as (_, other):
        async with first.transaction(beside=Beside([1], None)) as connection:
            await connection.run(lambda writing: writing.reserve_seqs(100))
            await other.process_beside([event(1, of_partition(2))])
            noted = note.height
            # Whoever holds lower numbers ends later: without its commit, the newest fact would be the same.
            await connection.run(lambda writing: writing.count_commit())
        async with first.read() as reading:
            assert await reading.run(batch.height) == noted + 1 == 103
        await other.process_beside([event(1, of_partition(2))])  # a repeat makes nothing
        assert note.height == noted


TEAMS = {"leaderboards": [{"code": "t", "name": "T", "metric": "points", "group_by": "attributes.team"}]}
SHARED = {
    "challenges": [
        {
            "code": "c",
            "name": "C",
            "shared_by": "attributes.team",
            "objectives": [{"code": "o", "on": "bought", "aggregate": "count", "target": 9}],
        }
    ]
}
REFERRALS = {"points": [{"code": "r", "on": "bought", "award": 1, "award_to": "properties.referrer"}]}
CONTESTS = {
    "contests": [
        {
            "code": "c",
            "name": "C",
            "starts_at": "2026-01-01T00:00:00Z",
            "ends_at": "2027-01-01T00:00:00Z",
            "scoring": {"on": "bought", "aggregate": "count"},
        }
    ]
}


@pytest.mark.parametrize("game", [TEAMS, SHARED, REFERRALS, CONTESTS, {"transfers": True}])
async def test_where_participants_meet_each_batch_is_alone(store_url: str, game: Mapping[str, Any]) -> None:
    async with worker(store_url) as (database, processor):
        await apply(database, game)
        assert await refused(processor, [event(1, "u1")]) == ({SCOPE}, 0)
        await processor.process([event(1, "u1")])


@pytest.mark.parametrize("more", [{"voids": "k"}, {"system_type": "system.points_awarded"}])
async def test_what_is_no_plain_event_is_alone(store_url: str, more: Mapping[str, Any]) -> None:
    async with worker(store_url) as (_, processor):
        assert await refused(processor, [event(1, "u1"), event(2, "u1", **more)]) == ({SCOPE}, 0)


async def test_what_somebody_listens_to_is_alone(store_url: str) -> None:
    async with worker(store_url) as (database, processor):
        await processor.process([event(0, "u1")])
        async with database.transaction() as connection:
            await connection.run(partial(feed_wishes.put, scope=SCOPE, event_types=["streak.broken"], until=NOW))
        assert await refused(processor, [event(1, "u1")]) == ({SCOPE}, 1)


async def test_where_there_are_aliases_each_batch_is_alone(store_url: str) -> None:
    async with worker(store_url) as (database, processor):
        database._references.aliased.add(SCOPE)
        assert await refused(processor, [event(1, "u1")]) == ({SCOPE}, 0)


async def refused(processor: Processor, events: Sequence[Event]) -> tuple[Set[Scope], int]:
    """Because of which environments these are processed alone only, and how many facts there are then."""
    with pytest.raises(NotBeside, match="default/test") as told:
        await processor.process_beside(events)
    async with processor._database.read() as connection, connection.execute("SELECT count(*) FROM facts") as cursor:
        ((facts,),) = await cursor.fetchall()
    return told.value.scopes, facts


async def test_a_permit_is_good_until_it_is_taken_back_or_the_leader_is_not_one(store_url: str) -> None:
    permit = Permit("share/b", "process_a", 7)
    async with worker(store_url) as (database, processor):
        peers = await Peers.join(database, "process_b", "here:/b", "worker")
        peers.remember(Clocks(lambda: NOW), {})

        async def may(number: int) -> bool:
            with suppress(StoreUnavailable):
                return len(await processor.process_beside([event(number, "u1")], permit)) == 1
            return False

        assert not await may(1)
        await _leases(database, ("share/b", "process_a", 7, 60), (LEASE, "process_a", 3, 60))
        assert await may(2)
        for name, holder, term, seconds in (
            ("share/b", "process_a", 8, 60),  # given again
            ("share/b", "process_c", 7, 60),
            (LEASE, "process_a", 3, -1),  # expired
            (LEASE, "process_c", 4, 60),
        ):
            await _leases(database, ("share/b", "process_a", 7, 60), (LEASE, "process_a", 3, 60))
            await _leases(database, (name, holder, term, seconds))
            assert not await may(3)
        await peers.leave()
    assert asked(store_url, "SELECT count(*) FROM facts") == [(1,)]


async def _leases(database: Database, *rows: tuple[str, str, int, float]) -> None:
    sql = """INSERT INTO leases (name, holder, term, expires_at)
    VALUES (?, ?, ?, ((extract(epoch FROM clock_timestamp()) + ?) * 1000000)::bigint) ON CONFLICT (name)
    DO UPDATE SET holder = excluded.holder, term = excluded.term, expires_at = excluded.expires_at"""

    async with database.transaction() as connection:
        for row in rows:
            await connection.execute(sql, row)
