"""Transfers over the store: verified, mended, refolded, and found where somebody's list lost one."""

from typing import Any

import pytest

from bq_server.game.facts import FACT_VOIDED
from bq_server.moments import HOUR
from tests.support import store
from tests.support.played_world import GAME, NOW, World

GIVING: dict[str, Any] = {**GAME, "transfers": True, "currencies": [{"code": "coins"}, {"code": "gems"}]}


def asked(world: World, sql: str) -> list[tuple[Any, ...]]:
    return sorted(store.asked(world.address, sql), key=repr)


async def played(world: World) -> None:
    await world.apply(GIVING)
    at = NOW + HOUR
    for number, (who, to, currency) in enumerate([("u0", "u1", None), ("u1", "u2", "gems"), ("u0", "new", None)]):
        more: dict[str, Any] = {} if currency is None else {"currency": currency}
        await world.send(world.event("points_transferred", who, at + number, recipient_id=to, amount=5, **more))


@pytest.mark.anyio
async def test_what_was_given_is_clean_and_a_replay_changes_nothing(world: World) -> None:
    await played(world)
    assert await world.differences() == {}
    await world.replay()
    before = asked(world, "SELECT * FROM ledger"), asked(world, "SELECT * FROM received_facts")
    assert await world.replay() == 0
    await world.apply({**GIVING, "points": [{**GAME["points"][0], "award": 1}]})
    assert await world.differences() == {}
    assert (asked(world, "SELECT * FROM ledger"), asked(world, "SELECT * FROM received_facts")) == before


@pytest.mark.anyio
async def test_a_game_without_transfers_keeps_what_was_given(world: World) -> None:
    await played(world)
    await world.apply(GAME)
    await world.send(world.event("bought", "u1", NOW + 2 * HOUR, amount=3))
    assert await world.differences() == {}
    await world.replay()
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_void_of_the_sender_s_reaches_the_recipient(world: World) -> None:
    await played(world)
    ((fact_id,),) = world.rows(
        "SELECT fact_id FROM ledger WHERE environment = 'test' AND participant_id = 'new' AND cause LIKE 'transfer:%'"
    )
    made = world.event("fact_voided", "u0", NOW + 3 * HOUR, fact_id=fact_id)
    await world.send(made._replace(event_name=FACT_VOIDED, system_type=FACT_VOIDED, voids=fact_id))
    entries = world.rows("SELECT amount FROM ledger WHERE environment = 'test' AND participant_id = 'new'")
    assert entries == [(5,), (-5,)]
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_an_edited_balance_is_found_and_mended(world: World) -> None:
    await played(world)
    edited = (
        "UPDATE ledger SET balance = balance + 1 "
        "WHERE environment = 'test' AND participant_id = 'u1' AND cause LIKE 'transfer:%'"
    )
    assert world.edit(edited) == 1
    assert any(who == "u1" and key.startswith("ledger/transfer:") for who, key in await world.differences())
    await world.replay()
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_recipient_whose_list_lost_it_is_found_and_has_it_again(world: World) -> None:
    await played(world)
    before = sorted(asked(world, "SELECT participant, fact FROM received_facts"))
    assert len(before) == 3
    asked(world, "DELETE FROM received_facts")
    missing = {key.rpartition("/")[2] for _, key in await world.differences() if key.startswith("received/")}
    assert missing == {"u1", "u2", "new"}
    assert await world.replay() > 0
    assert sorted(asked(world, "SELECT participant, fact FROM received_facts")) == before
    assert await world.differences() == {}
