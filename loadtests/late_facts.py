"""What late facts cost the game: stored facts, cells and time for each, over one participant's long history.

    python -m loadtests.late_facts --history 20000

Facts and cells asked of the store don't depend on the machine; the milliseconds do.
"""

import argparse
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

from bq_server.game import Fact, InMemoryGame, check, compile_game
from bq_server.game.step import HistoryRequest, Past

MINUTE = 60_000_000
START = 1_775_000_000 * 1_000_000

CHAIN = """
challenges:
  - code: c
    name: C
    {duration}
    objectives:
      - {{code: o1, on: a, aggregate: count, target: {target}}}
      - {{code: o2, on: a, aggregate: sum, of: properties.x, target: 1000000, prerequisites: [o1]}}
"""
PERPETUAL = "duration: {type: perpetual}"
GAMES = {
    "prerequisite": CHAIN.format(duration=PERPETUAL, target=3),
    "prerequisite met late": CHAIN.format(duration=PERPETUAL, target=5000),
    "rolling": CHAIN.format(duration="duration: {type: rolling, days: 365}", target=3),
    "explicit": CHAIN.format(duration="enrolment: explicit\n    " + PERPETUAL, target=3),
    "falling sum": (
        "badges: [{code: b, name: B, criteria: {on: a, aggregate: sum, of: properties.x, target: 1000000}}]"
    ),
    "days behind a prerequisite": CHAIN.format(duration=PERPETUAL, target=3).replace(
        "aggregate: sum, of: properties.x, target: 1000000", "aggregate: days, target: 1000"
    ),
    "streak": "streaks: [{code: s, on: a, period: daily, timezone: UTC}]",
    "distinct board": (
        "leaderboards: [{code: l, name: L, metric: {on: a, aggregate: distinct, of: 'properties.x'}, window: all_time}]"
    ),
}
LATENESS = ("by 100 facts", "anywhere", "old ones in order", "old ones in reverse")


def minute(late: str, chance: random.Random, length: int, number: int) -> int:
    """The minute of the story in which the next late fact belongs; below 0 before all others."""
    match late:
        case "by 100 facts":
            return length - 100
        case "anywhere":
            return chance.randrange(length)
        case "old ones in order":
            return number - 1000
        case _:
            return -number - 1


class CountedGame(InMemoryGame):
    """A game in memory that counts what it asks of the past."""

    def __init__(self, document: str) -> None:
        checked = check(document)
        if checked.game is None:
            raise SystemExit("\n".join(str(each) for each in checked.mistakes))
        super().__init__(compile_game(checked.game))
        self.facts_read = 0
        self.cells_read = 0
        self.seconds_reading = 0.0

    def _past(self, request: HistoryRequest) -> Past:
        began = time.perf_counter()
        found = super()._past(request)
        self.facts_read += len(found.facts)
        self.cells_read += len(found.cells)
        self.seconds_reading += time.perf_counter() - began
        return found


def fact(seq: int, at: int, properties: dict[str, Any], fact_type: str = "custom.a") -> Fact:
    """A fact of the one participant."""
    return Fact(f"f{seq}", seq, fact_type, fact_type.partition(".")[2], "p", properties, at, at)


def history(name: str, length: int) -> Iterator[Fact]:
    """A fact a minute, in order; one in twenty of a sum that can fall is a refund."""
    if name == "explicit":
        yield fact(1, START - 2000 * MINUTE, {"challenge_code": "c"}, "system.challenge_enrolled")
    for number in range(length):
        x = -2 if name == "falling sum" and number % 20 == 19 else number % 7
        yield fact(number + 2, START + number * MINUTE, {"x": x})


def measure(name: str, late: str, length: int, count: int) -> Sequence[tuple[int, int, float]]:
    """Facts and cells read, and milliseconds, for each late fact."""
    game = CountedGame(GAMES[name])
    for each in history(name, length):
        game.process([each])
    chance, costs = random.Random(7), []
    for number in range(count):
        game.facts_read = game.cells_read = 0
        game.seconds_reading = 0.0
        at = START + minute(late, chance, length, number) * MINUTE + 1 + number
        began = time.perf_counter()
        game.process([fact(length + number + 2, at, {"x": number % 7})])
        taken = time.perf_counter() - began - game.seconds_reading
        costs.append((game.facts_read, game.cells_read, taken * 1000))
    return costs


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--history", type=int, default=20_000, help="facts of the participant")
    options.add_argument("--late", type=int, default=50, help="late facts of each kind")
    options.add_argument("--games", nargs="*", default=list(GAMES), choices=list(GAMES))
    chosen = options.parse_args()
    print(
        f"{'game':28}{'late':22}{'facts, mean':>12}{'facts, most':>12}{'cells, most':>12}{'ms, median':>12}{'most':>8}"
    )
    for name in chosen.games:
        for late in LATENESS:
            costs = measure(name, late, chosen.history, chosen.late)
            facts, cells, times = zip(*costs, strict=True)
            print(
                f"{name:28}{late:22}{statistics.mean(facts):12,.0f}{max(facts):12,}{max(cells):12,}"
                f"{statistics.median(times):12.2f}{max(times):8.1f}"
            )


if __name__ == "__main__":
    main()
