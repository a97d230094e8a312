"""Definitions that were removed and are applied again, unchanged."""

from pathlib import Path
from typing import Any

import pytest

from bq_server.game.facts import CONTEST_ENTERED
from bq_server.moments import HOUR
from bq_server.store.database import Database
from tests.support.played_world import START, World

GAME: dict[str, Any] = {
    "challenges": [
        {"code": "once", "name": "Once", "objectives": [{"code": "o", "on": "ran", "target": 2}]},
        {
            "code": "daily",
            "name": "Daily",
            "duration": {"type": "recurring", "every": "day"},
            "objectives": [{"code": "o", "on": "ran", "target": 2}],
        },
    ],
    "leaderboards": [{"code": "runs", "name": "Runs", "metric": {"on": "ran"}, "window": ["daily", "all_time"]}],
    "contests": [
        {"code": "race", "name": "Race", "starts_at": "2026-03-01", "ends_at": "2026-04-01", "scoring": {"on": "ran"}}
    ],
}


@pytest.mark.anyio
async def test_their_rankings_are_what_they_were(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db") as database:
        world = World(database)
        await world.apply(GAME)
        entered = world.event(CONTEST_ENTERED, "p1", START, contest_code="race")._replace(system_type=CONTEST_ENTERED)
        hidden = world.event("visibility_changed", "p2", START, hidden=True)
        runs = [world.event("ran", who, START + 30 * HOUR * day) for who in ("p1", "p2") for day in range(3)]
        await world.send(entered, hidden._replace(system_type="system.visibility_changed"), *runs)
        before = world.rows("SELECT * FROM standings")
        await world.apply({})
        assert world.rows("SELECT * FROM standings") == []
        await world.apply(GAME, backfill=True)
        after = world.rows("SELECT * FROM standings")
        assert sorted(after, key=str) == sorted(before, key=str) != []
        assert await world.differences() == {}
