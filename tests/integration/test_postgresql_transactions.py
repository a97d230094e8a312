"""Transactions on PostgreSQL: repeated when another one is favoured, and never continued on another connection."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bq_server.store.batch import _add_entries as add_entries
from bq_server.store.database import ATTEMPTS, Connection, Database, StoreUnavailable
from bq_server.store.state import snapshot
from tests.support.client import event
from tests.support.process import ServerProcess, until
from tests.support.store import asked, at_store, of_a_file

pytestmark = of_a_file  # they name another store themselves

RAISED = """
CREATE SEQUENCE raised;
CREATE FUNCTION favour_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('raised') <= {times} THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER favour_another AFTER INSERT ON facts EXECUTE FUNCTION favour_another();
"""
"""Fails so often; a sequence counts on whatever becomes of its transaction."""

ADD = (
    "INSERT INTO stream_account (place, epoch, appended, settled, lost, oldest, newest) VALUES (?, '', 0, 0, 0, '', '')"
)
"""A row in a table that nothing else uses here."""


def script(url: str, sql: str) -> None:
    at_store(url, lambda connection: connection.executescript(sql))


def names(url: str) -> list[str]:
    return [name for (name,) in asked(url, "SELECT place FROM stream_account ORDER BY place")]


@pytest.fixture
async def database(store_url: str) -> Any:
    async with Database.open(store_url) as opened:
        yield opened


class Rival:
    """Another client, which never gives way: it takes one row, and then another."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread = Thread(target=script, args=(url, self._script("b", "a")))

    def start(self) -> None:
        """Returns when it has the row `b` and waits for `a`."""
        self._thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        until("it waits", lambda: asked(self._url, waiting) == [(1,)])

    def join(self) -> None:
        self._thread.join()

    @staticmethod
    def _script(*places: str) -> str:
        updates = (f"UPDATE stream_account SET epoch = 'rival' WHERE place = '{place}'" for place in places)  # noqa: S608 - our own names
        return ";".join(["SET deadlock_timeout = '1h'", "BEGIN", *updates, "COMMIT"])


@pytest.mark.anyio
async def test_the_victim_of_a_deadlock_does_its_work_again(store_url: str, database: Database) -> None:
    async with database.transaction() as connection:
        for place in ("a", "b"):
            await connection.execute(ADD, (place,))
    rival = Rival(store_url)
    attempts: list[int] = []

    async def work(connection: Connection) -> str:
        if attempts:
            await asyncio.to_thread(rival.join)  # which might be the slower one again
        await connection.execute("UPDATE stream_account SET newest = newest || 'x' WHERE place = 'a'")
        attempts.append(len(attempts))
        if len(attempts) == 1:
            await asyncio.to_thread(rival.start)
        await connection.execute("UPDATE stream_account SET newest = newest || 'x' WHERE place = 'b'")
        return "done"

    assert await database.perform(work) == "done"
    assert attempts == [0, 1]
    found = asked(store_url, "SELECT epoch, newest FROM stream_account ORDER BY place")
    assert found == [("rival", "x")] * 2, "both did it once"


def test_an_event_is_a_fact_although_others_are_favoured_twice(data_dir: Path, store_url: str) -> None:
    with ServerProcess(data_dir, env={"BQ_STORE_URL": store_url}) as server, server.client() as client:
        script(store_url, RAISED.format(times=ATTEMPTS - 1))
        told = client.post("/ingest/events/sync", json=event(idempotency_key="k"), params={"include": "effects"})
        assert told.status_code == 200, told.text
        assert len(client.get("/facts").json()["facts"]) == 1
        assert server.stop() == 0


def test_one_that_is_never_favoured_is_refused_and_may_be_sent_again(data_dir: Path, store_url: str) -> None:
    with ServerProcess(data_dir, env={"BQ_STORE_URL": store_url}) as server, server.client() as client:
        script(store_url, RAISED.format(times=1_000_000))
        refused = client.post("/ingest/events/sync", json=event(idempotency_key="k"))
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert asked(store_url, "SELECT last_value FROM raised") == [(ATTEMPTS,)]
        queued = client.post("/ingest/events", json=event()).json()["message_id"]
        script(store_url, "DROP TRIGGER favour_another ON facts")
        assert client.post("/ingest/events/sync", json=event(idempotency_key="k")).status_code == 200
        assert client.post("/sandbox/drain", json={}).json()["facts"] == 2
        assert client.get(f"/ingest/messages/{queued}").json()["status"] == "processed"
        assert server.stop() == 0


