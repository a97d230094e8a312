"""What the documentation lists is what there is."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import get_args

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from typer.testing import CliRunner

from bq_server import __version__
from bq_server.api.problems import PROBLEM_TYPES
from bq_server.cli import app
from bq_server.cli.options import KNOWN_VARIABLES, flag, variable
from bq_server.processing.event_types import EVENT_TYPES
from bq_server.refusals import Code
from bq_server.settings import Settings
from bq_server.store.audit_log import Action
from tests.support.process import ServerProcess, run

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
OLD_NAMES = {"BQ_KEY"}
"""Variables that only the changelog still names."""
GROUPS = ["", "keys", "store", "audit", "dead", "events", "facts", "participants", "game", "webhooks", "harness"]


def settings_table() -> str:
    """The rows of the table in docs/settings.md."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{flag(name)}` | `{variable(name)}` | {default} | {field.description} |\n")
    return "".join(rows)


@cache
def help_of(command: str) -> str:
    environment = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    shown = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="bq-server", env=environment)
    return "\n".join(line.rstrip() for line in shown.stdout.strip().splitlines())


@cache
def commands() -> list[str]:
    """Every command and group, the program itself first."""
    found = [""]
    for group in GROUPS:
        text = help_of(group)
        names = re.findall(r"^  (\w[\w-]*)", text[text.index("Commands:") :], re.MULTILINE)
        found += [f"{group} {name}".strip() for name in names]
    return found


@cache
def cli_reference() -> str:
    """The whole of docs/cli.md."""
    parts = ["# Commands\n\nWhat `--help` says.\n"]
    for command in commands():
        text = help_of(command)
        parts.append(f"\n## bq-server {command}".rstrip() + f"\n\n```text\n{text}\n```\n")
    return "".join(parts)


def document(server: ServerProcess) -> dict[str, object]:
    found: dict[str, object] = httpx.get(f"{server.url}/openapi.json", verify=False).json()
    return found


def test_the_table_of_settings_is_the_settings() -> None:
    assert settings_table() in (ROOT / "docs" / "settings.md").read_text()


def test_one_name_for_a_variable() -> None:
    """Every `BQ_*` name in documents, examples, clients and load tests is one that a command reads."""
    places = [*DOCUMENTS, *(ROOT / "docs" / "examples").iterdir(), ROOT / "bq_server" / "api" / "docs.html"]
    for folder, kinds in {"clients": ("*.md", "*.py", "*.ts", "*.mjs"), "loadtests": ("*.md", "*.py")}.items():
        places += [
            path
            for kind in kinds
            for path in (ROOT / folder).rglob(kind)
            if "node_modules" not in path.parts and path.parent.name != "report"
        ]
    for path in places:
        named = set(re.findall(r"\bBQ_[A-Z][A-Z_]*[A-Z]\b", path.read_text()))
        named = {name for name in named if not name.startswith("BQ_LOAD_")}
        assert named <= KNOWN_VARIABLES | (OLD_NAMES if path.name == "CHANGELOG.md" else set()), path


def test_the_command_reference_is_what_help_says() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == cli_reference()


def test_every_group_of_commands_is_known_here() -> None:
    groups = [command for command in commands() if "COMMAND [ARGS]" in help_of(command)]
    assert set(groups) == set(GROUPS)


def test_help_needs_nothing_that_only_running_a_command_needs() -> None:
    """It is what keeps every `--help` quick; `make binary-report` measures how quick."""
    script = "import sys, bq_server.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "bq_server.cli" in loaded
    assert {"asyncio", "ssl", "pydantic_settings", "hypercorn", "pysqlite3", "redis", "yaml"}.isdisjoint(loaded)


def test_a_start_needs_nothing_that_only_a_person_at_a_terminal_needs() -> None:
    """Packages that draw: structlog would import Rich. They are there all the same for a command that draws."""
    script = "import sys, bq_server.runtime.logs; loaded = 'rich' in sys.modules; import rich.console; sys.exit(loaded)"
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == 0, "structlog has loaded Rich"


def test_the_table_of_actions_is_the_actions() -> None:
    text = (ROOT / "docs" / "operations.md").read_text().split("\n## Audit log\n")[1]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    named = sorted(action for row in rows for action in re.findall(r"\w+", row))
    only_logged = ["key_expired"]
    assert named == sorted([*get_args(Action), *only_logged])


def test_the_table_of_codes_is_the_codes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
    assert [(code, int(status)) for code, status in rows] == [(code.value, PROBLEM_TYPES[code].status) for code in Code]


def test_the_table_of_webhook_events_is_the_events() -> None:
    table = (ROOT / "docs" / "webhooks.md").read_text().split("\n## Events\n")[1]
    rows = re.findall(r"^\| ((?:`[a-z_.]+`(?:, )?)+) \|", table, re.MULTILINE)
    assert sorted(event for row in rows for event in re.findall(r"[a-z_.]+", row)) == sorted(EVENT_TYPES)


def test_the_openapi_document_is_valid_and_tells_every_refusal(server: ServerProcess) -> None:
    found = document(server)
    OpenAPIV31SpecValidator(found).validate()
    text = json.dumps(found)
    no_routes = {Code.MALFORMED_REQUEST, Code.HEAD_TOO_LARGE}
    for code in set(Code) - {Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED, Code.INTERNAL_ERROR} - no_routes:
        assert f"`{code}`" in text


def test_the_openapi_document_holds_the_contracts_examples(server: ServerProcess) -> None:
    text = json.dumps(document(server))
    for word in ("1707900600000-2", "prod_abc", "evt_abc123", "fact_def456", "custom.level_completed", "9200"):
        assert word in text


def test_readme_and_docs_name_only_routes_there_are(server: ServerProcess) -> None:
    paths = document(server)["paths"]
    assert isinstance(paths, dict)
    known = {re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1")) for path in paths} | {"/docs", "/openapi.json"}
    first = "ingest|facts|feed|gamify|webhooks|admin|sandbox|events|livez|readyz|docs|openapi"
    pattern = rf"(?<![\w./])(?:/api/v1)?(/(?:{first})[\w/{{}}.-]*)(?!\w)"
    for path in DOCUMENTS:
        text = re.sub(r"\]\([^)]*\)", "]", path.read_text())
        for route in re.findall(pattern, text):
            assert re.sub(r"\{\w+\}", "{}", route.rstrip(".")) in known, f"{path.name} names {route}"


def test_the_docs_page_loads_nothing_from_elsewhere(server: ServerProcess) -> None:
    page = httpx.get(f"{server.url}/docs", verify=False)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page.text) == []
    assert "/openapi.json" in page.text


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_version_is_told_by_an_option_too() -> None:
    assert run("--version").stdout == run("version").stdout == f"{__version__}\n"


def test_help_says_what_a_setting_means_to_the_command() -> None:
    assert "Address that the server listens on." in help_of("health").replace("\n", " ")
    assert "Address to listen on." in help_of("serve")
