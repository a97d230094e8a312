"""Referrals over the store: what is stored is what the facts lead to, whatever comes first and whatever is undone."""

import random
from typing import Any

import pytest

from bq_server.events import Event
from bq_server.game.facts import PARTICIPANT_REFERRED
from bq_server.moments import HOUR
from tests.integration.test_aliases import alias
from tests.integration.test_aliases import void as undo
from tests.integration.test_recipients import asked, erase, points
from tests.support.played_world import GAME, START, World
from tests.support.seeds import seeds

NAMES = ["u0", "u1", "u2", "new"]
CAME = {"on": PARTICIPANT_REFERRED}
ON = {"on": [PARTICIPANT_REFERRED, "bought"]}
TO = {"award_to": "properties.referrer_id"}
DAILY = {"limit": {"times": 1, "per": "day"}}
REFERRING: dict[str, Any] = {
    **GAME,
    "points": [
        *GAME["points"],
        {"code": "welcome", **CAME, "award": 20},
        {"code": "few", **ON, **DAILY, "award": 1},
        {"code": "referral", **CAME, "award": 100, **TO},
        {"code": "some", **CAME, "award": 3, **TO, **DAILY},
    ],
    "badges": [
        *GAME["badges"],
        {
            "code": "host",
            "name": "Host",
            "revocable": True,
            "criteria": {"on": PARTICIPANT_REFERRED, "target": 2},
            **TO,
        },
        {"code": "busy", "name": "Busy", "repeatable": True, "criteria": {**ON, "target": 3}},
    ],
    "leaderboards": [
        *GAME["leaderboards"],
        {"code": "brought", "name": "Brought", "metric": {**ON, "aggregate": "count"}, "window": ["daily", "all_time"]},
    ],
}


def referral(world: World, who: str, by: str, at: int) -> Event:
    made = world.event(PARTICIPANT_REFERRED, who, at, referrer_id=by, code="k")
    return made._replace(system_type=PARTICIPANT_REFERRED)


async def made(world: World, who: str, by: str, at: int) -> str:
    (outcome,) = await world.processor.process([referral(world, who, by, at)])
    return str(outcome.fact.fact_id)


def stored(world: World) -> list[Any]:
    return [asked(world, f"SELECT * FROM {table}") for table in ("ledger", "cells", "standings", "received_facts")]  # noqa: S608


@pytest.mark.anyio
@pytest.mark.parametrize("seed", seeds(4))
async def test_in_any_order_what_is_stored_is_what_the_facts_lead_to(world: World, seed: int) -> None:
    await world.apply(REFERRING)
    chance = random.Random(seed)
    events = [
        referral(world, chance.choice(NAMES), chance.choice(NAMES), START + number * 5 * HOUR)
        if number % 2
        else world.event("bought", chance.choice(NAMES), START + number * 5 * HOUR, amount=5)
        for number in range(30)
    ]
    chance.shuffle(events)
    ids = []
    while events:
        size = chance.choice([1, 2, 7])
        outcomes = await world.processor.process(events[:size])
        ids += [(each.fact.fact_id, each.fact.participant_id) for each in outcomes if each.fact.fact_type[0] == "s"]
        del events[:size]
        assert await world.differences() == {}
    await undo(world, *ids[3])
    assert await world.differences() == {}
    aliased = await alias(world, "new", "u1")
    assert await world.differences() == {}
    await undo(world, aliased, "u1")
    assert await world.differences() == {}
    before = stored(world)
    await world.replay()
    assert await world.differences() == {}
    assert await world.replay() == 0, "there is nothing left to do"
    assert stored(world)[0] == before[0]
    assert stored(world)[3] == before[3]
    await erase(world, "u2")
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_game_that_comes_later_counts_earlier_referrals_where_it_is_told_to(world: World) -> None:
    for number, who in enumerate(["u0", "u1"]):
        await made(world, who, "new", START + number * HOUR)
    await world.apply(REFERRING)
    assert (points(world, "new"), await world.differences()) == (0, {})
    await world.apply(GAME)
    await world.apply(REFERRING, backfill=True)
    assert points(world, "new") == 2 * 100 + 3
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_void_referral_by_somebody_else_moves_nobody_and_a_repeat_neither(world: World) -> None:
    await world.apply(REFERRING)
    before = points(world, "u0")
    event = referral(world, "u0", "u1", START)
    fact_ids = {(await world.processor.process([event]))[0].fact.fact_id for _ in range(2)}
    (fact_id,) = fact_ids
    assert points(world, "u0") == before + 21
    await undo(world, fact_id, "u1")
    assert points(world, "u0") == before + 21
    await undo(world, fact_id, "u0")
    assert points(world, "u0") == before
    assert await world.differences() == {}
