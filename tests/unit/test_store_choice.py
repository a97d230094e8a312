"""Which kinds of store a test runs with: by default few twice, and everything when it is asked for."""

from pathlib import Path

import pytest

from tests.support.store import POSTGRESQL, PROCESSES, SQLITE
from tests.support.store_choice import (
    ALSO_OVER_POSTGRESQL,
    BOTH,
    ON_A_FILE,
    USUAL,
    WITH_PROCESSES,
    stores_of,
)

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("named", [ALSO_OVER_POSTGRESQL, {*ON_A_FILE}, WITH_PROCESSES])
def test_modules_that_are_named_are_there(named: set[str]) -> None:
    assert [each for each in sorted(named) if not (TESTS / f"{each}.py").is_file()] == []


@pytest.mark.parametrize(
    ("module", "marks", "fixtures", "usual", "both"),
    [
        ("acceptance/test_awards", [], ["bq"], [SQLITE, POSTGRESQL, PROCESSES], [SQLITE, POSTGRESQL, PROCESSES]),
        ("acceptance/test_awards", [], ["data_dir"], [SQLITE, POSTGRESQL], [SQLITE, POSTGRESQL]),
        ("acceptance/test_awards", ["of_one_process"], ["bq"], [SQLITE, POSTGRESQL], [SQLITE, POSTGRESQL]),
        ("acceptance/test_awards", ["of_a_file"], ["bq"], [SQLITE], [SQLITE]),
        ("acceptance/test_sandbox_clock", [], ["bq"], [SQLITE, PROCESSES], [SQLITE, POSTGRESQL, PROCESSES]),
        ("acceptance/test_refusals", [], ["bq"], [SQLITE], [SQLITE, POSTGRESQL]),
        ("acceptance/test_tls", [], ["data_dir"], [SQLITE], [SQLITE]),
        ("harness/test_conform", [], ["server"], [SQLITE], [SQLITE, POSTGRESQL]),
        ("harness/test_conform", [], ["server_url"], [SQLITE, PROCESSES], [SQLITE, POSTGRESQL, PROCESSES]),
        ("contract/test_openapi", [], ["bq"], [SQLITE], [SQLITE]),
    ],
)
def test_what_runs_by_default_and_all_that_can(
    module: str, marks: list[str], fixtures: list[str], usual: list[str], both: list[str]
) -> None:
    assert stores_of(module, marks, fixtures, USUAL) == usual
    assert stores_of(module, marks, fixtures, BOTH) == both
    for one in both:
        assert stores_of(module, marks, fixtures, one) == [one]
    assert stores_of("acceptance/test_tls", [], ["data_dir"], POSTGRESQL) == []
