"""Awards that were given before a late fact or a new game are kept, reported apart and not given again."""

from pathlib import Path
from typing import Any

import pytest

from bq_server.runtime.data_directory import DataDirectory
from bq_server.store.database import Database
from tests.support.played_world import GAME, World
from tests.support.process import run

FALLING: dict[str, Any] = {
    "badges": [
        {
            "code": "ten",
            "name": "Ten",
            "criteria": {"on": "e", "aggregate": "sum", "of": "properties.x", "target": 10},
        }
    ],
    "points": [{"code": "each", "on": "e", "award": "properties.x"}],
}


@pytest.mark.anyio
async def test_awards_from_before_a_late_fact_or_a_new_game_are_kept_and_reported_apart(
    data_dir: Path, store_address: Path | str
) -> None:
    DataDirectory(data_dir).create()
    async with Database.open(store_address) as database:
        world = World(database)
        await world.apply(FALLING)
        await world.send(world.event("e", "u", 20, x=10))
        assert await world.kept() == []
        await world.send(world.event("e", "u", 10, x=-5))
        assert await world.kept() == [("u", "badge/ten")]
        await world.apply({**FALLING, "points": [{"code": "each", "on": "e", "award": "1"}]})
        assert min(await world.kept()) == ("u", "badge/ten")
        assert len(await world.kept()) == 2
        held = world.rows("SELECT value FROM cells WHERE cell = 'badge/ten'"), world.rows("SELECT * FROM ledger")
        await world.replay()
        assert (
            world.rows("SELECT value FROM cells WHERE cell = 'badge/ten'"),
            world.rows("SELECT * FROM ledger"),
        ) == held
        assert await world.differences() == {}
    shown = run("verify", "--data-dir", str(data_dir))
    assert shown.returncode == 0, shown.stdout
    assert "default/test badge/ten: 1 kept" in shown.stdout
    assert "default/test ledger/points:each: 1 kept" in shown.stdout
    assert "no difference, 2 kept awards" in shown.stdout


@pytest.mark.anyio
@pytest.mark.parametrize("forget", ["DELETE FROM cells", "UPDATE cells SET value = json_remove(value, '$.given')"])
async def test_a_kept_award_whose_cell_forgot_it_is_not_given_again(new_store: Path | str, forget: str) -> None:
    challenge = {
        "code": "ten",
        "name": "Ten",
        "objectives": [{"code": "sum", **FALLING["badges"][0]["criteria"]}],
        "milestones": [{"at": 0.5, "rewards": [{"points": 1}]}],
        "rewards": [{"points": 5}],
    }
    streak = {"code": "days", "on": "e", "milestones": [{"at": 1, "rewards": [{"points": 2}]}]}
    async with Database.open(new_store) as database:
        world = World(database)
        await world.apply({"challenges": [challenge], "streaks": [streak]})
        await world.send(world.event("e", "u", 20, x=10))
        await world.send(world.event("e", "u", 10, x=-9))
        await world.apply({"challenges": [challenge], "streaks": [{**streak, "on": "f"}]})
        paid = world.rows("SELECT cause, amount FROM ledger ORDER BY cause")
        assert paid == [("challenge:ten", 5), ("challenge:ten/0.5", 1), ("streak:days/1", 2)]
        world.edit(f"{forget} WHERE cell IN ('challenge/ten', 'streak/days')")
        found = [key for _, key in await world.differences() if "@" in key]
        assert sorted(found) == ["challenge/ten@0.5", "challenge/ten@complete", "streak/days@1"]
        assert await world.replay() == 1
        assert await world.differences() == {}
        await world.send(world.event("e", "u", 30, x=10), world.event("f", "u", 30))
        assert await world.differences() == {}
        assert world.rows("SELECT cause, amount FROM ledger ORDER BY cause") == paid


@pytest.mark.anyio
async def test_a_tier_that_is_new_to_the_game_is_no_difference(world: World) -> None:
    silver = {"code": "silver", "name": "Silver", "level": 2, "min_points": 5}
    await world.apply({**GAME, "tiers": [*GAME["tiers"], silver]})
    assert await world.differences() == {}
    await world.replay()
    tiers = world.rows("SELECT value FROM cells WHERE cell = 'tiers' AND environment = 'test'")
    assert all("silver" in value for (value,) in tiers)
