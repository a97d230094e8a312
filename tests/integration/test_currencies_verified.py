"""Each currency has its own running balance in the ledger: verify holds both to it, and a replay mends either."""

import pytest

from bq_server.moments import HOUR
from tests.support.played_world import GAME, NOW, World

WITH_GEMS = {
    **GAME,
    "currencies": [{"code": "coins"}, {"code": "gems", "points_expire": {"after": "P30D"}}],
    "points": [*GAME["points"], {"code": "gems", "on": "bought", "award": 2, "currency": "gems"}],
}


async def played(world: World) -> None:
    await world.apply(WITH_GEMS, backfill=True)
    at = NOW + HOUR
    await world.send(world.event("bought", "u0", at, amount=5))
    await world.send(world.event("points_awarded", "u0", at + 1, amount=7, currency="gems"))
    await world.send(world.event("points_deducted", "u0", at + 2, amount=3, currency="gems"))
    await world.send(world.event("points_expired", "u0", at + 3, amount=1, currency="gems"))
    await world.send(world.event("bought", "u0", at + 4, amount=5))


@pytest.mark.anyio
async def test_what_was_played_in_two_currencies_is_clean(world: World) -> None:
    await played(world)
    assert await world.differences() == {}
    rows = world.rows("SELECT participant_id, cause, amount, balance FROM ledger ORDER BY rowid")
    for of_gems in (False, True):
        balances: dict[str, int] = {}
        for who, cause, amount, balance in rows:
            if cause.startswith("gems/") is of_gems:
                balances[who] = balances.get(who, 0) + amount
                assert balance == balances[who]
        assert balances["u0"] > 0
    before = world.rows("SELECT * FROM ledger")
    await world.replay()
    assert world.rows("SELECT * FROM ledger") == before
    assert await world.replay() == 0, "there is nothing left to do"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (
            "UPDATE ledger SET balance = balance + 9 "
            "WHERE environment = 'test' AND participant_id = 'u0' AND cause LIKE 'gems/%'",
            "ledger/gems/",
        ),
        (
            "UPDATE ledger SET amount = amount + 9 "
            "WHERE environment = 'test' AND participant_id = 'u0' AND cause LIKE 'gems/manual:%'",
            "ledger/gems/manual:",
        ),
        (
            "DELETE FROM ledger WHERE environment = 'test' AND participant_id = 'u0' AND cause LIKE 'gems/manual:%'",
            "ledger/gems/manual:",
        ),
        (
            'UPDATE cells SET value = \'{"gems": {"balance": 1, "earned": 1, "spent": 0}}\' '
            "WHERE environment = 'test' AND participant_id = 'u0' AND cell = 'purses'",
            "purses",
        ),
        ("DELETE FROM cells WHERE environment = 'test' AND participant_id = 'u0' AND cell = 'purses'", "purses"),
    ],
)
@pytest.mark.anyio
async def test_an_edit_in_one_currency_is_found_and_mended(world: World, change: str, key: str) -> None:
    await played(world)
    world.edit(change)
    found = await world.differences()
    assert any(who == "u0" and name.startswith(key) for who, name in found), found
    assert not any(name.startswith("ledger/points:") or name == "points" for _, name in found), found
    await world.replay()
    assert await world.differences() == {}
