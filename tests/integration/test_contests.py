"""Frozen results, when the server is stopped between the facts that tell of them, and when the state is made anew."""

import json
from typing import Any

import pytest

from bq_server.clock import Clocks
from bq_server.game.facts import CONTEST_ENTERED
from bq_server.moments import format_timestamp
from bq_server.processing import contest_freezer
from bq_server.processing.compiled_games import Games
from bq_server.processing.contest_freezer import ContestFreezer
from bq_server.store import contests
from tests.support.played_world import SCOPE, START, World

DAY = 86_400_000_000
GAME: dict[str, Any] = {
    "contests": [
        {
            "code": "race",
            "name": "Race",
            "starts_at": format_timestamp(START),
            "ends_at": format_timestamp(START + DAY),
            "scoring": {"on": "ran"},
            "prizes": [{"rank_from": 1, "rank_to": 3, "points": 10}],
        }
    ]
}
PLACES = "SELECT ranking, participant, score, reached_at FROM standings"
WON = """
SELECT ledger.amount FROM ledger JOIN participants ON participants.participant = ledger.participant
WHERE participants.participant_id LIKE 'p_'
"""
PEOPLE = ["p1", "p2", "p3", "p4", "p5"]


def freezer(world: World) -> ContestFreezer:
    """As a server that starts has one."""
    return ContestFreezer(world.database, Games(), Clocks(world.clock), world.processor, world.ids)


async def held(world: World) -> None:
    await world.apply(GAME)
    for place, who in enumerate(PEOPLE):
        entered = world.event(CONTEST_ENTERED, who, START, contest_code="race")._replace(system_type=CONTEST_ENTERED)
        await world.send(entered, *(world.event("ran", who, START + 1) for _ in range(len(PEOPLE) - place)))


async def rows(world: World, sql: str) -> list[Any]:
    async with world.database.read() as connection, connection.execute(sql) as cursor:
        return [tuple(row) for row in await cursor.fetchall()]


async def edit(world: World, *statements: str) -> None:
    async with world.database.transaction() as connection:
        for sql in statements:
            await connection.execute(sql)


async def placed(world: World) -> list[tuple[str, int]]:
    told = "SELECT participant_id, properties FROM fact_rows WHERE fact_type = 'system.contest_placed' ORDER BY seq"
    return [(who, json.loads(properties)["rank"]) for who, properties in await rows(world, told)]


@pytest.mark.anyio
async def test_who_is_stopped_between_two_pages_goes_on_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest_freezer, "PAGE", 2)
    await held(world)
    first = freezer(world)
    await first._freeze(SCOPE)
    assert await first._tell(SCOPE)
    assert await placed(world) == [("p1", 1), ("p2", 2)]
    async with world.database.read() as connection:
        assert (await contests.ends(connection, SCOPE))["race"].untold
    await world.send(*(world.event("ran", "p5", START + 2) for _ in range(50)))  # too late, if only just
    await freezer(world).look(SCOPE)
    await freezer(world).look(SCOPE)
    assert await placed(world) == [(who, rank) for rank, who in enumerate(PEOPLE, 1)]
    assert await rows(world, WON) == [(10,), (10,), (10,)]
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_whoever_is_erased_meanwhile_gets_no_fact(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest_freezer, "PAGE", 2)
    await held(world)
    await freezer(world)._freeze(SCOPE)
    ((reference,),) = await rows(world, "SELECT participant FROM participants WHERE participant_id = 'p2'")
    async with world.database.transaction() as connection:
        await contests.forget_participant(connection, reference)
    await freezer(world).look(SCOPE)
    assert await placed(world) == [("p1", 1), ("p3", 3), ("p4", 4), ("p5", 5)]


@pytest.mark.anyio
async def test_a_replay_changes_nothing_and_brings_back_what_was_lost(world: World) -> None:
    await held(world)
    await freezer(world).look(SCOPE)
    assert await world.replay() == 0
    before = sorted(await rows(world, PLACES))
    await edit(world, "DELETE FROM standings", "UPDATE participants SET state = '{}'")
    assert await world.differences() != {}
    await world.replay()
    assert sorted(await rows(world, PLACES)) == before
    assert await world.differences() == {}
    await freezer(world).look(SCOPE)
    assert len(await placed(world)) == len(PEOPLE)
