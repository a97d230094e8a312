"""What is done that is no event leaves a line: what, by which key, when. What clients cause at will leaves few."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.lane.corpus import encoded
from tests.support.client import Json, Project, event
from tests.support.http2 import Http2Wire
from tests.support.process import ServerProcess, run, until
from tests.support.wire import Wire, request

GAME: Json = {
    "badges": [{"code": "first", "name": "First"}],
    "points": [{"code": "p", "on": "x", "award": 1}],
}


def lines(server: ServerProcess, **having: Any) -> list[Json]:
    """The lines of the log that have these members."""
    found = [json.loads(line) for line in server.log.splitlines()]
    return [line for line in found if all(line.get(name) == value for name, value in having.items())]


def done(server: ServerProcess, answer: httpx.Response) -> list[Json]:
    """What the log tells of a request that was carried out."""
    assert answer.status_code == 200, answer.text
    return lines(server, event="admin.done", request_id=answer.headers["X-Request-Id"])


def test_every_admin_action_leaves_one_line(bq: Project, server: ServerProcess) -> None:
    export = bq.get("/sandbox/export")
    imported = bq.request(
        "POST", "/sandbox/import", content=export.content, headers={"Content-Type": "application/x-ndjson"}
    )
    acts = {
        "environment_imported": imported,
        "game_applied": bq.request("PUT", "/gamify/admin/game", json=GAME),
        "clock_set": bq.request("PUT", "/sandbox/clock", json={"now": "2026-04-02T09:00:00Z"}),
        "clock_advanced": bq.post("/sandbox/clock/advance", {"by": "P1D"}),
        "clock_given_back": bq.request("DELETE", "/sandbox/clock"),
        "points_awarded": bq.post("/gamify/points/award", {"participant_id": "secret_person", "amount": 50}),
        "points_deducted": bq.post("/gamify/points/deduct", {"participant_id": "secret_person", "amount": 20}),
        "badge_awarded": bq.post("/gamify/badges/award", {"participant_id": "secret_person", "badge_code": "first"}),
        "environment_reset": bq.post("/sandbox/reset", {"game": True}),
    }
    told = {}
    for action, answer in acts.items():
        (line,) = done(server, answer)
        assert (line["action"], line["environment"], line["level"]) == (action, "test", "info")
        assert line["key_id"].startswith("key_")
        assert line["time"].endswith("Z")
        told[action] = line
    assert told["game_applied"]["version"] == 1
    assert told["game_applied"]["added"] == ["points/p", "badge/first"]
    assert told["clock_set"]["now"] == "2026-04-02T09:00:00Z"
    assert told["clock_advanced"]["now"] == "2026-04-03T09:00:00Z"
    assert told["points_awarded"]["amount"] == 50
    assert told["badge_awarded"]["badge_code"] == "first"
    assert told["environment_reset"]["game"] is True
    assert "secret_person" not in server.log, "a log can't be made to forget a person"


def test_what_changed_nothing_leaves_none(bq: Project, server: ServerProcess) -> None:
    bq.request("PUT", "/gamify/admin/game", json=GAME)
    points = {"participant_id": "p", "amount": 5, "idempotency_key": "once"}
    badge = {"participant_id": "p", "badge_code": "first"}
    assert len(done(server, bq.post("/gamify/points/award", points))) == 1
    assert len(done(server, bq.post("/gamify/badges/award", badge))) == 1
    assert done(server, bq.post("/gamify/points/award", points)) == []
    assert done(server, bq.post("/gamify/badges/award", badge)) == []
    assert done(server, bq.request("PUT", "/gamify/admin/game", params={"dry_run": "true"}, json={})) == []
    refused = bq.post("/gamify/points/deduct", {"participant_id": "p", "amount": 500})
    assert refused.status_code == 400
    assert lines(server, event="admin.done", request_id=refused.headers["X-Request-Id"]) == []


def test_keys_that_commands_make_and_revoke_are_told_by_the_server(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        until("the first key is told", lambda: lines(server, event="admin.done"))
        (first,) = lines(server, event="admin.done")
        assert (first["action"], first["command"], first["name"]) == ("key_created", "serve", "first key")
        where = ("--data-dir", str(data_dir))
        made = run("keys", "create", "--env", "live", "--scope", "metrics", "--name", "prometheus", *where)
        assert made.returncode == 0, made.stderr
        until("the key is told", lambda: lines(server, command="keys create"))
        (line,) = lines(server, command="keys create")
        assert line["action"] == "key_created"
        assert (line["environment"], line["scopes"], line["name"]) == ("live", "metrics", "prometheus")
        assert run("keys", "revoke", line["key"], *where).returncode == 0
        until("its end is told", lambda: lines(server, action="key_revoked"))
        assert lines(server, action="key_revoked")[0]["key"] == line["key"]
        assert made.stdout.strip() not in server.log


@pytest.mark.parametrize("lane", ["on", "off"])
def test_refused_requests_without_end_fill_no_disk(data_dir: Path, lane: str) -> None:
    with ServerProcess(data_dir, "--http-lane", lane) as server:
        wrong, broken = request(encoded(event()), key=b"wrong"), request(b"{", key=server.key.encode())
        with ExitStack() as stack:
            wires = [stack.enter_context(Wire(server.url)) for _ in range(40)]
            for _ in range(10):  # unknown keys that come together are looked for together
                for wire in wires:
                    wire.send(wrong + broken)
                for wire in wires:
                    assert wire.answer().startswith(b"HTTP/1.1 401")
                    assert wire.answer().startswith(b"HTTP/1.1 400")
        wire2 = Http2Wire(server.url)
        for _ in range(190):  # more would end the connection
            stream = wire2.begin("POST", "/api/v1/ingest/events", [("x-api-key", server.key)], ends=False)
            wire2.connection.reset_stream(stream)
            wire2.flush()
        wire2.close()
        key = server.key
        assert server.stop() == 0
    for code in ("unauthenticated", "invalid_json"):
        written = lines(server, event="request.refused", code=code)
        held_back = sum(line["lines"] for line in lines(server, event="log.held_back", code=code))
        assert written, "the first are told in full"
        assert len(written) + held_back == 400
    assert len(server.log.splitlines()) < 800, "all but a few hundred of 990 were counted"
    assert "Traceback" not in server.log
    assert key not in server.log
