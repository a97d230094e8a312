"""The compose file and the templates for systemd: their commands, run without either."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from harness.private_postgres import PrivatePostgres
from tests.support.client import event
from tests.support.fleet import WorkerProcess
from tests.support.process import ServerProcess
from tests.support.valkey import Valkey, valkey

PACKAGING = Path("packaging")
KINDS = {"api": ServerProcess, "worker": WorkerProcess}


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Valkey]:
    """A stream server with the options of the compose file."""
    program, *options = composed()["services"]["valkey"]["command"]
    assert program == "valkey-server"
    with valkey(tmp_path / "valkey", *options) as server:
        yield server


@pytest.fixture
def shared(stream: Valkey, postgres: PrivatePostgres) -> dict[str, str]:
    """What both files expect all processes to be told."""
    return {"BQ_STORE_URL": postgres.database(), "BQ_REDIS_URL": stream.url}


def composed() -> Any:
    return yaml.safe_load((PACKAGING / "compose.yaml").read_text())


def of_unit(role: str, instance: str) -> list[str]:
    """The arguments of a template's command."""
    lines = (PACKAGING / f"bq-server-{role}@.service").read_text().splitlines()
    (command,) = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
    program, serve, *arguments = shlex.split(command.replace("%i", instance))
    assert (program, serve) == ("/usr/local/bin/bq-server", "serve")
    return arguments


def of_service(role: str) -> list[str]:
    """The arguments of a service's command."""
    serve, *arguments = composed()["services"][role]["command"]
    assert serve == "serve"
    return list(arguments)


def worked(api: ServerProcess, worker: ServerProcess) -> None:
    with api, worker:
        assert "fsync: an accepted event survives a power cut" in api.banner
        taken = api.request("POST", "/ingest/events", json=event(), params={"wait": "fact"})
        assert taken.status_code == 202, taken.text
        assert httpx.get(f"{worker.url}/readyz", verify=False).status_code == 200
        assert (api.stop(), worker.stop()) == (0, 0)


def test_the_commands_of_the_compose_file_work(shared: dict[str, str], tmp_path: Path) -> None:
    environment = composed()["services"]["api"]["environment"]
    assert environment.keys() >= shared.keys()
    made = {role: kind(tmp_path / role, *of_service(role), env=shared) for role, kind in KINDS.items()}
    worked(made["api"], made["worker"])


def test_the_commands_of_the_templates_work(shared: dict[str, str], tmp_path: Path) -> None:
    made = {}
    for role, kind in KINDS.items():
        arguments = of_unit(role, "0")
        at = arguments.index("--data-dir")
        assert arguments[at + 1] == f"/var/lib/bq-server-{role}-0"
        del arguments[at : at + 2]
        made[role] = kind(tmp_path / role, *arguments, env=shared)
    worked(made["api"], made["worker"])
