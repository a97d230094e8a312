"""The pure parts of the benchmark, and one tiny run. Nothing here asserts a time."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from bq_server.game.compiled import compile_game
from bq_server.ids import IdSource
from loadtests.processing_cost.__main__ import parser, plan_of
from loadtests.processing_cost.games import (
    EVENT_NAME,
    LISTENING,
    SECOND,
    START,
    delayed,
    event,
    free_game,
    game_of,
    ordered_game,
)
from loadtests.processing_cost.rounds import Sample, Spread, Turn, interleave, table

ROOT = Path(__file__).parents[2]


def ids() -> IdSource:
    return IdSource(lambda: START, Random(1).randbytes)


@pytest.mark.parametrize("definitions", [10, 100])
def test_ten_definitions_listen_or_follow_however_many_there_are(definitions: int) -> None:
    game = compile_game(game_of(definitions))
    assert len(game.rules) == definitions
    # The leaderboard by points listens to no fact: it follows from the points that others give.
    assert len(game.listening[f"custom.{EVENT_NAME}"]) + len(game.treasury.boards) == LISTENING
    assert {key.partition("/")[0] for key in game.rules} == {"points", "badge", "challenge", "streak", "leaderboard"}


@pytest.mark.parametrize("definitions", [0, 5, 99])
def test_a_game_has_a_multiple_of_ten_definitions(definitions: int) -> None:
    with pytest.raises(ValueError, match="is not a multiple of 10"):
        game_of(definitions)


def test_one_game_depends_on_order_and_the_other_does_not() -> None:
    ordered, free = ordered_game(), free_game()
    assert all(challenge.depends_on_order for challenge in ordered.challenges)
    assert not any(challenge.depends_on_order for challenge in free.challenges)
    assert len(compile_game(ordered).rules) == len(compile_game(free).rules)


def test_a_tenth_of_the_events_is_delayed_and_none_is_lost_or_changed() -> None:
    source, random = ids(), Random(2)
    events = [event(source, random, "user", START + number * SECOND // 100) for number in range(5000)]
    arrived = delayed(events, random, 0.1, 5 * SECOND)
    assert {each.event_id: each.occurred_at for each in arrived} == {each.event_id: each.occurred_at for each in events}
    lateness = [each.received_at - each.occurred_at for each in arrived]
    assert sum(late > 0 for late in lateness) == pytest.approx(500, rel=0.15)
    assert 4.5 * SECOND < max(lateness) <= 5 * SECOND
    assert [each.received_at for each in arrived] == sorted(each.received_at for each in arrived)
    assert delayed(events, random, 0.0, 5 * SECOND) == events


def test_one_seed_makes_one_sequence_of_events() -> None:
    first, again, other = (event(ids(), Random(seed), "user", START) for seed in (3, 3, 4))
    assert first == again
    assert first.properties != other.properties


@pytest.mark.anyio
async def test_variants_take_turns_forwards_and_backwards() -> None:
    taken: list[str] = []

    def turn(name: str) -> Turn:
        async def take() -> Sample:
            taken.append(name)
            return Sample(float(len(taken)), 0.0)

        return take

    samples = await interleave({name: turn(name) for name in "abc"}, rounds=2, warm_up=1)
    assert "".join(taken) == "abc" + "cba" + "abc"
    assert [sample.wall for sample in samples["c"]] == [4.0, 9.0]


def samples(*costs: float) -> Sequence[Sample]:
    return [Sample(cost, cost / 2) for cost in costs]


def test_a_spread_is_the_median_and_the_extremes() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)


def test_ratios_are_made_round_by_round() -> None:
    rows = {"small": samples(100, 200, 400), "large": samples(110, 220, 440)}
    text = table("Title", "facts", rows, compare=lambda own, first: own / first)
    title, head, small, large = text.splitlines()
    assert title == "Title"
    assert head.split()[0] == "facts"
    assert small.split() == ["small", "200", "(100-400)", "100", "1.00", "(1.00-1.00)", "1.00", "(1.00-1.00)"]
    assert large.split() == ["large", "220", "(110-440)", "110", "1.10", "(1.10-1.10)", "1.10", "(1.10-1.10)"]


@pytest.mark.parametrize(
    "arguments", [["--tables", "4"], ["--definitions", "15"], ["--facts", "50"], ["--rounds", "-1"], ["--batch", "-3"]]
)
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(ValueError, match=r"multiples of 10|there are tables|there must be"):
        plan_of(parser().parse_args(arguments))


def test_a_tiny_run_prints_its_tables(tmp_path: Path) -> None:
    sizes = ["--facts", "20,40", "--definitions", "10,20", "--history", "30", "--rounds", "1", "--batch", "10"]
    command = [sys.executable, "-m", "loadtests.processing_cost", "--quick", *sizes, "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for row in ("1. Stored facts", "2. Definitions", "order-dependent game", "order-free game", "10 % late"):
        assert row in done.stdout
    assert not list(tmp_path.iterdir())
