"""The schema's history, and the database under stress."""

import asyncio
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.ids import IdSource, pack
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import NoSuchChallenge, not_enrolled
from bq_server.processing.processor import Conflict, Duplicate, Processed, Processor
from bq_server.store import batch, facts, sqlite
from bq_server.store.batch import Changes, NewFact
from bq_server.store.database import Database
from bq_server.store.migrations import SchemaTooOld, available
from bq_server.store.queries import load

pytestmark = pytest.mark.anyio
SCOPE = Scope("p", "test")


def event(number: int, **more: object) -> Event:
    fields: dict[str, object] = {
        "event_id": f"evt_{number}",
        "scope": SCOPE,
        "event_name": "e",
        "participant_id": "u",
        "properties": "{}",
        "occurred_at": number,
        "received_at": number,
        "message_id": f"{number}-0",
    }
    return Event(**(fields | more))  # type: ignore[arg-type]


def schema(path: Path) -> list[tuple[str, str]]:
    connection = sqlite.connect(str(path))
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return [tuple(row) for row in rows]


async def test_a_fresh_schema_is_all_migrations_applied_in_order(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "fresh"):
        pass
    by_hand = sqlite.connect(str(tmp_path / "by_hand"))
    for number, (version, _, sql) in enumerate(available(), start=1):
        assert version == number, "the numbers leave no gap"
        by_hand.executescript(sql)
    by_hand.close()
    ours = [row for row in schema(tmp_path / "fresh") if row[0] != "schema_migrations"]
    assert ours == schema(tmp_path / "by_hand")
    async with Database.open(tmp_path / "fresh"):
        pass
    assert [row for row in schema(tmp_path / "fresh") if row[0] != "schema_migrations"] == ours


async def test_a_database_that_needs_migrating_is_left_alone_when_it_may_not(tmp_path: Path) -> None:
    with pytest.raises(SchemaTooOld):
        async with Database.open(tmp_path / "old", may_migrate=False):
            pass