async def pid_of(connection: Connection) -> int:
    async with connection.execute("SELECT pg_backend_pid()") as cursor:
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


def end(url: str, pid: int) -> None:
    """As an administrator may; a new connection can be had at once."""
    assert asked(url, "SELECT pg_terminate_backend(?::int)", pid) == [(True,)]


@pytest.mark.anyio
async def test_nothing_is_written_of_a_transaction_that_was_lost_with_its_connection(
    store_url: str, database: Database
) -> None:
    def adding(name: str) -> Callable[[Any], object]:
        return lambda connection: connection.execute(ADD, (name,))

    async def lose() -> None:
        async with database.transaction() as connection:
            await connection.execute(ADD, ("before",))
            end(store_url, await pid_of(connection))
            for name in ("first", "second", "third"):
                connection.defer(adding(name))

    with pytest.raises(StoreUnavailable):
        await lose()
    assert names(store_url) == []
    async with database.transaction() as connection:
        await connection.execute(ADD, ("after",))
    assert names(store_url) == ["after"]


def entry(number: int, cause: str = "c/") -> tuple[Any, ...]:
    """A row of the ledger."""
    return (1, number, b"txn", cause, number, 5, 5 * number, 0, 0)


@pytest.mark.anyio
async def test_rows_that_were_only_sent_are_written_or_fail_their_transaction(
    store_url: str, database: Database
) -> None:
    async def write(*inserts: list[tuple[Any, ...]], error: type[Exception] | None = None) -> None:
        async with database.transaction() as connection:
            for rows in inserts:
                await connection.run(partial(add_entries, rows=rows))
            if error is not None:
                raise error

    await write([entry(1)], [entry(2), entry(3)])
    with pytest.raises(Exception, match="ledger_pkey"):
        await write([entry(4)], [entry(3)])  # by the commit
    with pytest.raises(Exception, match="ledger_pkey"):
        await write([entry(3)], [entry(4)])  # by the next
    with pytest.raises(LookupError):
        await write([entry(4)], [entry(3)], error=LookupError)
    assert asked(store_url, "SELECT number FROM ledger ORDER BY number") == [(1,), (2,), (3,)]
    async with database.transaction() as connection:
        await connection.run(partial(add_entries, rows=[entry(4), entry(5)]))
        assert await connection.run(lambda own: own.total_changes) >= 5, "those under way are counted"


@pytest.mark.anyio
async def test_a_snapshot_that_is_lost_does_not_go_on_and_its_connection_does(
    store_url: str, database: Database
) -> None:
    async def lose() -> None:
        async with database.read() as connection, snapshot(connection):
            end(store_url, await pid_of(connection))
            for _ in range(2):
                try:
                    await connection.execute("SELECT 1")
                except Exception as error:  # noqa: BLE001 - what is raised is seen below
                    failures.append(error)
            raise failures[0]

    failures: list[Exception] = []
    with pytest.raises(StoreUnavailable):
        await lose()
    assert len(failures) == 2
    for _ in range(2):  # both readers
        async with database.read() as connection, connection.execute("SELECT 1") as cursor:
            assert await cursor.fetchone() == (1,)


@pytest.mark.anyio
async def test_whatever_isolation_is_the_default_it_sees_what_was_written_before_its_turn(store_url: str) -> None:
    name = store_url.partition("?")[0].rpartition("/")[2]
    script(store_url, f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")

    async def places(connection: Connection) -> list[str]:
        async with connection.execute("SELECT place FROM stream_account") as cursor:
            return [place for (place,) in await cursor.fetchall()]

    async with Database.open(store_url) as one, Database.open(store_url) as other:
        async with one.transaction() as connection:
            await connection.execute(ADD, ("written",))
            waiting = asyncio.create_task(other.perform(places))
            locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while await asyncio.to_thread(asked, store_url, locks) != [(1,)]:
                await asyncio.sleep(0.005)
        assert await waiting == ["written"]
