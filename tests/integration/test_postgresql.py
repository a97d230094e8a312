"""The store on PostgreSQL: the same schema and statements as SQLite's, and a server that works with it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bq_server.store import queries, sqlite
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.migrations import available
from bq_server.store.postgresql.connection import PostgresConnection
from bq_server.store.postgresql.statements import others, parsed, statement
from harness.private_postgres import PrivatePostgres
from tests.support.process import ServerProcess, run, until
from tests.support.store import asked, of_a_file

pytestmark = of_a_file  # they name another store themselves
SQLITES_OWN = {"conversion", "damage"}
"""Files of statements that PostgreSQL has no use for: what the first release left, and pages of a file."""
OF_A_FILE = {
    "copying": {"damage", "count_old_facts", "newest_processing_of_old_facts"}
    | {"newest_processing_of_the_first_release"}
}
FIRST = 17
"""PostgreSQL's first migration stands for all of SQLite's up to this one."""
VIEW = "fact_rows"
PACKAGE = "bq_server.store.postgresql"

GAME = """
points: [{code: spend, on: purchase, award: properties.amount}]
badges: [{code: first, name: First, criteria: {on: purchase, aggregate: count, target: 2}}]
streaks: [{code: daily, name: Daily, on: purchase, period: daily}]
leaderboards: [{code: top, name: Top, metric: points, window: [all_time]}]
"""


def every_query() -> Iterator[tuple[str, str, str]]:
    """File, name and text of each statement."""
    for path in sorted((Path(queries.__file__).parent / "sql").glob("*.sql")):
        if path.stem in SQLITES_OWN:
            continue
        loaded = queries.load(path.stem, "sqlite3")
        for name in loaded.available_queries:
            if not name.endswith("_cursor") and name not in OF_A_FILE.get(path.stem, ()):
                yield path.stem, name, getattr(loaded, name).sql


@pytest.fixture
async def database(store_url: str) -> Any:
    async with Database.open(store_url) as opened:
        yield opened


@pytest.mark.anyio
async def test_every_statement_means_something_to_postgresql(database: Database) -> None:
    def faults(connection: PostgresConnection) -> Iterator[str]:
        for file, name, sql in every_query():
            try:
                connection._answer(connection._of(statement(sql)))
            except Exception as error:  # noqa: BLE001 - whatever it says of it
                yield (
                    f"bq_server/store/sql/{file}.sql: {name} is not PostgreSQL ({error}). Write a text of the same "
                    f"meaning and parameters under `-- name: {file}.{name}` in "
                    "bq_server/store/postgresql/statements.sql, or one that both understand"
                )

    async with database.transaction(undo=True) as connection:
        await connection.run(queries.load("moves", "sqlite3").make)  # which is there while a move lasts
        wrong = await connection.run(lambda own: [*faults(own)])
    assert not wrong, "\n".join(wrong)


def test_postgresqls_own_statements_have_the_parameters_of_the_others() -> None:
    known = {(file, name): sql for file, name, sql in every_query()}
    for key, sql in others().items():
        assert key in known, f"{key}: there is no such statement any more: remove it from statements.sql"
        assert set(parsed(sql).names) == set(parsed(known[key]).names), key
    texts: dict[str, str] = {}
    for key, sql in others().items():
        assert texts.setdefault(known[key], sql) == sql, f"{key}: one text of SQLite's has two of PostgreSQL's"


def test_statements_of_many_rows_take_them_at_once() -> None:
    """A way to the server and back for each row would take as long as the work of all."""
    from bq_server.store import batch, outbox, watched_streaks, webhooks

    inserts = [
        each
        for module in (batch, outbox, watched_streaks, webhooks)
        for each in vars(module).values()
        if type(each).__name__ == "Insert"
    ]
    assert len(inserts) >= 8
    for each in inserts:
        assert statement(each._sql).of_rows, f"write it with `unnest` in statements.sql: {each._sql}"


def test_the_numbers_of_migrations_are_the_same() -> None:
    ours = [number for number, _, _ in available(PACKAGE)]
    theirs = [number for number, _, _ in available() if number >= FIRST]
    missing = sorted(set(theirs) - set(ours))
    assert not missing, (
        f"migration {missing[0]} changes SQLite's schema alone: write {missing[0]:04}_<the same name>.sql in "
        'bq_server/store/postgresql, with BIGINT for INTEGER, TEXT COLLATE "C" for TEXT and BYTEA for BLOB'
    )
    assert ours == theirs


@pytest.mark.anyio
async def test_both_have_the_same_tables_columns_and_indexes(
    store_url: str, database: Database, tmp_path: Path
) -> None:
    async with Database.open(tmp_path / "db"):
        pass
    connection = sqlite.connect(str(tmp_path / "db"))
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]
    kinds = {"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea", "NUMERIC": "numeric"}
    theirs = {
        (table, row[1], *((kinds[row[2]], bool(row[3] or row[5])) if table != VIEW else ()))
        for table in tables
        if not table.startswith("sqlite_") and table != "schema_migrations"
        for row in connection.execute(f"PRAGMA table_info({table})")
    }
    indexes = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
    }
    connection.close()
    ours = {
        (table, column, *((kind, required) if table != VIEW else ()))
        for table, column, kind, required in asked(
            store_url,
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'NO' "
            "FROM information_schema.columns WHERE table_schema = current_schema()",
        )
        if table not in {"schema_migrations", "last_given"}
    }
    assert ours == theirs
    found = asked(store_url, "SELECT indexname::text FROM pg_indexes WHERE schemaname = current_schema()")
    assert indexes <= {name for (name,) in found}


@pytest.mark.anyio
async def test_text_is_compared_by_its_bytes(store_url: str, database: Database) -> None:
    found = asked(
        store_url,
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE data_type = 'text' "
        "AND table_schema = current_schema() AND collation_name IS DISTINCT FROM 'C' "
        "AND table_name <> 'schema_migrations'",
    )
    assert not found
    assert asked(store_url, "SELECT 'a' < 'B'") == [(True,)], "the database itself orders text another way"


@pytest.mark.anyio
async def test_the_number_given_last_outlives_its_fact(store_url: str, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO facts (seq, event_id, scope, type, participant, occurred_at, received_at, processed_at, "
            "properties) VALUES (41, '\\x01', 1, 1, 1, 0, 0, 0, '{}'), (42, '\\x02', 1, 1, 1, 0, 0, 0, '{}')"
        )
    head = queries.load("feed", "sqlite3").head
    async with database.transaction() as connection:
        assert await connection.run(head) == (42, 0)
        await connection.execute("DELETE FROM facts")
        assert await connection.run(head) == (42, 0)


@pytest.mark.anyio
async def test_scores_come_back_as_sqlite_has_them(database: Database) -> None:
    for score, back in ((7, 7), (2.0, 2), (0.1, 0.1), (-12.5, -12.5), (2**62 + 1, 2**62 + 1), (1e22, 1e22)):
        asked = "SELECT CAST(? AS NUMERIC)", (score,)
        async with database.transaction() as connection, connection.execute(*asked) as cursor:
            row = await cursor.fetchone()
        assert row is not None
        assert (row[0], type(row[0])) == (back, type(back))


def test_a_server_makes_facts_and_state_of_events(data_dir: Path, store_url: str) -> None:
    env = {"BQ_STORE_URL": store_url}
    with ServerProcess(data_dir, env=env) as server:
        assert re.search(r"store +postgresql://\S*/db\d+\n", server.banner)
        assert not (data_dir / "facts.sqlite3").exists()
        with server.client() as client:
            put = client.put("/gamify/admin/game", content=GAME, headers={"Content-Type": "application/yaml"})
            assert put.status_code == 200, put.text
            sent = event(amount=5, key="k1")
            first = client.post("/ingest/events/sync", json=sent, params={"include": "effects"})
            assert first.status_code == 200, first.text
            again = client.post("/ingest/events/sync", json=sent)
            assert again.headers["Idempotent-Replayed"] == "true", again.text
            assert again.json()["fact_id"] == first.json()["fact_id"]
            other = client.post("/ingest/events/sync", json=event(amount=6, key="k1"))
            assert other.status_code == 409
            batch = [event(amount=number, key=f"b{number}") for number in range(10)]
            for _ in range(2):
                assert client.post("/ingest/events/batch", json={"events": batch}).status_code == 202
            assert client.post("/sandbox/drain", json={}).json()["facts"] == 11
            state = client.get("/gamify/participants/u1/state").json()
        assert (state["points"]["balance"], state["total_events"]) == (50, 11)
        assert [each["code"] for each in state["badges"]] == ["first"]
        assert state["leaderboards"][0]["score"] == 50
        key = server.key
    with ServerProcess(data_dir, env=env) as server, server.client(key) as client:
        assert server.key == "", "another process finds the keys"
        assert client.get("/gamify/participants/u1/state").json() == state
        told = client.post("/ingest/events/sync", json=event(amount=4, key="b4"))
        assert told.headers["Idempotent-Replayed"] == "true"
    verified = run("verify", "--data-dir", str(data_dir), env=env)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "1 participants verified: no difference" in verified.stdout


def event(*, amount: int, key: str) -> dict[str, Any]:
    return {
        "event_name": "purchase",
        "participant_id": "u1",
        "properties": {"amount": amount},
        "idempotency_key": key,
    }


def test_one_server_at_a_time_serves_from_a_store(data_dir: Path, tmp_path: Path, store_url: str) -> None:
    with ServerProcess(data_dir, env={"BQ_STORE_URL": store_url}):
        second = run("serve", "--port", "0", "--data-dir", str(tmp_path / "other"), "--store-url", store_url)
        assert second.returncode == 1
        assert "another bq-server serves from this store" in second.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://x/y", "--store-url (BQ_STORE_URL): must start with postgresql://"),
        ("postgresql://u:secret@127.0.0.1:1/y", "postgresql://127.0.0.1:1/y: the database server can't be reached"),
    ],
)
def test_a_store_that_is_none_is_said_at_the_start(data_dir: Path, url: str, said: str) -> None:
    done = run("serve", "--port", "0", "--data-dir", str(data_dir), "--store-url", url)
    assert done.returncode != 0
    assert said in done.stderr
    assert "secret" not in done.stderr


def test_a_database_that_is_not_there_is_said(data_dir: Path, postgres: PrivatePostgres) -> None:
    done = run("serve", "--port", "0", "--data-dir", str(data_dir), "--store-url", postgres.url("nowhere"))
    assert done.returncode == 1
    assert "create the database first" in done.stderr
    listed = run("keys", "list", "--store-url", postgres.url("nowhere"))
    assert listed.returncode == 1
    assert "create the database first" in listed.stderr


@pytest.mark.anyio
async def test_a_loss_of_the_server_is_noticed_at_once_and_over_by_itself(
    store_url: str, postgres: PrivatePostgres
) -> None:
    async with Database.open(store_url) as database:
        await database.serve()
        async with database.read() as connection:
            await connection.execute("SELECT 1")
        postgres.kill()
        try:
            for use in (database.read, database.read_for_intake, database.transaction):
                with pytest.raises(StoreUnavailable, match=r"can't be reached|closed"):
                    async with use() as connection:
                        await connection.execute("SELECT 1")
        finally:
            postgres.start()
        for use in (database.read, database.read_for_intake, database.transaction):
            async with use() as connection, connection.execute("SELECT 1") as cursor:
                assert await cursor.fetchone() == (1,)
        postgres.kill()
        postgres.start()
        # Nobody asked meanwhile: a connection that was lost while idle is no reason to refuse.
        for use in (database.read, database.read_for_intake, database.transaction):
            async with use() as connection, connection.execute("SELECT 1") as cursor:
                assert await cursor.fetchone() == (1,)


def test_a_server_refuses_while_its_store_is_gone_and_goes_on_afterwards(
    data_dir: Path, store_url: str, postgres: PrivatePostgres
) -> None:
    with ServerProcess(data_dir, env={"BQ_STORE_URL": store_url}) as server, server.client() as client:
        assert client.post("/ingest/events/sync", json=event(amount=1, key="before")).status_code == 200
        postgres.kill()
        try:
            refused = client.post("/ingest/events/sync", json=event(amount=1, key="while"))
            assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
            assert str(postgres.directory) not in refused.text
            unkeyed = {name: value for name, value in event(amount=1, key="").items() if name != "idempotency_key"}
            assert client.post("/ingest/events", json=unkeyed).status_code == 202
            assert httpx.get(f"{server.url}/readyz").status_code == 503
        finally:
            postgres.start()
        until("the server is ready", lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
        assert client.post("/ingest/events/sync", json=event(amount=1, key="while")).status_code == 200
        assert client.post("/sandbox/drain", json={}).json()["facts"] == 3
