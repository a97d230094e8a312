"""Rankings of teams in the store, held against what the events say when they are added up anew."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from bq_server.audit.rebuild import Rebuilder
from bq_server.audit.verification import Verifier
from bq_server.moments import HOUR
from bq_server.store import environments, erasures, participants, rank_sections, rankings
from bq_server.store.database import Database
from bq_server.store.queries import load
from bq_server.store.rankings import Ranked, Rankings, RankingView, Score
from tests.support.played_world import SCOPE, START, World
from tests.support.seeds import seeds
from tests.support.told_events import TellingWorld, Told

pytestmark = pytest.mark.anyio

TEAMS = ["red", "blue", "a/b", "été"]
PEOPLE = [f"u{number}" for number in range(6)]
METRIC = {"on": "run", "aggregate": "sum", "of": "properties.km"}
BOARDS: list[dict[str, Any]] = [
    {"code": "sum", "metric": METRIC, "window": ["daily", "all_time"]},
    {"code": "mean", "metric": METRIC, "combine": "mean"},
    {"code": "best", "metric": {**METRIC, "aggregate": "max"}, "combine": "best", "window": ["daily", "all_time"]},
    {"code": "least", "metric": {**METRIC, "aggregate": "min"}, "combine": "best", "order": "ascending"},
    {"code": "count", "metric": {"on": "run"}, "combine": "mean", "order": "ascending"},
    {"code": "where", "metric": {"on": "run", "aggregate": "distinct", "of": "properties.spot"}},
    {"code": "pts", "metric": "points", "window": ["daily", "all_time"]},
    {"code": "pts_best", "metric": "points", "combine": "best"},
]
GAME: dict[str, Any] = {
    "points": [{"code": "run", "on": "run", "when": "properties.km > 0.0", "award": "properties.km * 2.0"}],
    "leaderboards": [{"name": each["code"], "group_by": "attributes.team", **each} for each in BOARDS],
}


@pytest.fixture(autouse=True)
def _short_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    """So short that four teams have several."""
    monkeypatch.setattr(rank_sections, "SECTION", 1)
    monkeypatch.setattr(rank_sections, "LONG", 2)
    monkeypatch.setattr(rankings, "LONG", 2)


class Teams(TellingWorld):
    """A world, and what its rankings must be."""

    def forget(self, who: str) -> None:
        self.told = [each for each in self.told if each.who != who]

    def scores(self, board: dict[str, Any]) -> dict[tuple[str, str], dict[str, dict[str, list[Told]]]]:
        """The events that count, by window and period, team and participant; of those in sight."""
        found: dict[tuple[str, str], dict[str, dict[str, list[Told]]]] = {}
        for who in PEOPLE:
            story = self.story(who)
            hidden = [each.values["hidden"] for each in story if each.kind == "visibility_changed"]
            if hidden and hidden[-1]:
                continue
            team: Any = None
            for each in story:
                if each.kind == "attributes_changed":
                    team = each.values["attributes"]["team"]
                if each.kind == "run" and isinstance(team, str) and team:
                    if board["metric"] == "points" and each.values["km"] < 0.5:  # paid nothing
                        continue
                    for window in board.get("window", ["all_time"]):
                        period = "all_time" if window == "all_time" else day_of(each.at)
                        own = found.setdefault((window, period), {}).setdefault(team, {})
                        own.setdefault(who, []).append(each)
        return found

    def expected(self, board: dict[str, Any]) -> dict[tuple[str, str], list[tuple[Score, int]]]:
        """The rankings, from the top, each team with its members."""
        return {
            period: sorted(
                (self._place(board, team, own) for team, own in teams.items()),
                key=lambda each: (-each[0].score, each[0].reached_at, each[0].participant_id),
            )
            for period, teams in self.scores(board).items()
        }

    def _place(self, board: dict[str, Any], team: str, own: dict[str, list[Told]]) -> tuple[Score, int]:
        members = [member_score(board, runs) for runs in own.values()]
        sign = -1 if board.get("order") == "ascending" else 1
        match board.get("combine", "sum"):
            case "best":
                best = max(sign * score for score, _ in members)
                at = min(at for score, at in members if sign * score == best)
                return Score(team, float(best), at), len(members)
            case "mean":
                value = sum((score for score, _ in members), Fraction(0)) / len(members)
            case _:
                value = sum((score for score, _ in members), Fraction(0))
        moved = [at for _, at in members if at != NEVER]
        return Score(team, float(sign * value), max(moved, default=NEVER)), len(members)

    async def check(self) -> None:
        for board in BOARDS:
            for (window, period), places in self.expected(board).items():
                name = (f"teams/{board['code']}", window, period)
                found = await Rankings(self.world.database).read(SCOPE, [name], look)
                right = [Ranked(rank, score) for rank, (score, _) in enumerate(places, 1)]
                assert found == (right, right, [members for _, members in places]), name
        assert await self.differences() == []

    async def differences(self) -> list[Any]:
        verifier = Verifier(self.world.database)
        found: list[Any] = list((await self.world.differences()).items())
        return [*found, *await verifier.miscounts(SCOPE)]


NEVER = 2**63 - 1
LEFT = """SELECT (SELECT count(*) FROM team_scores), (SELECT count(*) FROM team_totals),
    (SELECT count(*) FROM team_boards), (SELECT count(*) FROM standings), (SELECT count(*) FROM rankings),
    (SELECT count(*) FROM rank_sections), (SELECT count(*) FROM participants)"""


def look(view: RankingView) -> Any:
    best = view.best(50)
    names = [each.score.participant_id for each in best]
    return best, [view.rank(name) for name in names], [view.members(name) for name in names]


def day_of(at: int) -> str:
    return f"2026-03-{2 + (at - START) // (24 * HOUR):02}"


def member_score(board: dict[str, Any], runs: list[Told]) -> tuple[Fraction, int]:
    """A member's score, and when it was reached."""
    kms = [Fraction(str(each.values["km"])) for each in runs]
    metric = board["metric"]
    if metric == "points":
        return Fraction(sum(int(km * 2) for km in kms)), max(each.at for each in runs)
    match metric.get("aggregate", "count"):
        case "count":
            return Fraction(len(runs)), max(each.at for each in runs)
        case "sum":
            return sum(kms, Fraction(0)), max((each.at for each in runs if each.values["km"]), default=NEVER)
        case "distinct":
            first: dict[str, int] = {}
            for each in runs:
                first.setdefault(each.values["spot"], each.at)
            return Fraction(len(first)), max(first.values())
        case aggregate:
            best = max(kms) if aggregate == "max" else min(kms)
            return best, min(each.at for each, km in zip(runs, kms, strict=True) if km == best)


