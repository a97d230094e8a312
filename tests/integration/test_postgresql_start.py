"""What a PostgreSQL must be before a store begins there, and several processes that begin with an empty one at once."""

import asyncio
from collections.abc import Iterator

import pytest

from bq_server.store.database import Database
from bq_server.store.migrations import available
from bq_server.store.postgresql import server
from bq_server.store.postgresql.server import PostgresServer
from bq_server.store.unavailable import StoreUnavailable
from harness.private_postgres import PrivatePostgres
from tests.support.store import asked, of_a_file

pytestmark = of_a_file  # they name another store themselves


@pytest.fixture
def standby() -> Iterator[PrivatePostgres]:
    """A server that takes reads alone until it is promoted."""
    with PrivatePostgres() as cluster:
        cluster.kill()
        cluster.put("data/standby.signal", "")
        cluster.start()
        yield cluster


def test_an_old_server_is_refused_with_what_is_needed(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PostgresServer(store_url).check(may_write=True)
    monkeypatch.setattr(server, "OLDEST", 99)
    with pytest.raises(StoreUnavailable, match=r"PostgreSQL \d\d is too old: 99 or newer is needed"):
        PostgresServer(store_url).check(may_write=True)


def test_a_database_that_cannot_hold_every_text_is_refused(postgres: PrivatePostgres) -> None:
    ((version,),) = asked(postgres.url("postgres"), "SELECT current_setting('server_version_num')::int / 10000")
    provider = "LOCALE_PROVIDER libc" if version >= 15 else ""
    asked(
        postgres.url("postgres"),
        f"CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' {provider} TEMPLATE template0",
    )
    with pytest.raises(StoreUnavailable, match="the database's encoding is LATIN1: create one in UTF8"):
        PostgresServer(postgres.url("latin")).check(may_write=True)


@pytest.mark.slow
def test_a_standby_is_refused_until_it_is_promoted(standby: PrivatePostgres) -> None:
    there = PostgresServer(standby.url("postgres"))
    there.check(may_write=False)
    with pytest.raises(StoreUnavailable, match="this is a standby, which can't be written: name the primary"):
        there.check(may_write=True)
    assert asked(there.url, "SELECT pg_promote()") == [(True,)]
    there.check(may_write=True)


@pytest.mark.anyio
async def test_of_several_that_begin_at_once_one_makes_the_tables(store_url: str) -> None:
    async def begin() -> None:
        async with Database.open(store_url) as database, database.read() as connection:
            await connection.execute("SELECT count(*) FROM facts")

    await asyncio.gather(*(begin() for _ in range(6)))
    made = asked(store_url, "SELECT version FROM schema_migrations ORDER BY version")
    assert made == [(number,) for number, _, _ in available(server.__package__ or "")]
