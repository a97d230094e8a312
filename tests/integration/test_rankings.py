"""Rankings read at any depth, held against a list that is sorted anew; and the sections that count for them."""

import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bq_server.audit.rebuild import Rebuilder
from bq_server.audit.verification import Verifier
from bq_server.events import Scope
from bq_server.ids import IdSource
from bq_server.store import batch, rank_sections, rankings
from bq_server.store.batch import Changes
from bq_server.store.database import Database
from bq_server.store.rankings import Rankings, RankingView, Score

pytestmark = pytest.mark.anyio
SCOPE = Scope("p", "test")
NAME = ("leaderboard/l", "all_time", "all_time")


@pytest.fixture(autouse=True)
def _short_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    """So short that a few dozen places have several."""
    monkeypatch.setattr(rank_sections, "SECTION", 4)
    monkeypatch.setattr(rank_sections, "LONG", 12)
    monkeypatch.setattr(rankings, "LONG", 12)


@dataclass
class Board:
    """A ranking, and what must be in it."""

    database: Database
    places: dict[str, tuple[float, int]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)

    async def write(self, changed: dict[str, tuple[float, int] | None], turned: Collection[str] = ()) -> None:
        """Put places, or None to take one off; who is `turned` is hidden, or shown again."""
        for name in turned:
            self.hidden ^= {name}
        changes = Changes(SCOPE, 1, counts=dict.fromkeys([*changed, *turned], 0), moved=set(turned))
        for name, place in changed.items():
            changes.place(NAME, name, (None, None, None) if place is None else (*place, None))
            if place is None:
                self.places.pop(name, None)
            else:
                self.places[name] = place
        changes.hidden = self.hidden & changes.counts.keys()
        async with self.database.transaction() as connection:

            def write(writing: Any) -> None:
                held = batch.states(writing, connection.references, SCOPE, changes.counts)
                batch.write(writing, connection.references, changes, held)

            await connection.run(write)

    def sorted(self) -> list[Score]:
        shown = [Score(name, *place) for name, place in self.places.items() if name not in self.hidden]
        return sorted(shown, key=lambda each: (-each.score, each.reached_at, each.participant_id))

    async def check(self, chance: random.Random) -> None:
        """Everything that can be asked, at some depth."""
        expected = self.sorted()
        shared = {each: 1 + sum(other.score > each.score for other in expected) for each in expected}

        def look(view: RankingView) -> None:
            assert view.total() == len(expected)
            assert [each.score for each in view.best(7)] == expected[:7]
            for rank, each in enumerate(expected, 1):
                assert view.rank(each.participant_id) == rankings.Ranked(rank, each)
                assert view.rank(each.participant_id, shared=True) == rankings.Ranked(shared[each], each)
            if expected:
                start = chance.randrange(len(expected))
                page = view.after(expected[start], 5)
                assert [(each.rank, each.score) for each in page] == list(
                    enumerate(expected[start + 1 : start + 6], start + 2)
                )
                page = view.after(expected[start], 5, shared=True)
                assert [each.rank for each in page] == [shared[each] for each in expected[start + 1 : start + 6]]
                near = view.around(expected[start].participant_id, 3)
                first = max(0, start - 3)
                assert [(each.rank, each.score) for each in near] == list(
                    enumerate(expected[first : start + 4], first + 1)
                )

        await Rankings(self.database).read(SCOPE, [NAME], look)


@asynccontextmanager
async def new_board(address: Path | str) -> AsyncIterator[Board]:
    if isinstance(address, Path):
        address.parent.mkdir(parents=True, exist_ok=True)
    async with Database.open(address) as database:
        yield Board(database)


def drawn(chance: random.Random) -> tuple[float, int]:
    """Few scores and moments, so that all kinds of equals are there."""
    return chance.choice([0, 1, 2, 2.5, 3, -1]), chance.choice([1, 2, 3, 4, 2**63 - 1])


@pytest.mark.parametrize("seed", range(12))
async def test_ranks_pages_and_neighbours_are_those_of_a_sorted_list(store_address: Path | str, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"p{number:02}" for number in range(60)]
    async with new_board(store_address) as board:
        for _ in range(25):
            some = chance.sample(names, chance.randint(1, 20))
            changed = {name: drawn(chance) if chance.random() < 0.85 else None for name in some}
            turned = {name for name in chance.sample(names, 2) if chance.random() < 0.3 and name in board.places}
            await board.write(changed, turned)
            await board.check(chance)
        assert await Verifier(board.database).miscounts(SCOPE) == []


async def divided(database: Database) -> int:
    async with database.read() as connection, connection.execute("SELECT count(*) FROM rank_sections") as cursor:
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_a_ranking_is_divided_when_it_is_long_and_asked_for_a_rank(store_address: Path | str) -> None:
    async with new_board(store_address) as board:
        places: dict[str, tuple[float, int] | None] = {f"p{number:02}": (number, 1) for number in range(40)}
        await board.write(dict(list(places.items())[:12]))
        await Rankings(board.database).read(SCOPE, [NAME], lambda view: view.total())
        assert await divided(board.database) == 0  # too short
        await board.write(places)
        await Rankings(board.database).read(SCOPE, [NAME], lambda view: view.place("p01"))
        assert await divided(board.database) == 0  # nobody asked for a rank
        await Rankings(board.database).read(SCOPE, [NAME], lambda view: view.rank("p01"))
        assert await divided(board.database) == 10
        found = await Rankings(board.database).read(SCOPE, [NAME], lambda view: view.sections.counted)
        assert found == 0
        await Rankings(board.database).read(SCOPE, [NAME], lambda view: [view.rank(name) for name in places])


async def test_a_rank_counts_one_section_however_long_the_ranking(store_address: Path | str) -> None:
    async with new_board(store_address) as board:
        await board.write({f"p{number:03}": (number, 1) for number in range(500)})
        read = Rankings(board.database).read

        def counted(view: RankingView) -> int:
            assert view.rank("p003") == rankings.Ranked(497, Score("p003", 3, 1))
            return view.sections.counted

        assert await read(SCOPE, [NAME], counted) == 496
        assert await read(SCOPE, [NAME], counted) <= 8
        # What is added everywhere divides sections again.
        for number in range(500):
            await board.write({f"q{number:03}": (number + 0.5, 1)})
        assert await read(SCOPE, [NAME], lambda view: view.rank("p003").rank) == 994
        assert await read(SCOPE, [NAME], lambda view: (view.rank("p003"), view.sections.counted)[1]) <= 8


async def test_equals_that_nothing_parts_are_one_section(store_address: Path | str) -> None:
    async with new_board(store_address) as board:
        await board.write({f"p{number:02}": (5, 7) for number in range(50)})
        await board.check(random.Random(1))
        await board.write({f"q{number:02}": (5, 7) for number in range(50)})
        await board.check(random.Random(2))
        assert await divided(board.database) == 2


async def test_a_wrong_count_is_found_and_mended(store_address: Path | str) -> None:
    async with new_board(store_address) as board:
        await board.write({f"p{number:02}": (number, 1) for number in range(40)})
        await board.check(random.Random(1))
        async with board.database.transaction() as connection:
            await connection.execute("UPDATE rank_sections SET places = places + 3 WHERE behind = -31")
        (wrong,) = await Verifier(board.database).miscounts(SCOPE)
        assert (wrong.ranking, wrong.counted - wrong.places) == ("/".join(NAME), 3)
        assert await Rebuilder(board.database, IdSource(), lambda: 1).miscounts(SCOPE) == 1
        assert await Verifier(board.database).miscounts(SCOPE) == []
        await board.check(random.Random(1))