@asynccontextmanager
async def new_teams(address: Path | str) -> AsyncIterator[Teams]:
    if isinstance(address, Path):
        address.parent.mkdir(parents=True, exist_ok=True)
    async with Database.open(address) as database:
        teams = Teams(World(database))
        await teams.world.apply(GAME)
        yield teams


def drawn(chance: random.Random, made: int) -> tuple[str, str, int, dict[str, Any]]:
    who, at = chance.choice(PEOPLE), START + chance.randrange(72) * HOUR
    kind = chance.choice(["run"] * 6 + ["attributes_changed"] * 2 + ["fact_voided", "visibility_changed"])
    match kind:
        case "run":
            return kind, who, at, {"km": chance.choice([0, 1, 2.5, 3, 0.1, -1]), "spot": chance.choice("xyz")}
        case "attributes_changed":
            return kind, who, at, {"attributes": {"team": chance.choice([*TEAMS, "red", None, 7, ""])}}
        case "visibility_changed":
            return kind, who, at, {"hidden": chance.random() < 0.5}
        case _:
            return kind, who, at, {"seq": made}


async def play(teams: Teams, chance: random.Random, batches: int) -> None:
    for _ in range(batches):
        events: list[tuple[str, str, int, dict[str, Any]]] = []
        for _ in range(chance.choice([1, 1, 3, 8])):
            kind, who, at, values = drawn(chance, 0)
            if kind == "fact_voided":
                own = [each for each in teams.told if each.who == who and each.kind != "fact_voided"]
                taken = {each.values["seq"] for each in teams.told if each.kind == "fact_voided"}
                taken |= {each[3]["seq"] for each in events if each[0] == "fact_voided"}
                left = [each.seq for each in own if each.seq not in taken]
                if not left:
                    continue
                values = {"seq": chance.choice(left)}
            events.append((kind, who, at, values))
        await teams.send(*events)
        await teams.check()


