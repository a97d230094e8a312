"""Names that stand for others, over the store: as if everything had been sent under one name, and back."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from bq_server.audit.verification import Verifier
from bq_server.events import Event
from bq_server.game.facts import ATTRIBUTES_CHANGED, FACT_VOIDED, PARTICIPANT_ALIASED, POINTS_TRANSFERRED
from bq_server.moments import HOUR
from bq_server.store import environments
from bq_server.store.database import Database
from bq_server.store.facts import fact_id_of
from tests.integration.test_recipients import BRINGING
from tests.support.played_world import SCOPE, START, World
from tests.support.seeds import seeds
from tests.support.store import at_store, changed

NAMES = ["a", "b", "c"]
RICH: dict[str, Any] = {
    **BRINGING,
    "transfers": True,
    "points": [
        *BRINGING["points"],
        {"code": "daily", "on": "bought", "award": 3, "limit": {"times": 1, "per": "day", "timezone": "UTC"}},
        {"code": "reds", "on": "bought", "when": 'participant.attributes.team == "red"', "award": 2},
        {"code": "golden", "on": "login", "when": 'participant.tier == "gold"', "award": 1},
    ],
    "leaderboards": [
        *BRINGING["leaderboards"],
        {
            "code": "teams",
            "name": "Teams",
            "metric": {"on": "bought", "aggregate": "sum", "of": "properties.amount"},
            "group_by": "attributes.team",
            "combine": "sum",
        },
    ],
}
FACT = re.compile(r"fact_\w{26}")


async def alias(world: World, name: str, who: str) -> str:
    """As the route makes it; returns the id of the fact."""
    event = world.event("participant_aliased", who, START - 2 * HOUR, alias=name)
    (outcome,) = await world.processor.process([event._replace(system_type=PARTICIPANT_ALIASED)])
    return str(outcome.fact.fact_id)


async def void(world: World, fact_id: str, who: str) -> str:
    event = world.event("fact_voided", who, START - HOUR, fact_id=fact_id)
    (outcome,) = await world.processor.process([event._replace(system_type=FACT_VOIDED, voids=fact_id)])
    return str(outcome.fact.fact_id)


async def nothing(world: World) -> None:
    """A fact that changes nothing, in place of one about aliases."""
    await world.send(world.event("nothing", "nobody", START))


def drawn(seed: int, count: int, renamed: dict[str, str], *, voids: bool = False) -> list[dict[str, Any]]:
    """What happens to whom, with some names replaced by others wherever they stand."""
    chance = random.Random(seed)
    found: list[dict[str, Any]] = []
    for number in range(count):
        kind = chance.choice(
            ["bought", "bought", "bought", "login", "void" if voids else "login", "transfer", "award", "team"]
        )
        who, other = chance.choice(NAMES), chance.choice(NAMES)
        to = chance.choice([None, *NAMES, NAMES[:2]])
        meant = [renamed.get(each, each) for each in to] if isinstance(to, list) else renamed.get(to or "", to)
        about = {"who": renamed.get(who, who), "other": renamed.get(other, other), "to": meant}
        found.append({"kind": kind, "at": START + number * 7 * HOUR, "key": chance.randrange(number + 1), **about})
    return found


def event_of(world: World, number: int, told: dict[str, Any]) -> Event:
    who, at = told["who"], told["at"]
    match told["kind"]:
        case "bought":
            made = world.event("bought", who, at, amount=5 + number % 4, shop=f"s{number % 5}", to=told["to"])
            return made._replace(idempotency_key=f"k{number}")
        case "void":
            return world.event("refunded", who, at)._replace(voids=f"k{told['key']}")
        case "transfer":  # to oneself moves nothing
            made = world.event("points_transferred", who, at, amount=1, recipient_id=told["other"])
            return made._replace(system_type=POINTS_TRANSFERRED)
        case "team":
            team = "red" if number % 3 else "blue"
            made = world.event("attributes_changed", who, at, attributes={"team": team})
            return made._replace(system_type=ATTRIBUTES_CHANGED)
        case "award":
            return world.event("points_awarded", who, at, amount=2)
        case _:
            return world.event("login", who, at)


def seen(world: World) -> dict[str, Any]:
    """Everything that follows from facts, but for the ids of transactions."""

    def look(connection: Any) -> dict[str, Any]:
        facts = connection.execute("SELECT seq, event_id, fact_id FROM facts").fetchall()
        names = {fact_id_of(event_id, fact_id): f"fact {seq}" for seq, event_id, fact_id in facts}

        def plainly(value: Any) -> Any:
            return FACT.sub(lambda found: names[found[0]], value) if isinstance(value, str) else value

        def rows(sql: str) -> list[Any]:
            return [[plainly(each) for each in row] for row in connection.execute(sql).fetchall()]

        def of_each(columns: str, table: str) -> list[Any]:
            sql = f"SELECT {columns} FROM {table} JOIN participants USING (participant)"  # noqa: S608 - ours
            return sorted(rows(sql))

        states = rows("SELECT participant_id, state, total_events FROM participants WHERE known = 1")
        team = "(SELECT named.participant_id FROM participants AS named WHERE named.participant = team)"
        ranking = "board, time_window, period, participant_id, score, reached_at"
        return {
            "states": {name: [json.loads(state), total] for name, state, total in states if name in NAMES},
            "cells": {
                f"{who}/{cell}": json.loads(told)
                for who, cell, told in of_each("participant_id, cell, value", "cells")
                if who in NAMES
            },
            "ledger": of_each("participant_id, cause, amount, occurred_at, fact", "ledger"),
            "places": of_each(ranking, "standings JOIN rankings USING (ranking)"),
            "members": of_each(f"participant_id, {team}, score, reached_at, exact", "team_scores"),
            "received": of_each("participant_id, fact", "received_facts"),
            "marks": sorted(
                rows(
                    "SELECT seq, voided_by FROM facts JOIN fact_types USING (type)"
                    " WHERE voided_by IS NOT NULL AND fact_type <> 'system.participant_aliased'"
                )
            ),
        }

    found: dict[str, Any] = at_store(world.address, look)
    return found


def assert_same(named: World, plain: World) -> None:
    assert_same_seen(seen(named), seen(plain))


def assert_same_seen(one: dict[str, Any], other: dict[str, Any]) -> None:
    for kind in one:
        found = differing(one[kind], other[kind])
        assert not found, f"{kind}: {found}"


def differing(one: Any, other: Any, where: str = "") -> dict[str, Any]:
    """What is not the same, by where it is."""
    if isinstance(one, dict) and isinstance(other, dict):
        found: dict[str, Any] = {}
        for name in one.keys() | other.keys():
            found |= differing(one.get(name), other.get(name), f"{where}/{name}")
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = {}
        for place, (each, same) in enumerate(zip(one, other, strict=True)):
            found |= differing(each, same, f"{where}/{place}")
        return found
    return {} if one == other else {where: (one, other)}


async def right(world: World) -> None:
    assert await world.differences() == {}
    assert [each for each in await world.kept() if each[0] in NAMES] == []


@pytest.fixture
async def plain(tmp_path: Path) -> Any:
    """A store of its own, in which there are no aliases."""
    async with Database.open(tmp_path / "plain.sqlite3") as database:
        yield World(database)


@pytest.fixture
async def named(tmp_path: Path) -> Any:
    """A store in which some names are aliases."""
    async with Database.open(tmp_path / "named.sqlite3") as database:
        yield World(database)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", seeds(4))
async def test_it_is_as_if_everything_had_been_sent_under_one_name(named: World, plain: World, seed: int) -> None:
    story, renamed = drawn(seed, 40, {}), drawn(seed, 40, {"a": "b"})
    at = random.Random(seed).randrange(40)
    for world in (named, plain):
        await world.apply(RICH)
    for number, (one, other) in enumerate(zip(story, renamed, strict=True)):
        if number == at:
            await alias(named, "a", "b")
            await nothing(plain)
            await right(named)
        await named.send(event_of(named, number, one))
        await plain.send(event_of(plain, number, other))
    assert await named.differences() == {}
    assert_same(named, plain)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", seeds(4))
async def test_undone_both_are_as_if_it_had_never_been(named: World, plain: World, seed: int) -> None:
    chance = random.Random(seed)
    begin, end = sorted(chance.sample(range(40), 2))
    fact_id = ""
    for world in (named, plain):
        await world.apply(RICH)
    for number, told in enumerate(drawn(seed, 40, {})):
        if number == begin:
            fact_id = await alias(named, "a", "b")
            await nothing(plain)
        if number == end:
            await void(named, fact_id, "b")
            await nothing(plain)
            await right(named)
        for world in (named, plain):
            await world.send(event_of(world, number, told))
    assert await named.differences() == {}
    assert_same(named, plain)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", seeds(4))
async def test_voids_of_one_name_reach_facts_of_the_other_while_both_are_one(
    named: World, plain: World, seed: int
) -> None:
    chance = random.Random(seed)
    begin, end = sorted(chance.sample(range(10, 40), 2))
    fact_id = ""
    for world in (named, plain):
        await world.apply(RICH)
    for number, told in enumerate(drawn(seed, 40, {}, voids=True)):
        if number == begin:
            fact_id = await alias(named, "a", "b")
            await nothing(plain)
            assert await named.differences() == {}
        if number == end:
            await void(named, fact_id, "b")
            await nothing(plain)
        for world in (named, plain):
            await world.send(event_of(world, number, told))
        assert await named.differences() == {}
    one, other = seen(named), seen(plain)
    assert one["marks"] == other["marks"]
    assert {*map(tuple, other["received"])} <= {*map(tuple, one["received"])}, "it may hold more than is listened to"
    await named.replay()
    assert await named.differences() == {}
    assert await named.replay() == 0


@pytest.mark.anyio
async def test_verify_finds_what_is_wrong_and_replay_mends_it(world: World) -> None:
    await world.apply(RICH)
    for number, told in enumerate(drawn(3, 20, {})):
        await world.send(event_of(world, number, told))
    await alias(world, "a", "b")
    await alias(world, "b", "c")
    await right(world)
    await world.replay()
    before = seen(world)
    changed(
        world.address,
        "UPDATE facts SET participant = sent_as, sent_as = NULL WHERE sent_as IS NOT NULL AND seq % 2 = 1",
    )
    found = await world.differences()
    assert ("a", "sent_as/a") in found
    assert ("b", "sent_as/b") in found
    await world.replay()
    assert_same_seen(seen(world), before)
    changed(world.address, "DELETE FROM aliases")
    assert {("c", "alias/b"), ("c", "sent_as/a")} <= (await world.differences()).keys()
    await world.replay()
    assert await world.differences() == {}
    assert seen(world)["ledger"] == before["ledger"]
    assert await world.replay() == 0


@pytest.mark.anyio
async def test_a_byte_changed_in_the_name_is_found_and_a_move_of_facts_changes_no_checksum(world: World) -> None:
    await world.send(world.event("bought", "a", START, amount=5))
    await alias(world, "a", "b")
    verifier = Verifier(world.database)
    assert [each async for each in verifier.altered(SCOPE)] == []
    changed(world.address, "UPDATE facts SET sent_as = participant WHERE sent_as IS NOT NULL")
    assert [each.participant_id async for each in verifier.altered(SCOPE)] == ["b"]


@pytest.mark.anyio
async def test_what_an_earlier_game_gave_goes_along_and_comes_back(world: World) -> None:
    badge = {"code": "early", "name": "Early", "criteria": {"on": "signed_up", "target": 1}}
    earlier = {"points": [{"code": "old", "on": "signed_up", "award": 7}], "badges": [badge]}
    await world.apply(earlier)
    await world.send(world.event("signed_up", "a", START))
    await world.apply({"points": [{"code": "new", "on": "signed_up", "award": 1}]})
    await world.send(world.event("signed_up", "a", START + 2 * HOUR), world.event("signed_up", "b", START + HOUR))
    fact_id = await alias(world, "a", "b")
    assert await world.differences() == {}
    assert points(world, "b") == 7 + 1 + 1
    assert held(world, "b") == ["badge/early"]
    await void(world, fact_id, "b")
    assert await world.differences() == {}
    assert (points(world, "a"), points(world, "b")) == (8, 1)
    assert (held(world, "a"), held(world, "b")) == (["badge/early"], []), "it was given for a fact of theirs"


def points(world: World, who: str) -> int:
    found = world.rows("SELECT amount FROM ledger WHERE environment = 'test' AND participant_id = ?", who)
    return sum(amount for (amount,) in found)


def held(world: World, who: str) -> list[str]:
    sql = "SELECT cell FROM cells WHERE environment = 'test' AND participant_id = ? AND cell LIKE 'badge/%'"
    return [cell for (cell,) in world.rows(sql, who)]


@pytest.mark.anyio
async def test_entries_that_are_still_due_keep_their_ids_and_a_limit_is_one_for_both(world: World) -> None:
    await world.apply({"points": [{"code": "daily", "on": "bought", "award": 3, "limit": {"times": 1, "per": "ever"}}]})
    await world.send(world.event("bought", "a", START), world.event("bought", "b", START + HOUR))
    ids = "SELECT transaction_id FROM ledger WHERE environment = 'test' AND participant_id = ?"
    first, other = world.rows(ids, "a"), world.rows(ids, "b")
    fact_id = await alias(world, "a", "b")
    assert (world.rows(ids, "a"), world.rows(ids, "b")) == ([], first)
    await void(world, fact_id, "b")
    assert (points(world, "a"), points(world, "b")) == (3, 3)
    assert world.rows(ids, "a") == first
    assert world.rows(ids, "b") != other, "it was taken back, and is given again"


@pytest.mark.anyio
async def test_the_first_of_two_that_contradict_each_other_holds(world: World) -> None:
    """No route makes them; an import may."""
    await world.send(world.event("bought", "a", START, amount=5))
    await alias(world, "a", "b")
    await alias(world, "a", "c")
    await alias(world, "b", "a")
    await world.replay()
    assert [world.rows("SELECT total_events FROM participants WHERE participant_id = ?", who) for who in "abc"] == [
        [],
        [(1,)],
        [(0,)],
    ]
    assert await world.differences() == {}
    assert await world.replay() == 0


@pytest.mark.anyio
async def test_an_environment_that_was_emptied_has_no_aliases_to_look_up(named: World) -> None:
    await alias(named, "a", "b")
    async with named.database.transaction(undo=True) as connection:
        await environments.empty(connection, SCOPE, game=False)
        aliased = connection.references.aliased
    assert aliased == {SCOPE}, "what is rolled back has emptied nothing"
    async with named.database.transaction() as connection:
        await environments.remove_oldest_facts(connection, SCOPE, 10)
        await environments.remove_consequences(connection, SCOPE, 10)
        await environments.empty(connection, SCOPE, game=False)
        assert aliased == {SCOPE}, "nor has what is not committed"
    assert aliased == set()
    await alias(named, "b", "c")
    assert aliased == {SCOPE}
