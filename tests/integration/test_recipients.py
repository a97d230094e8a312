"""Facts that award others than their senders, over the store: listed, verified, mended, filled in, erased."""

import json
import random
from typing import Any

import pytest

from bq_server.clock import Clocks
from bq_server.events import Event
from bq_server.game.document.definitions import Game
from bq_server.game.facts import FACT_VOIDED
from bq_server.moments import HOUR
from bq_server.processing import game_runner
from bq_server.processing.compiled_games import Games
from bq_server.processing.recipient_refold import RecipientRefold
from bq_server.store import erasures, participants, received_facts
from tests.support import store
from tests.support.played_world import GAME, SCOPE, START, World
from tests.support.seeds import seeds

TABLES = ("ledger", "received_facts")
TO = {"award_to": "properties.to"}
BRINGING: dict[str, Any] = {
    **GAME,
    "points": [
        *GAME["points"],
        {"code": "bring", "on": "bought", "award": "properties.amount", **TO},
        {"code": "few", "on": "bought", "award": 1, "limit": {"times": 2, "per": "day"}, **TO},
    ],
    "badges": [
        *GAME["badges"],
        {"code": "host", "name": "Host", "revocable": True, "criteria": {"on": "bought", "target": 3}, **TO},
        {"code": "often", "name": "Often", "repeatable": True, "criteria": {"on": "bought", "target": 2}, **TO},
    ],
}


def keyed(world: World, number: int, voids: int | None = None, **properties: Any) -> Event:
    made = world.event("bought", f"u{number % 3}", START + number * 5 * HOUR, amount=7 + number % 3, **properties)
    return made._replace(idempotency_key=f"k{number}", voids=None if voids is None else f"k{voids}")


def asked(world: World, sql: str) -> list[tuple[Any, ...]]:
    return sorted(store.asked(world.address, sql), key=repr)


async def void(world: World, fact_id: str, who: str) -> None:
    """As the route makes it."""
    event = world.event("fact_voided", who, world.clock(), fact_id=fact_id)
    await world.send(event._replace(system_type=FACT_VOIDED, voids=fact_id))


async def fact_id_of(world: World, key: str) -> str:
    event = world.event("bought", "u0", START)._replace(idempotency_key=key)
    (outcome,) = await world.processor.process([event])
    return outcome.fact.fact_id


def points(world: World, who: str) -> int:
    rows = world.rows("SELECT amount FROM ledger WHERE environment = 'test' AND participant_id = ?", who)
    return sum(amount for (amount,) in rows)


async def erase(world: World, who: str) -> None:
    """What the eraser does in the store, in portions of two."""
    recipient_refold = RecipientRefold(Games(), world.ids, Clocks(world.clock))
    async with world.database.read() as connection:
        reference = await participants.reference(connection, SCOPE, who)
    assert reference is not None
    stripped, given = 2, 2
    while stripped == 2:
        async with world.database.transaction() as connection:
            stripped, others = await erasures.strip(connection, SCOPE, reference, 2)
            if others:
                await recipient_refold.refold(connection, SCOPE, sorted(others))
    async with world.database.transaction() as connection:
        await erasures.remove_ledger(connection, reference, 10_000)
    while given == 2:
        async with world.database.transaction() as connection:
            given = await erasures.give_received_to_nobody(connection, SCOPE, reference, 2)
    async with world.database.transaction() as connection:
        await erasures.remove(connection, SCOPE, who, reference, facts=1, now=1)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", seeds(4))