@pytest.mark.parametrize("seed", seeds(6, quick=2))
async def test_teams_are_ranked_by_what_their_members_did_in_any_order(store_address: Path | str, seed: int) -> None:
    async with new_teams(store_address) as teams:
        await play(teams, random.Random(seed), 25)
        assert await teams.differences() == []


async def test_a_refold_a_replay_and_another_game_come_to_the_same(store_address: Path | str) -> None:
    chance = random.Random(11)
    async with new_teams(store_address) as teams:
        world = teams.world
        await play(teams, chance, 12)
        # Another way to combine, and back; no longer by team, and back; gone, and back.
        for change in ({"combine": "mean"}, {"group_by": "attributes.house"}, None, "gone"):
            other = [{**each, **change} if isinstance(change, dict) else each for each in GAME["leaderboards"]]
            if change is None:
                other = [{k: v for k, v in each.items() if k not in ("group_by", "combine")} for each in other]
            await world.apply({**GAME, "leaderboards": [] if change == "gone" else other})
            assert await teams.differences() == []
            await world.apply(GAME, backfill=True)
            await teams.check()
            await play(teams, chance, 2)
        assert await world.replay() == 0
        for damage in (
            "UPDATE team_scores SET score = score + 1",
            "DELETE FROM team_scores WHERE team = (SELECT min(team) FROM team_scores)",
            "UPDATE team_totals SET total = '17'",
            "DELETE FROM team_totals",
            "UPDATE standings SET reached_at = 1 WHERE ranking IN (SELECT ranking FROM team_boards)",
            "DELETE FROM standings WHERE ranking IN (SELECT ranking FROM team_boards)",
            "DELETE FROM cells WHERE cell LIKE 'team/%'",
        ):
            async with world.database.transaction() as connection:
                await connection.execute(damage)
            assert await teams.differences() != [], damage
            await world.replay()
            await Rebuilder(world.database, world.ids, world.clock).miscounts(SCOPE)
            await teams.check()


async def test_an_erased_member_no_longer_counts(store_address: Path | str) -> None:
    async with new_teams(store_address) as teams:
        await play(teams, random.Random(5), 12)
        async with teams.world.database.transaction() as connection:
            reference = await participants.reference(connection, SCOPE, "u1")
            assert reference is not None
            while (await erasures.strip(connection, SCOPE, reference, 100))[0]:
                pass
            await erasures.remove_ledger(connection, reference, 100)
            await erasures.remove(connection, SCOPE, "u1", reference, facts=1, now=1)
        teams.forget("u1")
        await teams.check()
        await play(teams, random.Random(6), 4)


async def test_an_environment_that_is_emptied_keeps_no_teams(store_address: Path | str) -> None:
    async with new_teams(store_address) as teams:
        database = teams.world.database
        await play(teams, random.Random(3), 8)
        left = True
        while left:
            async with database.transaction() as connection:
                left = await environments.remove_consequences(connection, SCOPE, 7) == 7
        async with database.read() as connection, connection.execute(LEFT) as cursor:
            assert [tuple(row) for row in await cursor.fetchall()] == [(0, 0, 0, 0, 0, 0, 0)]


@pytest.mark.parametrize("name", ["own", "total", "best", "newest", "place"])
async def test_what_a_score_reads_is_found_without_going_through_the_members(tmp_path: Path, name: str) -> None:
    sql = getattr(load("team_scores"), name).sql
    async with Database.open(tmp_path / "db") as database, database.read() as connection:
        given = dict.fromkeys(("ranking", "hidden", "team", "participant", "never"), 1)
        async with connection.execute(f"EXPLAIN QUERY PLAN {sql}", given) as cursor:
            plan = [row[3] for row in await cursor.fetchall()]
    assert [step.split()[0] for step in plan] == ["SEARCH"]
