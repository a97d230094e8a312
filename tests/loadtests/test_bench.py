"""The bench: its rounds, ratios and report from given figures, and one tiny real run. Nothing asserts a time."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from loadtests.bench.__main__ import FULL, QUICK, main
from loadtests.bench.cases import CLOSED, OPEN, Case, Measured, Pace, every_case
from loadtests.bench.closed_loop import WrkFailed, read_output
from loadtests.bench.machine import describe
from loadtests.bench.report import picture, render
from loadtests.bench.rounds import Results, run
from loadtests.bench.targets import TARGETS, BenchTarget
from loadtests.markdown import number, table
from loadtests.subjects import SubjectNotFound
from loadtests.usage import parse_stat, tree_usage
from loadtests.watch import Watch, look, told


def results(*rounds: Mapping[str, Measured]) -> Results:
    return Results(rounds=[dict(each) for each in rounds])


def case(name: str, events: float = 1.0) -> Case:
    return Case(name, CLOSED, name.upper(), lambda _: {"events": events})


def test_a_ratio_is_made_round_by_round() -> None:
    found = results(
        {"a": {"events": 10}, "b": {"events": 10}},
        {"a": {"events": 2}, "b": {"events": 4}},
        {"a": {"events": 100}, "b": {"events": 50}},
    ).ratio(("a", "events"), ("b", "events"))
    assert found is not None
    assert (found.median, found.least, found.most) == (1.0, 0.5, 2.0)


def test_a_round_without_figures_takes_part_in_no_ratio() -> None:
    found = results({"a": {"events": 1}, "b": {"events": 2}}, {"a": {"events": 9}}, {"b": {"events": 9}})
    ratio = found.ratio(("a", "events"), ("b", "events"))
    assert ratio is not None
    assert ratio.most == 0.5
    assert found.ratio(("a", "events"), ("c", "events")) is None
    assert found.spread("a", "p99") is None


def test_rounds_go_to_and_fro_and_a_case_that_fails_costs_only_itself() -> None:
    order: list[str] = []

    def good(name: str) -> Case:
        def measure(_: Pace) -> Measured:
            order.append(name)
            return {"events": 1.0}

        return Case(name, CLOSED, name, measure)

    def fail(_: Pace) -> Measured:
        raise RuntimeError("it broke")

    def lack(_: Pace) -> Measured:
        order.append("asked")
        raise SubjectNotFound("no node")

    cases = [good("a"), Case("f", CLOSED, "f", fail), Case("m", CLOSED, "m", lack), good("b")]
    said: list[str] = []
    found = run(cases, 2, QUICK, said.append)
    assert order == ["a", "asked", "b", "b", "a"]
    assert found.missing == {"m": "no node"}
    assert found.failures == {"f": ["RuntimeError: it broke"] * 2}
    assert "m: skipped: no node" in said


@pytest.mark.parametrize(
    ("target", "value", "met", "wanted"),
    [
        (BenchTarget("x", ("a", "events"), least=1.0), 1.0, True, "at least 1"),
        (BenchTarget("x", ("a", "events"), least=1.0), 0.99, False, "at least 1"),
        (BenchTarget("x", ("a", "p99"), most=50), 50.0, True, "at most 50"),
        (BenchTarget("x", ("a", "p99"), most=50), 51.0, False, "at most 50"),
        (BenchTarget("x", ("a", "p99")), 51.0, True, ""),
    ],
)
def test_a_target_is_met_at_its_edge(target: BenchTarget, value: float, met: bool, wanted: str) -> None:
    assert target.met(results({"a": {target.own[1]: value}})) is met
    assert target.wanted == wanted


def test_a_latency_that_was_kept_by_turning_requests_away_meets_no_target() -> None:
    target = BenchTarget("p99 at 128 in flight, ms", ("none.single.128", "p99"), most=50)
    kept = results({"none.single.128": {"events": 1.0, "p99": 10.0, "accepted": 0.98}})
    turned_away = results({"none.single.128": {"events": 1.0, "p99": 10.0, "accepted": 0.9}})
    assert target.met(kept)
    assert not target.met(turned_away)
    assert "**not met** (10% of the requests were not accepted)" in render([case("x")], turned_away, {})


def test_a_target_that_was_not_measured_is_not_met() -> None:
    assert not BenchTarget("x", ("a", "events"), least=1.0).met(results({}))


def test_every_target_is_of_a_case_there_is() -> None:
    names = {each.name for each in every_case({})}
    for target in TARGETS:
        assert target.own[0] in names
        assert target.over is None or target.over[0] in names


def test_every_case_has_a_name_of_its_own_and_the_quick_form_has_the_ratios_with_the_peers() -> None:
    cases = every_case({})
    assert len({each.name for each in cases}) == len({each.label for each in cases}) == len(cases)
    quick = {each.name for each in cases if each.quick}
    assert {
        "none.single.32",
        "fastify.single.32",
        "fastapi.single.32",
        "none.batch",
        "fastify.batch",
        "saturated",
    } <= quick
    assert FULL.closed > QUICK.closed


def test_the_report_tells_figures_targets_and_what_is_missing() -> None:
    cases = [case("none.single.32"), case("fastify.single.32"), case("fastapi.single.32"), case("lost")]
    found = results(
        {"none.single.32": {"events": 1234.5, "p99": 12.34}, "fastify.single.32": {"events": 1000.0, "p99": 6.17}},
        {"none.single.32": {"events": 2469.0, "p99": 10.0}, "fastify.single.32": {"events": 1000.0, "p99": 5.0}},
    )
    found.missing["fastapi.single.32"] = "no fastapi"
    found.failures["lost"] = ["OSError: gone"]
    text = render(cases, found, {"commit": "abc", "machine": "small"})
    assert "- commit: abc" in text
    assert "| singles at 32 in flight / Fastify | 1.85 | (1.23-2.47) | at least 1 | met |" in text
    assert "| p99 at 32 in flight / Fastify | 2 |  | at most 1 | **not met** |" in text
    assert "| NONE.SINGLE.32 | 1,852 (1,234-2,469) | 11.2 (10.0-12.3) |" in text
    assert "- FASTAPI.SINGLE.32: skipped: no fastapi" in text
    assert "- LOST: failed in 1 rounds: OSError: gone" in text
    assert "FastAPI |" not in text


def test_a_report_of_nothing_has_no_tables() -> None:
    assert "|" not in render([case("a")], Results(rounds=[{}]), {"commit": "abc"})


def test_the_picture_shows_latency_against_rate() -> None:
    cases = [Case(f"n.open.{rate}", OPEN, f"no game: {rate}", lambda _: {}, rate=rate) for rate in (200.0, 500.0)]
    found = results({"n.open.200.0": {"p50": 2.0, "p99": 9.0}, "n.open.500.0": {"p50": 3.0, "p99": 60.0}})
    drawn = picture(cases, found)
    assert drawn is not None
    assert [each.text for each in ET.fromstring(drawn).findall(".//{*}text")][-2:] == [  # noqa: S314 - written by ourselves
        "p99, no game",
        "p50, no game",
    ]
    assert picture(cases, Results(rounds=[{}])) is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.254, "0.25"), (0.5, "0.5"), (12.34, "12.3"), (123.4, "123"), (16300.4, "16,300")]
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_table_is_markdown() -> None:
    assert table([("", "a"), ("x", "1")]) == "|  | a |\n| --- | ---: |\n| x | 1 |"


def test_what_wrk_prints_is_read() -> None:
    printed = (
        "Running 1s test\n"
        'figures {"requests":1000,"microseconds":2000000,"refused":100,"broken":1,'
        '"p50":1000,"p95":2000,"p99":3500,"p999":9000,"max":10000}\n'
    )
    found = read_output(printed)
    assert (found.accepted, found.answered, found.refused, found.broken) == (450.0, 1000, 100, 1)
    assert (found.p50, found.p99, found.p999, found.largest) == (1.0, 3.5, 9.0, 10.0)


@pytest.mark.parametrize("printed", ["", "unable to connect", 'figures {"requests":5,"refused":5,"broken":0}'])
def test_a_run_of_wrk_without_an_accepted_request_is_no_measurement(printed: str) -> None:
    with pytest.raises(WrkFailed):
        read_output(printed, "why")


def test_a_process_may_have_any_name() -> None:
    fields = ["S", "7", *["0"] * 9, "250", "50", *["0"] * 8, "3", *["0"] * 20]
    found = parse_stat(f"42 (a (b) c) {' '.join(fields)}")
    assert (found.pid, found.parent, found.name) == (42, 7, "a (b) c")
    assert found.usage.processor_seconds == 300 / os.sysconf("SC_CLK_TCK")
    assert found.usage.resident_bytes == 3 * os.sysconf("SC_PAGE_SIZE")


def test_this_process_uses_memory_and_a_pid_nobody_has_uses_none() -> None:
    found = tree_usage(os.getpid())
    assert found is not None
    assert found.server.resident_bytes > 1_000_000
    assert tree_usage(2**22 + 1) is None


def test_a_watch_sees_memory_and_files(tmp_path: Path) -> None:
    (tmp_path / "bq.db").write_bytes(b"x" * 3_000_000)
    (tmp_path / "bq.db-wal").write_bytes(b"x" * 2_000_000)
    (tmp_path / "stream").mkdir()
    (tmp_path / "stream" / "file.aof").write_bytes(b"x" * 1_000_000)
    sight = look(os.getpid(), tmp_path, 4.0)
    assert sight is not None
    assert (sight.database, sight.wal, sight.stream) == (3_000_000, 2_000_000, 1_000_000)
    with Watch(os.getpid(), tmp_path, 60) as watch:
        pass
    assert len(watch.seen) == 1
    assert told([sight]).splitlines()[1].split()[3:] == ["3.0", "2.0", "1.0"]


def test_the_report_knows_the_machine() -> None:
    about = describe()
    assert "Python" in about["system"]
    assert "redis 8" in about["packages"]


def test_the_names_of_the_cases_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "none.single"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert main(["--only", "chess"]) == 2


@pytest.mark.skipif(shutil.which("wrk") is None, reason="there is no wrk; `make wrk` installs it")
def test_a_tiny_real_run_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--only", "none.single.1,none.open.200,limit.single", "--rounds", "1", "--seconds", "1"]
    assert main([*flags, "--out", str(tmp_path)]) == 0, capsys.readouterr()
    (report,) = tmp_path.glob("bench-*.md")
    text = report.read_text("utf-8")
    # `none.single.1` is the beginning of `none.single.128` too.
    for label in ("single events, 1 in flight", "single events, 128 in flight", "no game: 200/s", "parse and validate"):
        assert label in text
    assert {each.suffix for each in tmp_path.iterdir()} == {".md", ".json", ".svg"}