async def test_in_any_order_what_is_stored_is_what_the_facts_lead_to(world: World, seed: int) -> None:
    await world.apply(BRINGING)
    chance = random.Random(seed)
    whom: list[Any] = ["u1", "u2", "new", ["u0", "u1", "other"], None, "u0", 5]
    events = [keyed(world, number, to=chance.choice(whom)) for number in range(24)]
    events += [keyed(world, number, number - chance.choice([3, 6, 9, 24]), to="u1") for number in range(24, 32)]
    events += [world.event("timezone_changed", "u1", START + 30 * HOUR, timezone="Asia/Tokyo")]
    chance.shuffle(events)
    while events:
        size = chance.choice([1, 2, 7])
        await world.send(*events[:size])
        del events[:size]
        assert await world.differences() == {}
    voided = await fact_id_of(world, "k4")
    await void(world, voided, "u1")
    assert await world.differences() == {}
    before = [asked(world, f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in TABLES]  # noqa: S608
    await world.replay()
    assert await world.differences() == {}
    assert await world.replay() == 0, "there is nothing left to do"
    assert [asked(world, f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in TABLES] == before  # noqa: S608
    assert len(before[1]) > 10


@pytest.mark.anyio
async def test_a_batch_moves_everybody_it_names_and_a_repeat_nobody(world: World) -> None:
    await world.apply(BRINGING)
    before = points(world, "u1")
    events = [keyed(world, 0, to=["u1", "new"]), keyed(world, 3, to="new"), keyed(world, 1, to="u0")]
    await world.send(*events)
    await world.send(*events)
    assert points(world, "new") == 2 * 7 + 2
    paid = world.rows("SELECT cause, amount FROM ledger WHERE participant_id = 'u1' AND cause LIKE 'points:%'")
    assert sorted(amount for cause, amount in paid if cause.startswith(("points:bring", "points:few"))) == [1, 7]
    assert points(world, "u1") == before + 7 + 1 + 8
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_failing_transaction_moves_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.apply(BRINGING)
    event = keyed(world, 0, to="new")

    def fail(*_: object) -> None:
        raise RuntimeError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(received_facts, "put", fail)
        with pytest.raises(RuntimeError):
            await world.send(event)
    assert asked(world, "SELECT * FROM received_facts") == []
    assert points(world, "new") == 0
    await world.send(event)
    assert points(world, "new") == 8
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_what_is_missing_from_the_list_is_found_and_mended(world: World) -> None:
    await world.apply(BRINGING)
    await world.send(keyed(world, 1, to=["u0", "new"]), keyed(world, 4, to="new"))
    await world.send(keyed(world, 7, voids=1))
    before = sorted(asked(world, "SELECT participant, fact FROM received_facts"))
    assert len(before) == 5
    asked(world, "DELETE FROM received_facts")
    missing = {key.rpartition("/")[2] for who, key in await world.differences() if key.startswith("received/")}
    assert missing == {"u0", "new"}
    assert await world.replay() > 0
    assert sorted(asked(world, "SELECT participant, fact FROM received_facts")) == before
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_game_that_begins_to_name_others_counts_the_past_if_it_is_told_to(world: World) -> None:
    await world.send(keyed(world, 0, to="new", by="other"), keyed(world, 1, to=["new", "u0"]))
    await world.send(keyed(world, 4, voids=1), keyed(world, 3))
    forecast = (
        await world.game_changes.apply(SCOPE, Game.model_validate(BRINGING), backfill=True, dry_run=True)
    ).forecast
    assert forecast is not None
    assert {each.cause: each.points for each in forecast.payments}["points:bring"] == 7
    assert asked(world, "SELECT * FROM received_facts") == []
    await world.apply(BRINGING, backfill=True)
    assert points(world, "new") == 8
    assert await world.differences() == {}
    by: dict[str, Any] = {**BRINGING, "points": [{**each, "award_to": "properties.by"} for each in BRINGING["points"]]}
    await world.apply({**by, "badges": GAME["badges"]})
    assert (points(world, "new"), points(world, "other")) == (8, 7 + 7 + 1), "what was awarded stays"
    assert await world.differences() == {}
    await world.apply(GAME)
    await world.send(keyed(world, 6, to="new"))
    await world.send(world.event("undone", "u0", START)._replace(idempotency_key="undo", voids="k0"))
    assert (points(world, "new"), points(world, "other")) == (0, 0), "though nothing awards others any more"
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_without_backfill_only_new_facts_award_others(world: World) -> None:
    await world.send(keyed(world, 0, to="new"))
    await world.apply(BRINGING)
    assert asked(world, "SELECT * FROM received_facts") == []
    await world.send(keyed(world, 3, to="new"))
    assert points(world, "new") == 8
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_who_was_awarded_by_an_erased_sender_keeps_it_and_counts_it_no_more(world: World) -> None:
    await world.apply(BRINGING)
    first = [keyed(world, number, to="new") for number in (0, 3, 6, 9)]
    await world.send(*first, keyed(world, 1, to="new"))
    await world.send(world.event("undone", "u0", START)._replace(idempotency_key="undo", voids="k9"))
    held = points(world, "new")
    badges = world.rows("SELECT cell FROM cells WHERE participant_id = 'new' AND cell LIKE 'badge/%' ORDER BY 1")
    assert len(badges) == 2
    await erase(world, "u0")
    assert await world.differences() == {}
    assert points(world, "new") == held + 1, "of the limited rule, what u1 sent finds room now"
    assert (
        world.rows("SELECT cell FROM cells WHERE participant_id = 'new' AND cell LIKE 'badge/%' ORDER BY 1") == badges
    )
    ((cell,),) = world.rows("SELECT value FROM cells WHERE participant_id = 'new' AND cell = 'criteria/often'")
    assert json.loads(cell)["v"] == 1, "what u1 sent"
    await void(world, await fact_id_of(world, "k1"), "u1")
    assert points(world, "new") == held - 8, "nothing is given again of what was void"
    await world.replay()
    assert await world.differences() == {}
    assert (await world.replay(), points(world, "new")) == (0, held - 8)


@pytest.mark.anyio
async def test_who_is_erased_leaves_nothing_and_comes_back_as_somebody_new(world: World) -> None:
    await world.apply(BRINGING)
    await world.send(keyed(world, 0, to=["new", "u1"]), keyed(world, 3, to=["new", "other"]))
    await erase(world, "new")
    await erase(world, "other")
    assert await world.differences() == {}
    kept = asked(
        world, "SELECT effects FROM received_facts JOIN participants USING (participant) WHERE participant_id = ''"
    )
    assert kept == [(None,), (None,)]
    await world.send(keyed(world, 6, to="new"))
    assert points(world, "new") == 7 + 1
    await world.send(world.event("undone", "u0", START)._replace(idempotency_key="undo", voids="k0"))
    assert await world.differences() == {}
    await world.apply(
        {**BRINGING, "points": [{**each, "starts_at": "2000-01-01T00:00:00Z"} for each in BRINGING["points"]]}
    )
    await world.replay()
    assert points(world, "new") == 7 + 1
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_game_without_it_looks_for_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("nobody receives anything")

    monkeypatch.setattr(game_runner, "receive", never)
    for name in ("history", "about_voids", "recipients_of", "put"):
        monkeypatch.setattr(received_facts, name, never)
    await world.send(keyed(world, 0, to="new"), keyed(world, 3))
    await world.send(keyed(world, 6, voids=0))
    await world.apply({**GAME, "points": []}, backfill=True)
    monkeypatch.undo()
    assert await world.differences() == {}
