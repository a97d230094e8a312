"""Each statement is one call to the thread of its connection, whatever it returns."""

from pathlib import Path
from typing import Any

import pytest

from bq_server.events import Scope
from bq_server.store import games
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.queries import load

pytestmark = pytest.mark.anyio
SCOPE = Scope("default", "test")
_games = load("games")


class Calls:
    """Counts those of a connection."""

    def __init__(self, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        run: Any = connection.run

        def counting(work: Any) -> Any:
            self.count += 1
            return run(work)

        monkeypatch.setattr(connection, "run", counting)

    def taken(self) -> int:
        count, self.count = self.count, 0
        return count


async def test_a_statement_is_one_call(new_store: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = SCOPE._asdict()
    rows = [own | {"definition": code, "applied_seq": seq} for code, seq in (("badge/a", 1), ("badge/b", 2))]
    async with Database.open(new_store) as database, database.transaction() as connection:
        calls = Calls(connection, monkeypatch)
        assert await _games.put_game(connection, **own, document="{}", applied_at=3) == 1
        assert calls.taken() == 1
        await _games.put_definitions(connection, rows)
        assert calls.taken() == 1
        assert await _games.version(connection, **own) == 1
        assert calls.taken() == 1
        assert await _games.game(connection, **own) == (1, "{}", 3)
        assert calls.taken() == 1
        assert [row async for row in _games.definitions(connection, **own)] == [("badge/a", 1), ("badge/b", 2)]
        assert calls.taken() == 1


async def test_what_is_not_there_is_none(new_store: Path | str) -> None:
    async with Database.open(new_store) as database, database.read() as connection:
        assert await _games.version(connection, **SCOPE._asdict()) is None
        assert await games.current(connection, SCOPE) is None
        assert await games.applied(connection, SCOPE) == {}


async def test_a_store_that_fails_is_unavailable(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "bq.db") as database:
        async with database.transaction() as connection:
            await connection.run(lambda writing: writing.execute("DROP TABLE games"))
        with pytest.raises(StoreUnavailable):
            async with database.read() as connection:
                await games.current(connection, SCOPE)
