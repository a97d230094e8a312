"""What is stored is what the facts lead to, and a hand that wrote elsewhere is noticed and mended."""

from pathlib import Path
from typing import Any

import pytest

from bq_server.moments import HOUR
from tests.support.played_world import CELL, GAME, NEW_CELL, NO_CELL, SCOPE, START, World
from tests.support.process import run
from tests.support.store import POSTGRESQL, changed


@pytest.mark.anyio
async def test_what_was_played_is_clean_and_a_replay_changes_no_award(world: World) -> None:
    assert await world.differences() == {}
    awards = "SELECT participant_id, cell, value FROM cells WHERE cell LIKE 'badge/%' OR cell IN ('tiers', 'points')"
    before = world.rows(awards), world.rows("SELECT * FROM ledger")
    assert {cell for _, cell, _ in before[0]} >= {"badge/first", "badge/champion", "badge/loyal", "tiers"}
    await world.replay()
    assert (world.rows(awards), world.rows("SELECT * FROM ledger")) == before
    assert await world.differences() == {}
    assert await world.replay() == 0, "there is nothing left to do"


def change_claims(world: World, sql: str) -> int:
    """Somebody changes what is remembered of claims; answers how many."""
    return changed(world.address, sql)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("change", "stored"),
    [
        ("DELETE FROM reward_claims WHERE code_value = 'AAA'", None),
        ("UPDATE reward_claims SET reward_code = 'hat' WHERE code_value = 'AAA'", ["hat", "AAA"]),
        ("UPDATE reward_claims SET code_value = 'CCC' WHERE code_value = 'AAA'", ["mug", "CCC"]),
    ],
)
async def test_a_claim_is_remembered_as_its_fact_says(world: World, change: str, stored: list[str] | None) -> None:
    first = world.event("reward_claimed", "u1", START, reward_code="mug", cost=0, code_value="AAA")
    await world.send(first, world.event("reward_claimed", "u2", START, reward_code="mug", cost=0, code_value=None))
    assert await world.differences() == {}
    assert change_claims(world, change) == 1
    ((who, key), (found, expected)) = (await world.differences()).popitem()
    assert (who, key.partition("/")[0], found, expected) == ("u1", "claim", stored, ["mug", "AAA"])
    await world.replay()
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_claim_without_a_fact_of_one_is_forgotten(world: World) -> None:
    await world.send(world.event("reward_claimed", "u1", START, reward_code="mug", cost=0, code_value=None))
    assert change_claims(world, "INSERT INTO reward_claims SELECT 1, scope, 'hat', NULL FROM reward_claims") == 1
    assert [stored for stored, _ in (await world.differences()).values()] == [["hat", None]]
    await world.replay()
    assert await world.differences() == {}


def cell(change: str, name: str) -> tuple[str, str]:
    return f"{change} WHERE environment = 'test' AND participant_id = 'u1' AND cell = ?", name


def entry(change: str, cause: str) -> tuple[str, str]:
    return f"{change} WHERE environment = 'test' AND participant_id = 'u0' AND cause LIKE ?", cause


def place(change: str, board: str) -> tuple[str, str]:
    return f"{change} WHERE environment = 'test' AND participant_id = 'u1' AND board = ?", board


