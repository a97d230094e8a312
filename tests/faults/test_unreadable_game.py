"""A game, or a profile, that can't be read costs no event: it waits, and the server says why."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bq_server.refusals import Code
from tests.support.client import event
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until
from tests.support.store import unreadable_game


@pytest.fixture
def server(data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir) as started:
        yield started
        assert started.stop() == 0


def status(server: ServerProcess, message_id: str, key: str | None = None) -> str:
    found: str = server.request("GET", f"/ingest/messages/{message_id}", key).json()["status"]
    return found


def test_its_events_wait_and_those_of_others_do_not(server: ServerProcess, data_dir: Path) -> None:
    made = run("keys", "create", "--env", "live", "--scope", "admin", "--data-dir", str(data_dir))
    live = made.stdout.strip()
    until("the key is known", lambda: server.request("GET", "/facts", live).status_code == 200)
    with unreadable_game(data_dir):
        waiting = server.request("POST", "/ingest/events", json=event()).json()["message_id"]
        until("the server says so", lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
        said = check(httpx.get(f"{server.url}/readyz"), Code.NOT_READY)
        assert [each["field"] for each in said["errors"]] == ["game"]
        assert "default/test can't be read" in said["detail"]
        assert "timezone" in said["detail"]
        for method, path, body in (
            ("POST", "/ingest/events/sync", event()),
            ("POST", "/gamify/events", event()),
            ("POST", "/gamify/admin/points/award", {"participant_id": "u", "amount": 1}),
            ("GET", "/gamify/participants/user_123/state", None),
        ):
            answer = server.request(method, path, json=body)
            if answer.status_code != 404:
                assert "timezone" in check(answer, Code.GAME_UNREADABLE)["detail"]
        going_on = server.request("POST", "/ingest/events", live, json=event()).json()["message_id"]
        until("others go on", lambda: status(server, going_on, live) == "processed")
        assert status(server, waiting) == "queued"
    until("it was only waiting", lambda: status(server, waiting) == "processed")
    until("it is ready", lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
    assert httpx.get(f"{server.url}/readyz").json()["warnings"] == {}
