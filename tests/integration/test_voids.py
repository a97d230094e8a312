"""Void facts over the store: what is marked, verified, and mended."""

import random
from typing import Any

import pytest

from bq_server.events import Event
from bq_server.game.facts import FACT_VOIDED
from bq_server.moments import HOUR
from bq_server.store import batch
from bq_server.store.facts import fact_id_of
from tests.support.played_world import GAME, START, World
from tests.support.seeds import seeds
from tests.support.store import asked, changed

REVOCABLE: dict[str, Any] = {
    **GAME,
    "badges": [{**badge, "revocable": True} for badge in GAME["badges"]],
    "challenges": [{**challenge, "revocable": True} for challenge in GAME["challenges"]],
}


def keyed(world: World, number: int, voids: int | None = None) -> Event:
    made = world.event("bought", "u1", START + number * 5 * HOUR, amount=7 + number % 3, shop=f"s{number % 11}")
    return made._replace(idempotency_key=f"k{number}", voids=None if voids is None else f"k{voids}")


async def void(world: World, fact_id: str, who: str = "u1") -> None:
    """As the route makes it."""
    event = world.event("fact_voided", who, world.clock(), fact_id=fact_id)
    await world.send(event._replace(system_type=FACT_VOIDED, voids=fact_id))


def marks(world: World) -> list[tuple[Any, ...]]:
    return asked(world.address, "SELECT seq, voided_by FROM facts WHERE voided_by IS NOT NULL ORDER BY 1")


def fact_id(world: World, seq: int) -> str:
    ((own_id, event_id),) = asked(world.address, "SELECT fact_id, event_id FROM facts WHERE seq = ?", seq)
    return fact_id_of(event_id, own_id)


@pytest.mark.anyio
@pytest.mark.parametrize("game", [GAME, REVOCABLE], ids=["awards stay", "awards are revocable"])
@pytest.mark.parametrize("seed", seeds(3))
async def test_in_any_order_what_is_stored_is_what_the_facts_lead_to(
    world: World, game: dict[str, Any], seed: int
) -> None:
    await world.apply(game)
    chance = random.Random(seed)
    events = [keyed(world, number) for number in range(20)]
    events += [keyed(world, number, chance.randrange(20)) for number in range(20, 30)]
    chance.shuffle(events)
    while events:
        size = chance.choice([1, 2, 7])
        await world.send(*events[:size])
        del events[:size]
        assert await world.differences() == {}
    ((seq,),) = asked(world.address, "SELECT seq FROM facts WHERE idempotency_key = 'k3'")
    await void(world, fact_id(world, seq))
    assert await world.differences() == {}
    ((seq,),) = asked(world.address, "SELECT max(seq) FROM facts")
    await void(world, fact_id(world, seq))
    assert await world.differences() == {}
    before = marks(world), world.rows("SELECT * FROM ledger")
    await world.replay()
    assert await world.differences() == {}
    assert (marks(world), world.rows("SELECT * FROM ledger")) == before
    assert await world.replay() == 0, "there is nothing left to do"
    assert len(marks(world)) > 5


@pytest.mark.anyio
async def test_marks_and_counter_entries_that_are_gone_are_found_and_mended(world: World) -> None:
    await world.send(keyed(world, 1), keyed(world, 2))
    await world.send(keyed(world, 3, voids=1))
    before = marks(world), world.rows("SELECT cause, amount FROM ledger ORDER BY 1, 2")
    assert changed(world.address, "UPDATE facts SET voided_by = NULL WHERE voided_by IS NOT NULL") == 1
    assert world.edit("DELETE FROM ledger WHERE cause LIKE 'void:%'") > 0
    found = {key for _, key in await world.differences()}
    assert any(key.startswith("void/") for key in found), found
    assert any(key.startswith("ledger/points:") for key in found), found
    assert await world.replay() > 0
    assert await world.differences() == {}
    assert (marks(world), world.rows("SELECT cause, amount FROM ledger ORDER BY 1, 2")) == before
    assert await world.replay() == 0


@pytest.mark.anyio
async def test_a_transaction_that_fails_leaves_no_mark(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.send(keyed(world, 1))
    before = await world.differences(), marks(world), world.rows("SELECT * FROM ledger")

    def fail(*_: object) -> None:
        raise RuntimeError("the disk is gone")

    event = keyed(world, 2, voids=1)
    with monkeypatch.context() as patch:
        patch.setattr(batch, "write", fail)
        with pytest.raises(RuntimeError):
            await world.send(event)
    assert (await world.differences(), marks(world), world.rows("SELECT * FROM ledger")) == before
    await world.send(event)
    assert len(marks(world)) == 1
    await world.send(event)
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_what_a_changed_game_computes_leaves_void_facts_out(world: World) -> None:
    await world.send(keyed(world, 1), keyed(world, 2))
    await world.send(keyed(world, 3, voids=1))
    more = {"code": "more", "on": "bought", "award": "2"}
    await world.apply({**GAME, "points": [*GAME["points"], more]}, backfill=True)
    assert await world.differences() == {}
    bought = asked(
        world.address,
        "SELECT count(*) FROM facts JOIN fact_types USING (type) JOIN participants USING (participant)"
        " WHERE participant_id = 'u1' AND event_name = 'bought' AND voided_by IS NULL",
    )
    paid = world.rows("SELECT count(*) FROM ledger WHERE cause LIKE 'points:more:%' AND participant_id = 'u1'")
    assert paid == bought