EDITS: dict[str, tuple[tuple[str, ...], str]] = {
    "a challenge's progress": (
        cell("UPDATE cells SET value = json_set(value, '$.p.d[0]', NULL, '$.p.v[0]', 1)", "challenge/spring"),
        "challenge/spring",
    ),
    "a challenge gone": ((NO_CELL, "challenge/spring"), "challenge/spring"),
    "a challenge in order": (
        cell("UPDATE cells SET value = json_set(value, '$.p.v[1]', 800)", "challenge/steps"),
        "challenge/steps",
    ),
    "a challenge that is no JSON": ((CELL, "oh{", "challenge/spring"), "challenge/spring"),
    "a challenge of another shape": ((CELL, '{"rev": 1, "p": []}', "challenge/steps"), "challenge/steps"),
    "a milestone forgotten": (
        cell("UPDATE cells SET value = json_remove(value, '$.given.complete')", "challenge/spring"),
        "challenge/spring@complete",
    ),
    "a milestone never reached": (
        cell(
            "UPDATE cells SET value = json_set(value, '$.given', json('{\"complete\": [1, \"fact_x\"]}'))",
            "challenge/steps",
        ),
        "challenge/steps",
    ),
    "points": ((CELL, '{"balance": 1, "earned": 1, "spent": 0}', "points"), "points"),
    "points gone": ((NO_CELL, "points"), "points"),
    "a badge gone": ((NO_CELL, "badge/first"), "badge/first"),
    "a badge from nowhere": (
        (NEW_CELL, "badge/shopper", '{"at": 1, "fact": "fact_x", "cause": "me"}'),
        "badge/shopper",
    ),
    "a badge's reason": ((CELL, '{"at": 1}', "badge/first"), "badge/first"),
    "criteria": (
        cell("UPDATE cells SET value = json_set(value, '$.p.v[0]', 39)", "criteria/shopper"),
        "criteria/shopper",
    ),
    "a member of a set": ((NEW_CELL, "seen/badge/shopper/0/abc", "1"), "seen/badge/shopper/0/abc"),
    "a member of no set": ((NEW_CELL, "seen/badge/shopper/many", "1"), "seen/badge/shopper/many"),
    "a streak": (
        cell("UPDATE cells SET value = json_set(value, '$.l', 99)", "streak/daily"),
        "streak/daily",
    ),
    "a streak gone": ((NO_CELL, "streak/daily"), "streak/daily"),
    "a streak that is a number": ((CELL, "5", "streak/daily"), "streak/daily"),
    "tiers gone": ((NO_CELL, "tiers"), "tiers/gold"),
    "a tier at no time": ((CELL, '[["bronze", 1, 5], ["gold", 3, 5]]', "tiers"), "tiers"),
    "a zone": ((NEW_CELL, "zone", '[[1, 1, "Europe/Paris"]]'), "zone"),
    "a score": ((CELL, '{"rev": "x", "score": 9, "at": 1}', "score/spenders/all_time/all_time"), "score/spenders"),
    "a score by points": ((NO_CELL, "score/points/all_time/all_time"), "score/points"),
    "a cell of nothing": ((NEW_CELL, "mine", "1"), "mine"),
    "an amount": (entry("UPDATE ledger SET amount = amount + 9000", "challenge:spring"), "ledger/challenge:"),
    "an amount by hand": (
        entry("UPDATE ledger SET amount = 9", "manual:%"),
        "ledger/manual:",
    ),
    "an amount that is none": (entry("UPDATE ledger SET amount = 'x'", "points:%"), "ledger/points:"),
    "a balance": (
        entry("UPDATE ledger SET balance = 1", "challenge:spring"),
        "ledger/challenge:spring/balance",
    ),
    "an entry gone": (entry("DELETE FROM ledger", "challenge:spring"), "ledger/challenge:spring"),
    "an entry from nowhere": (
        (
            "INSERT INTO ledger (transaction_id, project, environment, participant_id, cause, amount, balance, fact_id,"
            " seq, occurred_at, created_at) VALUES ('t', 'default', 'test', 'u0', 'me', 9, 9, 'fact_x', 1, 1, 1)",
        ),
        "ledger/me",
    ),
    "an entry's time": (entry("UPDATE ledger SET occurred_at = 1", "challenge:spring"), "ledger/challenge:"),
    "a place": (
        place("UPDATE standings SET score = 9999", "leaderboard/spenders"),
        "standings/leaderboard/s",
    ),
    "a place's time": (
        place("UPDATE standings SET reached_at = 1", "challenge/spring"),
        "standings/challenge",
    ),
    "a place gone": (place("DELETE FROM standings", "leaderboard/points"), "standings/leaderboard/points"),
    "a place from nowhere": (
        ("INSERT INTO standings VALUES ('default', 'test', 'leaderboard/shops', 'all_time', 'all_time', 'me', 99, 1)",),
        "standings/leaderboard/shops",
    ),
    "a place in no period": (
        ("INSERT INTO standings VALUES ('default', 'test', 'challenge/spring', 'daily', '2026-03-02', 'u1', 1, 1)",),
        "standings/challenge/spring",
    ),
    "a number of events": (("UPDATE participants SET total_events = 1 WHERE participant_id = 'u3'",), "total_events"),
    "a participant gone": (("DELETE FROM participants WHERE participant_id = 'u3'",), "total_events"),
    "state of nobody": (("INSERT INTO cells VALUES ('default', 'test', 'me', 'points', '{}')",), "points"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_by_hand_is_found_and_mended(world: World, store: str, name: str) -> None:
    if name == "an amount that is none" and store == POSTGRESQL:
        pytest.skip("its column holds numbers alone")
    (statement, *parameters), key = EDITS[name]
    before = world.rows("SELECT participant_id, cause, amount, balance, fact_id FROM ledger ORDER BY 1, 2")
    badges = world.rows("SELECT participant_id, cell, value FROM cells WHERE cell LIKE 'badge/%'")
    assert world.edit(statement, *parameters) > 0
    found = await world.differences()
    assert any(each.startswith(key) for _, each in found), found
    assert all(stored != expected for stored, expected in found.values())
    assert await world.replay() > 0
    assert await world.differences() == {}
    after = world.rows("SELECT participant_id, cause, amount, balance, fact_id FROM ledger ORDER BY 1, 2")
    strip = slice(None) if name != "an entry gone" else slice(3)
    assert [row[strip] for row in after] == [row[strip] for row in before], "nothing is paid twice, nothing is lost"
    assert {row[:2] for row in world.rows("SELECT participant_id, cell FROM cells WHERE cell LIKE 'badge/%'")} == {
        row[:2] for row in badges
    }
    assert await world.replay() == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "",
        "oh{",
        "5",
        "[]",
        '"text"',
        '{"cells": 5}',
        '{"scores": []}',
        '{"scores": {"spenders/all_time": 5}}',
        '{"cells": {}, "scores": {}, "entries": "many"}',
        '{"cells": {}, "scores": {"spenders/all_time": [2026, "x", 1, 1], "a": [], "b/c": ["d", 1]}}',
    ],
)
async def test_a_row_of_state_that_this_program_never_wrote_is_found_and_mended(world: World, text: str) -> None:
    everything = "SELECT participant_id, cell, value FROM cells WHERE environment = 'test' ORDER BY 1, 2"
    ledger = "SELECT * FROM ledger ORDER BY entry"
    before = world.rows(everything), world.rows(ledger)
    changed(world.address, "UPDATE participants SET state = ? WHERE participant_id = 'u1'", text)
    found = await world.differences()
    assert {who for who, _ in found} == {"u1"}
    assert found["u1", "state"] == (text, "a JSON object")
    assert found["u1", "points"][0] is None
    assert await world.replay() > 0
    assert await world.differences() == {}
    after = world.rows(everything), world.rows(ledger)
    assert [row[:2] for row in after[0]] == [row[:2] for row in before[0]]
    assert after[1] == before[1], "nothing is paid twice"
    assert await world.replay() == 0
    await world.send(world.event("bought", "u1", START + 500 * HOUR, amount=3, shop="s3"))
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_replayed_participant_plays_on(world: World) -> None:
    world.edit("DELETE FROM cells WHERE participant_id IN ('u1', 'u2')")
    world.edit("DELETE FROM standings")
    await world.replay()
    late = [world.event("bought", f"u{who}", START + who * 31 * HOUR, amount=3, shop="s3") for who in (1, 2, 1, 2)]
    await world.send(*late)
    await world.send(world.event("login", "u1", START + 7 * 24 * HOUR))
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_what_is_still_being_computed_is_left_out_and_said(world: World, data_dir: Path) -> None:
    more = {"code": "more", "on": "login", "award": "2"}
    often = {**GAME["challenges"][0], "code": "often"}
    await world.apply(
        {**GAME, "points": [*GAME["points"], more], "challenges": [*GAME["challenges"], often]},
        refold=False,
        backfill=True,
    )
    assert await world.differences() == {}
    world.edit(NEW_CELL, "challenge/often", "1")
    world.edit(
        "INSERT INTO standings VALUES ('default', 'test', 'challenge/often', 'all_time', 'all_time', 'me', 1, 1)"
    )
    assert await world.differences() == {}, "what is being computed is left out"
    world.edit(NO_CELL, "badge/first")
    assert [*await world.differences()] == [("u1", "badge/first")], "and nothing else is"
    await world.replay()
    world.edit(
        "INSERT INTO standings VALUES ('default', 'test', 'challenge/often', 'all_time', 'all_time', 'me', 1, 1)"
    )
    shown = run("verify", "--data-dir", str(data_dir))
    assert shown.returncode == 0
    assert "default/test points/more: left out" in shown.stdout
    assert await world.replay() == 1
    while refold := await world.refold_job._next():
        await world.refold_job._page(refold)
    assert await world.differences() == {}, "the replay and the refold paid nothing twice"


@pytest.mark.anyio
async def test_one_participant_is_read_as_of_one_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from bq_server.store import participants

    facts = participants.facts
    writes: list[int] = []

    async def late(*arguments: Any) -> Any:
        found = await facts(*arguments)
        if arguments[1] == SCOPE and not writes:
            writes.append(1)
            await world.send(world.event("bought", "u0", START + 5, amount=5, shop="s1"))
        return found

    monkeypatch.setattr(participants, "facts", late)
    assert await world.differences() == {}
    assert writes
