"""Moving a store from a file to PostgreSQL and back: all of it, as it was."""

import asyncio
import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bq_server.runtime.data_directory import DataDirectory
from bq_server.store import sqlite, whole_tables
from bq_server.store.backend import backend_of
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.move import MoveRefused, Told, move
from bq_server.store.move_marks import MOVES
from tests.support.played_world import World, play
from tests.support.process import ServerProcess, run
from tests.support.store import of_a_file

pytestmark = [pytest.mark.anyio, of_a_file]


def _content(address: Path | str, tables: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    with closing(backend_of(address).connect(5)) as connection:
        return {
            table: sorted(map(tuple, connection.execute(f"SELECT * FROM {table}").fetchall()), key=repr)  # noqa: S608
            for table in tables
        }


async def content(address: Path | str, tables: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    return await asyncio.to_thread(_content, address, tables)  # whose loop is not the test's


async def moved(source: Path | str, target: Path | str, told: Told = lambda *_: None) -> int:
    return await asyncio.to_thread(move, source, target, told)


def tables_of(path: Path) -> list[str]:
    with closing(sqlite.connect(str(path))) as connection:
        rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return [name for (name,) in rows if name not in {"sqlite_sequence", "sqlite_stat1", "schema_migrations", MOVES}]


async def played(path: Path) -> None:
    async with Database.open(path) as database:
        await play(World(database))


async def opened(address: Path | str) -> None:
    async with Database.open(address):
        pass


async def numbers_given(address: Path | str) -> Any:
    """The next numbers of whatever is numbered."""
    async with Database.open(address) as database, database.transaction(undo=True) as connection:
        await connection.execute(
            "INSERT INTO losses (noticed_at, what, messages, first, last) VALUES (0, '', 0, '', '')"
        )
        async with connection.execute("SELECT max(loss) FROM losses") as cursor:
            loss = await cursor.fetchone()
        from bq_server.store import feed

        return loss, await feed.head(connection)


async def test_all_of_it_arrives_and_comes_back(tmp_path: Path, store_url: str) -> None:
    path, back = tmp_path / "facts.sqlite3", tmp_path / "back.sqlite3"
    await played(path)
    with closing(sqlite.connect(str(path))) as connection:
        # Numbers of what was removed are not given again.
        connection.execute("INSERT INTO losses (noticed_at, what, messages, first, last) VALUES (0, '', 0, '', '')")
        connection.execute("DELETE FROM losses")
        connection.execute("DELETE FROM facts WHERE seq = (SELECT max(seq) FROM facts)")
        connection.execute("INSERT INTO webhook_tries VALUES (1, 2, NULL, 3, 'b'), (1, 2, NULL, 3, 'a')")
    tables = tables_of(path)
    before, given = await content(path, tables), await numbers_given(path)
    assert sum(map(len, before.values())) > 300
    await opened(store_url)
    told: list[tuple[str, int, int]] = []
    count = await moved(path, store_url, lambda *each: told.append(each))
    assert count == sum(map(len, before.values()))
    assert ("facts", len(before["facts"]), len(before["facts"])) in told
    assert await content(store_url, tables) == before
    assert await numbers_given(store_url) == given
    await opened(back)
    assert await moved(store_url, back) == count
    assert await content(back, tables) == before
    # What was rolled back has taken a number from PostgreSQL, too.
    assert await numbers_given(back) >= given


async def test_what_was_moved_away_serves_no_more(tmp_path: Path, store_url: str) -> None:
    path = tmp_path / "facts.sqlite3"
    await played(path)
    await opened(store_url)
    await moved(path, store_url)
    with pytest.raises(StoreUnavailable, match="it was moved to postgresql://"):
        await opened(path)


async def test_an_interrupted_move_goes_on_where_it_was(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "facts.sqlite3"
    await played(path)
    tables = tables_of(path)
    before = await content(path, tables)
    await opened(store_url)
    monkeypatch.setattr(whole_tables, "PORTION", 7)
    portions = 0

    def stop(*_: Any) -> None:
        nonlocal portions
        portions += 1
        if portions % 9 == 0:
            raise KeyboardInterrupt

    stops = 0
    while True:
        try:
            await moved(path, store_url, stop)
            break
        except KeyboardInterrupt:
            stops += 1
            with pytest.raises(StoreUnavailable, match="is not finished: run `bq-server store move` again"):
                await opened(store_url)
    assert stops > 4
    assert await content(store_url, tables) == before


async def test_a_target_that_holds_something_is_refused(tmp_path: Path, store_url: str) -> None:
    path = tmp_path / "facts.sqlite3"
    await played(path)
    async with Database.open(store_url) as database, database.transaction() as connection:
        await connection.execute("INSERT INTO installation VALUES ('i', 0)")
    with pytest.raises(MoveRefused, match=r"db\d+ is not empty \(installation\)"):
        await moved(path, store_url)
    with pytest.raises(MoveRefused, match="from a data directory to PostgreSQL"):
        await moved(path, tmp_path / "other")


def test_a_server_goes_on_over_postgresql_and_back(data_dir: Path, tmp_path: Path, store_url: str) -> None:
    game = "points: [{code: spend, on: purchase, award: properties.amount}]"
    sent = {"event_name": "purchase", "participant_id": "u", "properties": {"amount": 3}, "idempotency_key": "k"}
    with ServerProcess(data_dir) as server, server.client() as client:
        key = server.key
        assert (
            client.put("/gamify/admin/game", content=game, headers={"Content-Type": "application/yaml"}).status_code
            == 200
        )
        assert client.post("/ingest/events/sync", json=sent).status_code == 200
        serving = run("store", "move", "--data-dir", str(data_dir), "--to", store_url)
        assert (serving.returncode, "another bq-server" in serving.stderr) == (1, True)
    moved = run("store", "move", "--data-dir", str(data_dir), "--to", store_url)
    assert re.fullmatch(r"\d+ rows moved\n", moved.stdout), moved.stderr
    old = run("serve", "--port", "0", "--data-dir", str(data_dir))
    assert (old.returncode, "it was moved to postgresql://" in old.stderr) == (1, True)
    env = {"BQ_STORE_URL": store_url}
    with ServerProcess(data_dir, env=env) as server, server.client(key) as client:
        assert server.key == "", "the keys came along"
        told = client.post("/ingest/events/sync", json=sent)
        assert told.headers["Idempotent-Replayed"] == "true"
        assert client.post("/ingest/events/sync", json=sent | {"idempotency_key": "k2"}).status_code == 200
        state = client.get("/gamify/participants/u/state").json()
        assert state["points"]["balance"] == 6
    verified = run("verify", "--store-url", store_url, "--json")
    assert json.loads(verified.stdout)["differences"] == []
    (data_dir / "facts.sqlite3").rename(tmp_path / "old")
    back = run("store", "move", "--data-dir", str(data_dir), "--to", str(data_dir), env=env)
    assert back.returncode == 0, back.stderr
    with ServerProcess(data_dir) as server, server.client(key) as client:
        assert client.get("/gamify/participants/u/state").json() == state
    assert DataDirectory(data_dir).database.exists()
