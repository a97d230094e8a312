"""Notices of the feed: how long they are kept, and what becomes of those of an older database."""

from contextlib import closing
from pathlib import Path

import pytest

from bq_server.events import Scope
from bq_server.store import feed, feed_wishes, sqlite
from bq_server.store.database import Database
from bq_server.store.feed import RECOMPUTED, NewNotice, NoticeHappened, Position
from bq_server.store.migrations import available

pytestmark = pytest.mark.anyio


async def test_a_busy_environment_pushes_out_nothing_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_NOTICES", 2)
    quiet, busy = Scope("default", "live"), Scope("default", "test")
    async with Database.open(tmp_path / "x.db") as database:
        for number, scope in enumerate([quiet, busy, busy, busy, busy]):
            async with database.transaction() as connection:
                await feed.add_notices(connection, [NewNotice(scope, "game.changed", 0, {"version": number})])
        async with database.read() as connection:
            kept = {
                scope: [
                    each.data["version"]
                    for each in await feed.page(connection, scope, Position(0, 0), 9)
                    if isinstance(each, NoticeHappened)
                ]
                for scope in (quiet, busy)
            }
    assert kept == {quiet: [0], busy: [3, 4]}


async def test_what_was_recomputed_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_NOTICES", 1)
    scope = Scope("default", "test")
    async with Database.open(tmp_path / "x.db") as database:
        for kind in (RECOMPUTED, RECOMPUTED, "game.changed", RECOMPUTED, "game.changed"):
            async with database.transaction() as connection:
                await feed.add_notices(connection, [NewNotice(scope, kind, 0, {})])
        async with database.read() as connection:
            page = await feed.page(connection, scope, Position(0, 0), 9)
    assert [each.position.notice for each in page] == [1, 2, 4, 5]


async def test_notices_of_an_older_database_are_kept_and_their_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite.connect(str(path))) as connection:
        connection.execute("CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT, applied_at TEXT)")
        for version, name, sql in available():
            if version < 19:
                connection.executescript(sql)
                connection.execute("INSERT INTO schema_migrations VALUES (?, ?, '')", (version, name))
        for number in range(1, 4):
            connection.execute(
                "INSERT INTO notices (project, environment, after_seq, kind, cause, noted_at, data)"
                " VALUES ('default', 'test', 0, 'game.changed', ?, 0, '{}')",
                (str(number),),
            )
        connection.execute("DELETE FROM notices WHERE notice = 3")
    async with Database.open(path) as database:
        async with database.read() as connection:
            assert await feed.head(connection) == Position(0, 3)
        async with database.transaction() as connection:
            await feed.add_notices(connection, [NewNotice(Scope("default", "test"), "game.changed", 0, {})])
        async with database.read() as connection:
            page = await feed.page(connection, Scope("default", "test"), Position(0, 0), 9)
    assert [each.position.notice for each in page] == [1, 2, 4]


async def test_a_wish_ends_a_while_after_its_feed(tmp_path: Path) -> None:
    scope = Scope("default", "test")
    async with Database.open(tmp_path / "x.db") as database, database.transaction() as connection:

        def work(writing: object) -> list[set[str]]:
            found = []
            feed_wishes.put(writing, scope, ["streak.broken"], 10)
            feed_wishes.put(writing, scope, ["leaderboard.rank_changed"], 10)
            feed_wishes.put(writing, scope, ["streak.broken"], 20)
            for now in (10, 11, 21):
                feed_wishes.remove_old(writing, now)
                found.append({*feed_wishes.of(writing, scope)})
            return found

        assert await connection.run(work) == [{"streak.broken", "leaderboard.rank_changed"}, {"streak.broken"}, set()]
