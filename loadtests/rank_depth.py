"""What a page and a rank cost at any depth of a leaderboard, before it is divided into sections and after.

    python -m loadtests.rank_depth --participants 1000000

It makes a database of its own in a temporary directory. Times are of the reading connection's thread, without HTTP.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bq_server.events import Scope
from bq_server.store import batch
from bq_server.store.batch import Changes
from bq_server.store.database import Database
from bq_server.store.rankings import Rankings, RankingView
from bq_server.store.references import References

SCOPE = Scope("bench", "test")
NOW, BEFORE = ("leaderboard/l", "weekly", "2026-W15"), ("leaderboard/l", "weekly", "2026-W14")
DEPTHS = (0.0, 0.01, 0.5, 0.99, 1.0)
PAGE = 100
REPEATS = 15

FILL = """
INSERT INTO scopes (scope, project, environment) VALUES (1, 'bench', 'test');
INSERT INTO rankings (ranking, scope, board, time_window, period) VALUES
    (1, 1, 'leaderboard/l', 'weekly', '2026-W15'), (2, 1, 'leaderboard/l', 'weekly', '2026-W14');
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {participants})
INSERT INTO participants (participant, scope, participant_id, created_at) SELECT n, 1, printf('user_%08d', n), 0
FROM numbers;
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {participants})
INSERT INTO standings (ranking, participant, score, reached_at)
SELECT 1, n, n * 7919 % {scores}, 1775000000000000 + n * 104729 % 1000000007 FROM numbers;
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {participants})
INSERT INTO standings (ranking, participant, score, reached_at)
SELECT 2, n, n * 6007 % {scores}, 1774000000000000 + n * 15485863 % 1000000007 FROM numbers;
"""

AT = (
    "SELECT participant_id FROM standings JOIN participants USING (participant) WHERE ranking = 1"
    " ORDER BY score DESC, reached_at LIMIT 1 OFFSET ?"
)


def name_of(participant: int) -> str:
    """As `FILL` calls them."""
    return f"user_{participant:08}"


async def at_depths(database: Database, total: int) -> list[str]:
    """Who stands at each of the depths."""
    offsets = [min(int(depth * total), total - 1) for depth in DEPTHS]
    async with database.read() as connection:
        return await connection.run(lambda reading: [reading.execute(AT, (each,)).fetchone()[0] for each in offsets])


def rank(participant_id: str) -> Callable[[RankingView, RankingView], Any]:
    """A rank and of how many."""
    return lambda view, _: (view.rank(participant_id), view.total())


def page(participant_id: str) -> Callable[[RankingView, RankingView], Any]:
    """A page from there on, its total, and how each rank changed."""

    def look(view: RankingView, before: RankingView) -> Any:
        place = view.place(participant_id)
        assert place is not None
        found = view.after(place, PAGE)
        return found, view.total(), [before.rank(each.score.participant_id) for each in found]

    return look


def around(participant_id: str) -> Callable[[RankingView, RankingView], Any]:
    """The nearest five above and below."""
    return lambda view, _: (view.around(participant_id, 5), view.total())


async def milliseconds(read: Rankings, work: Callable[[RankingView, RankingView], Any], repeats: int) -> list[float]:
    """What it takes, each time."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        await read.read(SCOPE, [NOW, BEFORE], work)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


async def counted(database: Database, participant_id: str) -> list[float]:
    """What a rank and a total take without sections."""

    def look(reading: Any) -> float:
        began = time.perf_counter()
        rank(participant_id)(RankingView(reading, 1), RankingView(reading, 2))
        return (time.perf_counter() - began) * 1000

    async with database.read() as connection:
        return [await connection.run(look) for _ in range(REPEATS)]


async def writing(database: Database, total: int, size: int, repeats: int) -> list[float]:
    """Milliseconds that a batch of changed scores takes."""
    taken = []
    for number in range(repeats):
        some = [1 + (number * size + each) * 7907 % total for each in range(size)]
        changes = Changes(SCOPE, 1, counts={name_of(each): 0 for each in some})
        for each in some:
            changes.place(NOW, name_of(each), (each * 31 % total, 1_776_000_000_000_000 + number, None))
        async with database.transaction() as connection:
            references = connection.references

            def write(writing: Any, changes: Changes = changes, references: References = references) -> float:
                held = batch.states(writing, references, SCOPE, changes.counts)
                began = time.perf_counter()
                batch.write(writing, references, changes, held)
                return (time.perf_counter() - began) * 1000

            taken.append(await connection.run(write))
    return taken


def row(what: str, taken: Sequence[float]) -> str:
    """A line of the table."""
    return f"{what:44}{statistics.median(taken):10.2f}{max(taken):10.2f}"


async def measure(participants: int, scores: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        async with Database.open(Path(directory) / "db") as database:
            async with database.transaction() as connection:
                script = FILL.format(participants=participants, scores=scores)
                await connection.run(lambda writing: [writing.execute(each) for each in script.split(";")[:-1]])
            read = Rankings(database)
            names = await at_depths(database, participants)
            print(f"{participants:,} participants, {scores:,} scores; ms{'':18}{'median':>10}{'most':>10}")
            print(row("write 100 places, whole", await writing(database, participants, 100, REPEATS)))
            print(row("rank of the last, counted", await counted(database, names[-1])))
            print(row("the first who asks: divided", await milliseconds(read, page(names[-1]), 1)))
            for depth, who in zip(DEPTHS, names, strict=True):
                for what, work in (("rank", rank), ("page of 100", page), ("around", around)):
                    print(row(f"{what} at {depth:.0%}", await milliseconds(read, work(who), REPEATS)))
            for size in (1, 100):
                taken = await writing(database, participants, size, REPEATS)
                print(row(f"write {size} places, in sections", taken))


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--participants", type=int, default=1_000_000)
    options.add_argument("--scores", type=int, default=100_000, help="how many different ones")
    chosen = options.parse_args()
    asyncio.run(measure(chosen.participants, chosen.scores))


if __name__ == "__main__":
    main()
