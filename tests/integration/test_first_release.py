"""A database made by the first release answers as it did then, whatever the schema has become since."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bq_server.store import sqlite
from tests.support.answers import answers
from tests.support.first_release import RESUMED, restore, resume, told

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "facts.sqlite3"
    restore(path)
    return path


@pytest.mark.slow
async def test_it_answers_as_the_first_release_did(database: Path) -> None:
    then = told()
    now = await answers(database, then["asked"])
    assert now.keys() == then["answers"].keys()
    for key in now["installation"]["keys"]:
        key[4] = [scope for scope in key[4] if scope not in ("award", "dry_run")]  # what `ingest` was, then
    for scope, sections in then["answers"].items():
        if scope != "installation":
            leave_out_what_was_decided_since(sections["states"], now[scope]["states"])
        for section, expected in sections.items():
            compare(f"{scope}: {section}", now[scope][section], expected)


@pytest.mark.slow
async def test_the_refold_that_was_killed_goes_on_where_it_was(database: Path) -> None:
    then = told()
    await resume(database, then["asked"]["moments"][0])
    now = await answers(database, then["asked"])
    assert now["installation"]["open_refolds"] == []
    leave_out_what_was_decided_since(then["resumed"].get("states", {}), now["default/live"]["states"])
    for section in RESUMED:
        compare(section, now["default/live"][section], then["resumed"][section])


def test_it_holds_something_of_everything_that_the_first_release_stores(database: Path) -> None:
    with closing(sqlite.connect(str(database))) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            assert connection.execute(f"SELECT 1 FROM {table}").fetchone(), table  # noqa: S608 - its own names
        cells = [cell for (cell,) in connection.execute("SELECT cell FROM cells")]
    kinds = {"points", "tiers", "zone", "badge", "criteria", "challenge", "streak", "score", "seen"}
    assert {cell.split("/")[0] for cell in cells} == kinds


def leave_out_what_was_decided_since(then: Any, now: Any) -> None:
    """Three things that states tell otherwise today: a record of the future counts when its time comes, the progress of
    a completed challenge follows the facts, and a streak that was counted anew, of nothing, is not listed."""
    for moment, states in then.items():
        for participant, state in states.items():
            today = now[moment][participant]
            state["streaks"] = [each for each in state["streaks"] if each["last_recorded_at"] is not None]
            for old, new in zip(state["streaks"], today["streaks"], strict=True):
                if moment == min(then):  # in each environment its clock shows, then, what lies before the last records
                    for name in ("current_count", "expires_at", "is_at_risk"):
                        old.pop(name)
                        new.pop(name)
            for old, new in zip(state["challenges"], today["challenges"], strict=True):
                if old["status"] == "completed":
                    assert old.pop("progress") == 1.0
                    new.pop("progress")


TOLD_SINCE = {
    "aliases",
    "sent_as",
    "voids",
    "voided_by",
    "period_key",
    "next_cursor",
    "count",
    "level",
    "completions",
    "completion_streak",
    "times",
    "required",
    "freezes",
    "total_expired",
    "owed",
    "rewards",
    "rewards_claimed",
    "is_hidden",
    "levels",
    "period",
    "current_streak",
    "longest_streak",
}
"""Members that the first release didn't have."""


def compare(where: str, found: Any, expected: Any) -> None:
    """Equal, or a short account of the first place that differs: the whole is megabytes."""
    if isinstance(expected, dict) and isinstance(found, dict):
        assert found.keys() - (TOLD_SINCE - expected.keys()) == expected.keys(), where
        for name, each in expected.items():
            compare(f"{where}/{name}", found[name], each)
    elif isinstance(expected, list) and isinstance(found, list):
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            compare(f"{where}/{number}", one, other)
    else:
        assert found == expected, where
