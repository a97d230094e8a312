"""Counts, how they are written, and what is built on their names."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from bq_server.metrics import exposition
from bq_server.metrics.counts import SECONDS, ConsumerCounts, Histogram, RequestCounts
from bq_server.metrics.families import FAMILIES, Family

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "packaging" / "monitoring"
PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
}
SERIES = PROCESS.union(*(family.series for family in FAMILIES))


@given(st.lists(st.floats(0, 1e6)), st.lists(st.floats(0, 1e6), min_size=1, unique=True).map(sorted))
def test_a_bucket_tells_how_many_were_at_most_its_bound(values: list[float], bounds: list[float]) -> None:
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    family = Family("some_seconds", "histogram", "Some.", lambda _: ())
    (told,) = text_string_to_metric_families(
        exposition.text([(family, [((), histogram)])]).decode().split("# HELP p")[0]
    )
    found = {sample.labels.get("le", sample.name): sample.value for sample in told.samples}
    for bound in bounds:
        assert found[f"{bound:g}"] >= sum(value <= bound for value in values)  # two bounds may read alike
    assert found["+Inf"] == found["some_seconds_count"] == len(values)
    assert found["some_seconds_sum"] == pytest.approx(sum(values))


def test_the_promised_time_is_a_bound() -> None:
    assert 0.05 in SECONDS


def test_words_that_clients_choose_make_no_series() -> None:
    counts = RequestCounts()
    for number in range(1000):
        counts.of(f"METHOD{number}", "other").answered(405, 0.0)
    assert len(counts.routes) == 1


def test_a_clock_that_is_behind_the_stream_servers_makes_no_negative_lag() -> None:
    counts = ConsumerCounts()
    counts.settled(["1700000000500-0", "1700000000000-3"], 1_700_000_000_100_000)
    assert counts.lag.total == pytest.approx(0.1)
    assert sum(counts.lag.counts) == 2


def test_names_follow_prometheus_habits() -> None:
    for family in FAMILIES:
        assert family.name.startswith("bq_")
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_the_table_of_metrics_is_the_metrics() -> None:
    rows = [
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels)} | {family.help} |\n"
        for family in FAMILIES
    ]
    assert "|---|---|---|---|\n" + "".join(rows) + "\n" in (ROOT / "docs" / "metrics.md").read_text()


def _queries(part: Any) -> list[str]:
    """Every query in a document."""
    if isinstance(part, dict):
        own = [value for name, value in part.items() if name in {"expr", "query"} and isinstance(value, str)]
        return own + [query for value in part.values() for query in _queries(value)]
    return [query for each in part for query in _queries(each)] if isinstance(part, list) else []


@pytest.mark.parametrize("name", ["alerts.yml", "grafana.json", "metrics.md"])
def test_what_is_built_on_metrics_names_only_those_there_are(name: str) -> None:
    known = SERIES
    if name.endswith(".md"):
        queries = [(ROOT / "docs" / name).read_text()]
        known = SERIES.union(family.name for family in FAMILIES)  # the table's names
    else:
        text = (MONITORING / name).read_text()
        queries = _queries(json.loads(text) if name.endswith(".json") else yaml.safe_load(text))
    named = {found for query in queries for found in re.findall(r"\b(?:bq|process)_\w+", query)}
    assert len(named) > 10
    assert named - known == set()


def test_the_dashboard_shows_every_metric() -> None:
    text = "\n".join(_queries(json.loads((MONITORING / "grafana.json").read_text())))
    for family in FAMILIES:
        assert family.name in text, f"no panel shows {family.name}"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: the alert rules' syntax is not checked")
@pytest.mark.parametrize("command", ["check rules alerts.yml", "test rules alerts_test.yml"])
def test_promtool_is_content_with_the_alert_rules(command: str) -> None:
    done = subprocess.run(["promtool", *command.split()], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: the metrics' format is not checked")
def test_promtool_finds_nothing_to_say_about_the_metrics() -> None:
    read = [
        (family, [(family.labels, Histogram(SECONDS) if family.kind == "histogram" else 1.0)]) for family in FAMILIES
    ]
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=exposition.text(read), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
