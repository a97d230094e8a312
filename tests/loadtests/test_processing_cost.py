"""The parts of the benchmark by themselves, and one tiny run. Nothing here asserts how fast anything is."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from bq_server.audit.verification import Verifier
from bq_server.game.compiled_game import compile_game
from bq_server.game.expressions.conditions import ExpressionFailure, Formula, Variables
from bq_server.game.expressions.costs import MAX_STEPS, Cost
from bq_server.game.expressions.parser import read
from bq_server.ids import IdSource
from bq_server.store import sqlite
from bq_server.stream.entries import StreamEntry
from loadtests.processing_cost import postgresql
from loadtests.processing_cost.bench import Bench, checkpoint, messages_of
from loadtests.processing_cost.expressions import EXPRESSIONS, LARGEST, Expression
from loadtests.processing_cost.games import (
    EVENT_NAME,
    LISTENING,
    SCOPE,
    SECOND,
    START,
    delayed,
    event,
    free_game,
    game_of,
    ordered_game,
)
from loadtests.processing_cost.loop_probe import LoopProbe
from loadtests.processing_cost.plan import PARTS, TEN_MILLION, parser, plan_of
from loadtests.processing_cost.raw_limit import RawLimit
from loadtests.processing_cost.report import ReportSection, ReportTarget, costs, of_costs, of_throughputs, render
from loadtests.processing_cost.rounds import Sample, Spread, Turn, interleave
from loadtests.processing_cost.seeder import Seeder
from loadtests.processing_cost.workshop import Workshop, people
from tests.game.test_simple_expressions import fact_with

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
    head, _, small, large = costs("facts", rows, of_costs).splitlines()
    assert head == "| facts | us/event | CPU us | ratio | CPU ratio |"
    assert small == "| small | 200 (100-400) | 100 (50.0-200) | 1 | 1 |"
    assert large == "| large | 220 (110-440) | 110 (55.0-220) | 1.1 | 1.1 |"


def test_who_costs_twice_as_much_has_half_the_throughput() -> None:
    assert (of_costs(200.0, 100.0), of_throughputs(200.0, 100.0)) == (2.0, 0.5)


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (ReportTarget("x", Spread(1.0, 0.5, 2.0), least=1.0), True),
        (ReportTarget("x", Spread(0.99, 0.5, 2.0), least=1.0), False),
        (ReportTarget("x", Spread(20.0, 1.0, 50.0), most=20), True),
        (ReportTarget("x", Spread(10.0, 1.0, 20.5), most=20, worst=True), False),
        (ReportTarget("x", Spread(10.0, 1.0, 20.0), most=20, worst=True), True),
        (ReportTarget("x", Spread(10.0, 1.0, 20.0), least=2, worst=True), False),
    ],
)
def test_a_target_is_judged_by_the_median_or_by_the_worst_round(target: ReportTarget, met: bool) -> None:
    assert target.met is met


def test_the_report_begins_with_what_was_measured_where_and_with_the_targets() -> None:
    section = ReportSection(
        "Size", ["A table."], [ReportTarget("bytes a fact", Spread(1344.0, 1300.0, 1400.0), most=1300)]
    )
    text = render({"commit": "abc"}, [section])
    assert "- commit: abc\n\n## Targets\n" in text
    assert "| bytes a fact | 1,344 | (1,300-1,400) | at most 1,300 | **not met** |" in text
    assert text.endswith("## Size\n\nA table.\n")


def test_streams_that_take_turns_send_nobody_a_late_event(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, plan_of(parser().parse_args(["--batch", "10"])))
    streams = [workshop.scattered(people(count), str(count)) for count in (10, 20)]
    batches = [next(stream) for stream in (*streams, *reversed(streams), *streams)]
    moments = [each.occurred_at for batch in batches for each in batch]
    assert moments == sorted(set(moments))
    assert all(len({each.participant_id for each in batch}) == 10 for batch in batches)


@pytest.mark.anyio
async def test_what_is_seeded_is_what_processing_would_have_made(tmp_path: Path) -> None:
    everyone = [f"user_{number}" for number in range(7)]
    async with Bench.open(tmp_path / "clones.db", ids(), lambda: START) as bench:
        await bench.apply(game_of(20))
        await Seeder(bench, Random(1)).clones(game_of(20), everyone, 12, 12)
        assert await bench.last_seq() == 12 * len(everyone)
        await bench.turn([[event(bench.ids, Random(2), who, START) for who in everyone]])
        checked = [each async for each in Verifier(bench.database).participants(SCOPE)]
    assert [each.participant_id for each in checked] == everyone
    assert [each.differences for each in checked] == [[]] * len(everyone)


@pytest.mark.anyio
async def test_facts_without_state_are_folded_by_a_backfill(tmp_path: Path) -> None:
    async with Bench.open(tmp_path / "facts.db", ids(), lambda: START) as bench:
        await Seeder(bench, Random(1)).facts(["a", "b"], 30, SECOND)
        await bench.apply(ordered_game(), backfill=True)
        assert await bench.last_seq() == 60
        checked = [each async for each in Verifier(bench.database).participants(SCOPE)]
    assert [(each.participant_id, each.differences) for each in checked] == [("a", []), ("b", [])]


@pytest.mark.anyio
async def test_a_turn_whose_events_make_no_facts_is_no_measurement(tmp_path: Path) -> None:
    async with Bench.open(tmp_path / "twice.db", ids(), lambda: START) as bench:
        batch = [event(bench.ids, Random(1), "user", START)]
        await bench.turn([batch])
        with pytest.raises(RuntimeError, match="1 events made 0 facts"):
            await bench.turn([batch])
        with pytest.raises(RuntimeError, match="a message was not processed: it can't be read"):
            await bench.drain([[StreamEntry("1-1", b"[]")], messages_of(batch)])


@pytest.mark.anyio
async def test_the_raw_limit_writes_the_rows_it_stands_for(tmp_path: Path) -> None:
    source, random = ids(), Random(1)
    events = [event(source, random, f"user_{number % 3}", START + number) for number in range(10)]
    with RawLimit.open(tmp_path / "raw.db", 4) as raw:
        found = await raw.turn([events[:5], events[5:]])
    assert found.wall > 0
    with sqlite.sqlite.connect(tmp_path / "raw.db") as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in ("facts", "states", "standings", "ledger")
        ]
    connection.close()
    assert counts == [10, 3, 3 * 3, 10]


@pytest.mark.anyio
async def test_a_checkpoint_empties_the_log(tmp_path: Path) -> None:
    async with Bench.open(tmp_path / "log.db", ids(), lambda: START) as bench:
        await bench.turn([[event(bench.ids, Random(1), "user", START)]])
        log = tmp_path / "log.db-wal"
        assert log.stat().st_size > 0
        checkpoint(bench.database.path, "TRUNCATE")
        assert log.stat().st_size == 0


@pytest.mark.anyio
async def test_the_probe_tells_a_loop_that_works_from_one_that_is_kept_from_working() -> None:
    with LoopProbe.watching() as probe:
        await asyncio.sleep(0.005)
        time.sleep(0.1)  # noqa: ASYNC251 - what the probe is to see
        await asyncio.sleep(0.005)
    slept = probe.found()
    assert slept.longest >= 90
    assert slept.own < slept.longest
    with LoopProbe.watching() as probe:
        await asyncio.sleep(0.005)
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass
        await asyncio.sleep(0.005)
    assert probe.found().own >= 90


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda each: each.source)
def test_an_expression_is_measured_at_its_budget_and_past_it(expression: Expression) -> None:
    cost, formula = Cost(read(expression.source)), Formula(expression.source)
    most = expression.allowed()
    assert cost.steps(expression.properties(most)) <= MAX_STEPS
    assert most == LARGEST or cost.steps(expression.properties(most + 2)) > MAX_STEPS
    assert not isinstance(formula.value(Variables(fact_with(expression.properties(most)))), ExpressionFailure)
    assert expression.refused() > most
    assert isinstance(
        formula.value(Variables(fact_with(expression.properties(expression.refused())))), ExpressionFailure
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "speed"],
        ["--definitions", "15"],
        ["--facts", "50"],
        ["--rounds", "-1"],
        ["--batch", "-3"],
        ["--participants", "5"],
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(ValueError, match=r"multiples of 10|the parts are|there must be"):
        plan_of(parser().parse_args(arguments))


def test_ten_million_facts_are_asked_for_by_name() -> None:
    assert TEN_MILLION not in plan_of(parser().parse_args([])).facts
    assert plan_of(parser().parse_args(["--quick", "--ten-million"])).facts[-1] == TEN_MILLION


def test_a_tiny_run_prints_every_table_and_writes_them(tmp_path: Path) -> None:
    sizes = ["--facts", "20,40", "--definitions", "10,20", "--history", "30", "--busy", "20,40", "--hot", "30"]
    sizes += ["--participants", "20", "--rounds", "1", "--batch", "10", "--turn", "1"]
    (databases := tmp_path / "databases").mkdir()
    where = ["--directory", str(databases), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "loadtests.processing_cost", "--quick", *sizes, *where]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    (report,) = (tmp_path / "out").glob("processing-*.md")
    text = report.read_text("utf-8")
    for row in (
        "| raw SQLite, 500 a transaction |",
        "| no game |",
        "bytes a fact |",
        "### Stored facts, participants drawn from all",
        "### Definitions, of which 10 listen",
        "### order-dependent game",
        "| 10% late |",
        "### One participant",
        "| nothing at all |",
        "past the budget |",
        "| PostgreSQL |",
    ):
        assert row in done.stdout
        assert row in text
    assert "- commit: " in text
    assert "## Targets" in done.stdout
    assert not list(databases.iterdir())


@pytest.mark.anyio
async def test_without_postgresql_its_part_is_skipped_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Path:
        raise RuntimeError("there is no PostgreSQL on this machine")

    monkeypatch.setattr(postgresql, "programs", none)
    section = await postgresql.measure(Workshop(tmp_path, plan_of(parser().parse_args(["--quick"]))))
    assert (section.blocks, section.targets) == (["Skipped: there is no PostgreSQL on this machine."], [])


def test_a_part_can_be_run_alone(tmp_path: Path) -> None:
    sizes = ["--participants", "10", "--batch", "10", "--directory", str(tmp_path), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "loadtests.processing_cost", "--quick", "--only", PARTS[1], *sizes]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("## ")] == ["## Size", "## Targets"]
