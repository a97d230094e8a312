"""Entries of the ledger stand in the order in which they were paid, so that each balance is the sum so far."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bq_server.moments import HOUR
from bq_server.runtime.data_directory import DataDirectory
from bq_server.store.database import Database
from tests.support.played_world import World
from tests.support.store import asked

pytestmark = pytest.mark.anyio
GAME = {"points": [{"code": "p", "on": "act", "award": 2, "limit": {"times": 3, "per": "day"}}]}
DAY = 24 * HOUR
LAST = 20_000 * DAY


@pytest.fixture
async def world(data_dir: Path, store_address: Path | str) -> AsyncIterator[World]:
    DataDirectory(data_dir).create()
    async with Database.open(store_address) as database:
        yield World(database)


@pytest.mark.parametrize("days", [(5, 4, 3), (3, 5, 4), (4, 5, 3)])
async def test_what_a_fact_of_the_past_gives_only_now_is_entered_in_its_turn(
    world: World, days: tuple[int, int, int]
) -> None:
    before, *now = [LAST - day * DAY for day in days]
    await world.send(world.event("act", "ada", before))
    await world.apply(GAME, refold=False, backfill=True)
    await world.send(*[world.event("act", "ada", at) for at in sorted(now)])
    entries = asked(world.address, "SELECT amount, balance FROM ledger ORDER BY number")
    assert [amount for amount, _ in entries] == [2, 2, 2]
    sums = [sum(amount for amount, _ in entries[: place + 1]) for place in range(len(entries))]
    assert [balance for _, balance in entries] == sums
    await world.apply(GAME)
    assert await world.differences() == {}