def test_this_is_not_the_systems_sqlite_where_there_is_another() -> None:
    assert sqlite.is_fixed(sqlite.VERSION_INFO)
    assert (sqlite.ORIGIN == "pysqlite3") == (find_spec("pysqlite3") is not None)


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ((3, 7, 0), False),
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 44, 7), True),
        ((3, 45, 0), False),
        ((3, 46, 1), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_which_versions_may_have_several_connections(version: tuple[int, int, int], *, fixed: bool) -> None:
    assert sqlite.is_fixed(version) is fixed


@pytest.mark.parametrize("value", [None, b"", b"\x00\xff" * 8, True, False, 2**63 - 1, -0.5, "ü\n", bytearray(b"x")])
def test_a_value_comes_back_as_it_was_bound(value: object, tmp_path: Path) -> None:
    with closing(sqlite.connect(str(tmp_path / "db"))) as connection:
        connection.execute("CREATE TABLE t (v ANY, kind TEXT)")
        connection.execute("INSERT INTO t SELECT ?1, typeof(?1)", (value,))
        connection.executemany("INSERT INTO t SELECT :v, typeof(:v)", [{"v": value}] * 2)
        found, kinds = zip(*connection.execute("SELECT * FROM t"), strict=True)
    kind = {type(None): "null", bytes: "blob", bytearray: "blob", float: "real", str: "text"}.get(
        type(value), "integer"
    )
    assert found == (value,) * 3
    assert kinds == (kind,) * 3


async def test_durable_settings_are_in_force(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db") as database, database.read() as connection:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("busy_timeout", 2000)):
            async with connection.execute(f"PRAGMA {pragma}") as cursor:
                assert (await cursor.fetchone())[0] == value  # type: ignore[index]


async def test_a_start_waits_longer_for_another_process_than_a_request_does(tmp_path: Path) -> None:
    async def milliseconds(database: Database) -> int:
        async with database.transaction() as connection, connection.execute("PRAGMA busy_timeout") as cursor:
            found = await cursor.fetchone()
        assert found is not None
        return int(found[0])

    async with Database.open(tmp_path / "db") as database:
        assert await milliseconds(database) == 15_000
        await database.serve()
        assert await milliseconds(database) == 2_000


async def test_a_transaction_that_fails_leaves_nothing(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        with pytest.raises(RuntimeError):
            async with database.transaction() as connection:
                fact = NewFact(1, event(1), pack("evt", event(1).event_id), None)
                made = Changes(SCOPE, now=1, facts=[fact], counts={"u": 1})
                await connection.run(lambda writing: batch.write(writing, connection.references, made, {}))
                assert await facts.last_seq(connection) == 1
                raise RuntimeError
        processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
        (outcome,) = await processor.process([event(1)])
        assert isinstance(outcome, Processed)
        assert outcome.fresh


async def test_a_redelivered_batch_makes_nothing_new_and_answers_the_same(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
        batch = [event(1), event(2, idempotency_key="k", fingerprint="f" * 32), event(3), event(1)]
        first = await processor.process(batch)
        again = await processor.process([event(4), *batch])
        assert [outcome.fact.fact_id for outcome in again[1:]] == [outcome.fact.fact_id for outcome in first]
        assert [outcome.fresh for outcome in again if isinstance(outcome, Processed)] == [True] + [False] * 4


async def test_one_key_in_one_batch_is_one_fact_a_duplicate_and_a_conflict(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
        keyed = {"idempotency_key": "k", "fingerprint": "f" * 32}
        made, duplicate, conflict, elsewhere = await processor.process(
            [
                event(1, **keyed),
                event(2, **keyed),
                event(3, **keyed | {"fingerprint": "0" * 32}),
                event(4, **keyed, scope=Scope("p", "live")),
            ]
        )
        assert isinstance(made, Processed)
        assert isinstance(duplicate, Duplicate)
        assert isinstance(conflict, Conflict)
        assert isinstance(elsewhere, Processed)
        assert duplicate.fact == conflict.fact == made.fact
        async with database.read() as connection:
            assert await facts.repeated_by(connection, SCOPE, "2-0") == made.fact
            assert await facts.repeated_by(connection, SCOPE, "3-0") is None


async def test_a_challenge_that_went_meanwhile_can_not_be_entered(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
        with pytest.raises(NoSuchChallenge):
            await processor.process_guarded(event(1), not_enrolled("gone"))
        async with database.read() as connection:
            assert await facts.last_seq(connection) == 0


async def test_racing_batches_make_each_fact_once(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
        batches = [[event(number) for number in range(start, start + 20)] for start in range(0, 60, 5)]
        outcomes = await asyncio.gather(*[processor.process(batch) for batch in batches])
        fresh = [
            outcome.fact.event_id
            for batch in outcomes
            for outcome in batch
            if isinstance(outcome, Processed) and outcome.fresh
        ]
        assert sorted(fresh) == sorted({f"evt_{number}" for number in range(75)})


async def test_the_newest_facts_are_found_without_sorting(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db") as database, database.read() as connection:
        for query in ("newest_facts", "newest_facts_of_type"):
            sql = getattr(load("facts"), query).sql
            names = ("project", "environment", "fact_type", "before", "since", "until", "limit")
            async with connection.execute(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(names, 1)) as cursor:
                plan = " ".join(str(row[3]) for row in await cursor.fetchall())
            assert "USING INDEX" in plan
            assert "TEMP B-TREE" not in plan


async def test_the_past_of_a_participant_ends_before_the_moment_asked_for(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
        await processor.process([event(number) for number in range(1, 6)])
        async with database.transaction() as connection:
            held = await connection.run(lambda reading: batch.states(reading, connection.references, SCOPE, ["u"]))
            who = held["u"].reference
            some = await connection.run(lambda reading: batch.history(reading, who, ["custom.e"], 2, 4))
            rest = await connection.run(lambda reading: batch.history(reading, who, ["custom.e"], 4))
        assert [row[0] for row in some] == [2, 3]
        assert [row[0] for row in rest] == [4, 5]
