"""docs/harness.md: its files are run, and its tables hold every key there is."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from bq_server.game import check
from harness import pytest_plugin
from harness.client import Client
from harness.stories.expectations import ExpectedEnvironment, ExpectedParticipant, ExpectedRehearsal
from harness.stories.outcomes import MODES
from harness.stories.scenario import PlayedStory
from harness.stories.steps import STEPS
from tests.harness.test_pytest_plugin import project, run  # noqa: F401 - a fixture

pytest_plugins = ["pytester"]

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = (REPOSITORY / "docs" / "harness.md").read_text("utf-8")
FILES = dict(re.findall(r"^```\w+\n# (\S+\.\w+)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))
"""The files that the document shows, by name."""


def tables(heading: str) -> Iterator[set[str]]:
    """The first columns of the tables under a heading."""
    section = re.split(rf"^#+ {heading}\n", DOCUMENT, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    for table in re.findall(r"^\|-.*\n((?:\|.*\n)+)", section, re.MULTILINE):
        yield set(re.findall(r"^\| `([-\w]+)", table, re.MULTILINE))


def fields(*models: type[BaseModel]) -> set[str]:
    return {name for model in models for name in model.model_fields}


def test_every_file_it_shows_works(project: pytest.Pytester) -> None:  # noqa: F811
    for name, text in FILES.items():
        file = project.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    shown = [name for name in FILES if name.endswith((".bq.yaml", ".py"))]
    assert len(shown) == 5
    for mode in ("both", "shuffled"):
        run(project, "--bq-mode", mode).assert_outcomes(passed=len(shown))


def test_its_game_has_no_mistake_and_no_warning() -> None:
    assert check(FILES["game.yaml"]).mistakes == []


def test_its_first_example_is_of_ten_lines() -> None:
    assert len(FILES["test_sale.py"].splitlines()) <= 10


def test_the_tables_hold_every_key_of_a_scenario() -> None:
    assert [*tables("The document")] == [fields(PlayedStory)]
    assert [*tables("Steps")] == [fields(*STEPS.values())]
    assert [*tables("Expectations")] == [
        fields(ExpectedParticipant),
        fields(ExpectedEnvironment),
        fields(ExpectedRehearsal),
    ]
    assert [*tables("Modes")] == [set(MODES)]


def test_the_tables_of_nested_keys_name_them_all() -> None:
    text = DOCUMENT.partition("### Expectations")[2].partition("### Modes")[0]
    schema = ExpectedParticipant.model_json_schema()["$defs"] | ExpectedEnvironment.model_json_schema()["$defs"]
    nested = {name for model in schema.values() for name in model["properties"]}
    assert {name for name in nested if f"`{name}`" not in text} == set()


def test_the_tables_of_pytest_hold_every_fixture_option_and_call() -> None:
    options: set[str] = set()

    class Parser:
        def getgroup(self, *_: str) -> "Parser":
            return self

        def addoption(self, name: str, **_: object) -> None:
            options.add(name)

    pytest_plugin.pytest_addoption(Parser())  # type: ignore[arg-type]
    fixtures, of_options, calls = tables("With pytest")
    calls |= {"import_lines"}  # beside export
    assert fixtures == {"bq_server", "bq"}
    assert of_options == options
    public = {name for name in vars(Client) if not name.startswith("_")} | {"clock"}
    assert calls == public - {"request", "close"}
    assert set(MODES) == set(pytest_plugin.MODES)
