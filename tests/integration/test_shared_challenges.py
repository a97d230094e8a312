"""Challenges that groups share, in the store, held against what the events say when they are added up anew."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bq_server.clock import Clocks
from bq_server.game.state.keys import challenge
from bq_server.moments import HOUR
from bq_server.processing import group_rewarder
from bq_server.processing.compiled_games import Games
from bq_server.processing.group_rewarder import GroupRewarder
from bq_server.store import environments, erasures, group_dues, participants, state
from bq_server.store.database import Database
from bq_server.store.queries import load
from tests.support.played_world import SCOPE, START, World
from tests.support.seeds import seeds
from tests.support.told_events import Sent, TellingWorld

pytestmark = pytest.mark.anyio

GROUPS = ["red", "blue", "a/b"]
PEOPLE = [f"u{number}" for number in range(6)]
WALK: dict[str, Any] = {
    "code": "walk",
    "name": "Walk",
    "shared_by": "attributes.team",
    "objectives": [
        {
            "code": "km",
            "on": "run",
            "when": "properties.km < 50.0",
            "aggregate": "sum",
            "of": "properties.km",
            "target": 6,
        }
    ],
    "milestones": [{"at": 0.333333333, "rewards": [{"points": 3}]}, {"at": 0.75, "rewards": [{"badge": "near"}]}],
    "rewards": [{"points": 100}],
}
OFTEN: dict[str, Any] = {
    "code": "often",
    "name": "Often",
    "shared_by": "attributes.team",
    "objectives": [{"code": "runs", "on": "run", "target": 4}],
    "rewards": [{"points": 1000}],
}
GAME: dict[str, Any] = {"badges": [{"code": "near", "name": "Near"}], "challenges": [WALK, OFTEN]}
PAID = {("walk", "0.333333333"): 3, ("walk", "complete"): 100, ("often", "complete"): 1000}
POINTS = """SELECT coalesce(sum(ledger.amount), 0) FROM ledger
JOIN participants ON participants.participant = ledger.participant WHERE participants.participant_id = :who"""
LEFT = (
    "SELECT (SELECT count(*) FROM group_dues), (SELECT count(*) FROM group_steps), (SELECT count(*) FROM team_scores)"
)


class Shared(TellingWorld):
    """A world, and what its groups must have come to."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.given: set[tuple[str, str, str]] = set()
        """Participant, challenge and step."""

    @property
    def rewarder(self) -> GroupRewarder:
        """As a server that starts has one."""
        world = self.world
        return GroupRewarder(world.database, Games(), Clocks(world.clock), world.processor, world.ids)

    def shares(self, definition: dict[str, Any]) -> dict[str, dict[str, Fraction]]:
        """What members have added, by group and participant."""
        found: dict[str, dict[str, Fraction]] = {}
        for who in PEOPLE:
            group: Any = None
            for each in self.story(who):
                if each.kind == "attributes_changed":
                    group = each.values["attributes"].get(definition["shared_by"].partition(".")[2], group)
                elif each.kind == "run" and isinstance(group, str) and group:
                    is_sum = definition["objectives"][0].get("aggregate") == "sum"
                    amount = Fraction(str(each.values["km"])) if is_sum else Fraction(1)
                    if 0 < amount < 50:
                        own = found.setdefault(group, {})
                        own[who] = own.get(who, Fraction(0)) + amount
        return found

    def due(self, definitions: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
        """What the events lead to, whatever was given before."""
        found: set[tuple[str, str, str]] = set()
        for each in definitions:
            steps = [(str(one["at"]), Fraction(str(one["at"]))) for one in each.get("milestones", ())]
            for own in self.shares(each).values():
                total = sum(own.values(), Fraction(0)) / Fraction(str(each["objectives"][0]["target"]))
                reached = [name for name, at in [*steps, ("complete", Fraction(1))] if total >= at]
                found |= {(who, each["code"], name) for who in own for name in reached}
        return found

    async def held(self) -> set[tuple[str, str, str]]:
        async with self.world.database.read() as connection:
            cells = {who: await state.cells(connection, SCOPE, who) for who in PEOPLE}
        return {
            (who, code, step)
            for who, own in cells.items()
            for code in ("walk", "often")
            for step in own.get(challenge(code), {}).get("given", {})
        }

    async def check(self, definitions: list[dict[str, Any]] = GAME["challenges"]) -> None:
        await self.rewarder.look(SCOPE)
        self.given |= self.due(definitions)
        assert await self.held() == self.given
        for who in PEOPLE:
            paid = sum(PAID.get((code, step), 0) for each, code, step in self.given if each == who)
            assert await self.rows(POINTS, who=who) == [(paid,)]
        for each in definitions:
            for group, own in self.shares(each).items():
                async with self.world.database.read() as connection:
                    total, members = await connection.run(
                        partial(group_dues.total, scope=SCOPE, challenge_code=each["code"], group=group)
                    )
                unit = 1_000_000 if each["objectives"][0].get("aggregate") == "sum" else 1
                assert (Fraction(total, unit), members) == (sum(own.values(), Fraction(0)), len(own))
        assert await self.world.differences() == {}

    async def rows(self, sql: str, **given: Any) -> list[tuple[Any, ...]]:
        async with self.world.database.read() as connection, connection.execute(sql, given) as cursor:
            return [tuple(row) for row in await cursor.fetchall()]


@asynccontextmanager
async def new_world(address: Path | str, game: dict[str, Any] = GAME) -> AsyncIterator[Shared]:
    if isinstance(address, Path):
        address.parent.mkdir(parents=True, exist_ok=True)
    async with Database.open(address) as database:
        shared = Shared(World(database))
        await shared.world.apply(game)
        yield shared


def drawn(chance: random.Random, *, undone: bool = True) -> Sent:
    who, at = chance.choice(PEOPLE), START + chance.randrange(72) * HOUR
    others = ["fact_voided", "visibility_changed"] if undone else []
    kind = chance.choice(["run"] * 7 + ["attributes_changed"] * 2 + others)
    match kind:
        case "run":
            return kind, who, at, {"km": chance.choice([0, 1, 2.5, 3, 0.1, -1, 60])}
        case "attributes_changed":
            changed = {"team": chance.choice([*GROUPS, "red", "red", None, 7])}
            return kind, who, at, {"attributes": {**changed, "house": chance.choice(GROUPS)}}
        case "visibility_changed":
            return kind, who, at, {"hidden": chance.random() < 0.5}
        case _:
            return kind, who, at, {}


async def play(shared: Shared, chance: random.Random, batches: int, *args: Any) -> None:
    for _ in range(batches):
        events: list[Sent] = []
        for _ in range(chance.choice([1, 1, 3, 8])):
            kind, who, at, values = drawn(chance)
            if kind == "fact_voided":
                own = [each for each in shared.told if each.who == who and each.kind != "fact_voided"]
                taken = {each.values["seq"] for each in shared.told if each.kind == "fact_voided"}
                taken |= {each[3]["seq"] for each in events if each[0] == "fact_voided"}
                left = [each.seq for each in own if each.seq not in taken]
                if not left:
                    continue
                values = {"seq": chance.choice(left)}
            events.append((kind, who, at, values))
        await shared.send(*events)
        await shared.check(*args)


@pytest.mark.parametrize("seed", seeds(6, quick=2))
async def test_whoever_took_part_is_given_each_step_once(store_address: Path | str, seed: int) -> None:
    async with new_world(store_address) as shared:
        await play(shared, random.Random(seed), 25)
        assert any(step == "complete" for _, _, step in shared.given)


@pytest.mark.parametrize("seed", seeds(4))
async def test_no_order_of_arrival_and_no_pause_makes_a_difference(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_rewarder, "PAGE", 2)
    chance = random.Random(seed)
    events = [
        (kind, who, START + number * HOUR // 8, values)
        for number in range(60)
        for kind, who, _, values in [drawn(chance, undone=False)]
    ]
    results = []
    for number in count():
        if number == 4:
            break
        told = [each for each in events if each[0] == "run"]
        told = told if number == 0 else chance.sample(told, len(told))
        async with new_world(tmp_path / str(number) / "db") as shared:
            await shared.send(*(each for each in events if each[0] != "run"))
            while told:
                size = chance.choice([1, 5, 60])
                await shared.send(*told[:size])
                told = told[size:]
                if number and chance.random() < 0.5:
                    await shared.rewarder._look(SCOPE)  # and then the server is killed
            await shared.check()
            results.append(shared.given)
    assert results[0]
    assert all(each == results[0] for each in results)


async def test_another_game_a_refold_and_a_replay_give_nothing_twice(store_address: Path | str) -> None:
    chance = random.Random(11)
    async with new_world(store_address) as shared:
        world = shared.world
        await play(shared, chance, 12)
        for change in ({"shared_by": "attributes.house"}, "nearer", "alone", "gone"):
            other = dict(WALK)
            if isinstance(change, dict):
                other |= change
            elif change == "nearer":
                other["objectives"] = [{**WALK["objectives"][0], "target": 2}]
            game = {**GAME, "challenges": [OFTEN] if change == "gone" else [other, OFTEN]}
            if change == "alone":
                game["challenges"] = [{**OFTEN, "code": "walk", "rewards": [], "shared_by": None}, OFTEN]
                game["challenges"][0].pop("shared_by")
                game["challenges"][0]["objectives"] = [{"code": "km", "on": "run", "target": 1000}]
            await world.apply(game, backfill=True)
            if change not in ("alone", "gone"):
                await shared.check(game["challenges"])
                await play(shared, chance, 3, game["challenges"])
            assert await world.differences() == {}
            await world.apply(GAME, backfill=True)
            await shared.check()
            await play(shared, chance, 2)
        await world.replay()  # which removes cells that say no more than that the past was looked at
        assert await world.replay() == 0
        for damage in (
            "UPDATE team_scores SET score = score + 1",
            "DELETE FROM team_scores WHERE team = (SELECT min(team) FROM team_scores)",
            "UPDATE team_totals SET total = '17'",
            "DELETE FROM team_totals",
            "DELETE FROM cells WHERE cell LIKE 'group/%'",
        ):
            async with world.database.transaction() as connection:
                await connection.execute(damage)
            assert await world.differences() != {}, damage
            await world.replay()
            await shared.check()


async def test_who_was_never_told_is_found_and_told(store_address: Path | str) -> None:
    async with new_world(store_address) as shared:
        await play(shared, random.Random(2), 6)
        run = [("run", who, START + 80 * HOUR, {"km": 30}) for who in PEOPLE]
        await shared.send(
            *(("attributes_changed", who, START + 75 * HOUR, {"attributes": {"team": "red"}}) for who in PEOPLE)
        )
        await shared.send(*run)
        async with shared.world.database.transaction() as connection:
            await connection.execute("DELETE FROM group_dues")
        missing = {who for who, code, step in shared.due(GAME["challenges"]) - shared.given}
        found = await shared.world.differences()
        assert missing == set(PEOPLE) == {who for who, _ in found}
        assert ("u0", "challenge/walk@red") in found
        assert await shared.world.replay() > 0
        await shared.check()


async def test_while_a_definition_counts_nobody_is_told(store_address: Path | str) -> None:
    async with new_world(store_address, {"badges": GAME["badges"]}) as shared:
        await shared.send(*(("attributes_changed", who, START, {"attributes": {"team": "red"}}) for who in PEOPLE))
        await shared.send(*(("run", who, START + HOUR, {"km": 30}) for who in PEOPLE))
        await shared.world.apply(GAME, backfill=True, refold=False)
        await shared.send(("run", "u0", START + 2 * HOUR, {"km": 30}))
        await shared.rewarder.look(SCOPE)
        assert await shared.held() == set()
        while open_one := await shared.world.refold_job._next():
            await shared.world.refold_job._page(open_one)
        await shared.check()
        assert len(shared.given) == 4 * len(PEOPLE)


async def test_an_erased_member_no_longer_counts(store_address: Path | str) -> None:
    async with new_world(store_address) as shared:
        await play(shared, random.Random(5), 8)
        await shared.send(("run", "u1", START + 71 * HOUR, {"km": 1}))
        async with shared.world.database.transaction() as connection:
            reference = await participants.reference(connection, SCOPE, "u1")
            assert reference is not None
            while (await erasures.strip(connection, SCOPE, reference, 100))[0]:
                pass
            await erasures.remove_ledger(connection, reference, 100)
            await erasures.remove(connection, SCOPE, "u1", reference, facts=1, now=1)
        shared.told = [each for each in shared.told if each.who != "u1"]
        shared.given = {each for each in shared.given if each[0] != "u1"}
        await shared.check()
        await play(shared, random.Random(6), 8)


async def test_an_environment_that_is_emptied_keeps_no_groups(store_address: Path | str) -> None:
    async with new_world(store_address) as shared:
        await play(shared, random.Random(3), 8)
        await shared.send(("run", "u1", START, {"km": 1}))
        left = True
        while left:
            async with shared.world.database.transaction() as connection:
                left = await environments.remove_consequences(connection, SCOPE, 7) == 7
        assert await shared.rows(LEFT) == [(0, 0, 0)]


@pytest.mark.parametrize("name", ["took_part", "step", "remove", "remove_of"])
async def test_what_a_member_needs_is_found_without_going_through_the_others(tmp_path: Path, name: str) -> None:
    sql = getattr(load("group_dues"), name).sql
    async with Database.open(tmp_path / "db") as database, database.read() as connection:
        given = dict.fromkeys(("ranking", "team", "participant"), 1)
        async with connection.execute(f"EXPLAIN QUERY PLAN {sql}", given) as cursor:
            plan = [row[3] for row in await cursor.fetchall()]
    assert [step.split()[0] for step in plan] == ["SEARCH"]
