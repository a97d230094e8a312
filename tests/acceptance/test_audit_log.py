"""Who did what that is no event: kept with the change, never changed, read by administrators."""

import asyncio
import json
from pathlib import Path

import pytest

from bq_server.clock import system_clock
from bq_server.events import Scope
from bq_server.store.audit_log import Act, Actor, AuditFilter, newest
from bq_server.store.database import Database
from tests.support.client import Json, Project
from tests.support.process import ServerProcess, run
from tests.support.store import changed

GAME: Json = {"badges": [{"code": "first", "name": "First"}], "points": [{"code": "p", "on": "x", "award": 1}]}
SCOPE = Scope("default", "test")


def entries(bq: Project, **query: str) -> list[Json]:
    answer = bq.request("GET", "/admin/audit-log", params=query)
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["entries"]
    return found


def commands(data_dir: Path, *arguments: str) -> list[Json]:
    shown = run("audit", "list", "--json", "--data-dir", str(data_dir), *arguments)
    assert shown.returncode == 0, shown.stderr
    found: list[Json] = json.loads(shown.stdout)
    return found


def test_every_change_over_http_is_kept_with_who_did_it(bq: Project) -> None:
    exported = bq.get("/sandbox/export")
    acts = {
        "environment_imported": bq.request(
            "POST", "/sandbox/import", content=exported.content, headers={"Content-Type": "application/x-ndjson"}
        ),
        "game_applied": bq.request("PUT", "/gamify/admin/game", json=GAME),
        "clock_set": bq.request("PUT", "/sandbox/clock", json={"now": "2026-04-02T09:00:00Z"}),
        "clock_advanced": bq.post("/sandbox/clock/advance", {"by": "P1D"}),
        "clock_given_back": bq.request("DELETE", "/sandbox/clock"),
        "points_awarded": bq.post("/gamify/points/award", {"participant_id": "secret_person", "amount": 50}),
        "points_deducted": bq.post("/gamify/points/deduct", {"participant_id": "secret_person", "amount": 20}),
        "badge_awarded": bq.post("/gamify/badges/award", {"participant_id": "secret_person", "badge_code": "first"}),
        "fact_voided": bq.post(f"/facts/{bq.facts()[0]['fact_id']}/void", {"reason": "secret_person"}),
        "environment_reset": bq.post("/sandbox/reset", {"game": True}),
    }
    created = bq.post("/webhooks/endpoints", {"url": "http://127.0.0.1:9/x", "event_types": ["badge.awarded"]})
    one = f"/webhooks/endpoints/{created.json()['endpoint_id']}"
    acts |= {
        "webhook_endpoint_created": created,
        "webhook_endpoint_changed": bq.request("PATCH", one, json={"description": "x"}),
        "webhook_secret_rotated": bq.post(f"{one}/secret", {"overlap_seconds": 60}),
        "webhooks_replayed": bq.post(f"{one}/replay", {}),
        "webhook_endpoint_removed": bq.request("DELETE", one),
    }
    found = entries(bq)
    assert [each["action"] for each in found] == list(reversed(acts)), "the newest first, and the reset keeps them"
    for each in found:
        answer = acts[each["action"]]
        assert answer.status_code in (200, 201, 202), answer.text
        assert each["request_id"] == answer.headers["X-Request-Id"]
        assert (each["environment"], each["command"], each["address"]) == ("test", None, "127.0.0.1")
        assert each["key_id"].startswith("key_")
        assert abs(int(each["at"][:4]) - int(system_clock() / 3.15576e13 + 1970)) <= 1, "by the server's clock"
    about = {each["action"]: each["about"] for each in found}
    assert about["game_applied"]["added"] == ["points/p", "badge/first"]
    assert about["points_awarded"]["amount"] == 50
    assert about["points_awarded"]["fact_id"].startswith("fact_")
    assert about["clock_advanced"] == {"now": "2026-04-03T09:00:00Z", "frozen": True}
    assert "secret_person" not in json.dumps(found)


def test_what_changed_nothing_leaves_no_entry(bq: Project) -> None:
    bq.request("PUT", "/gamify/admin/game", json=GAME)
    bq.request("PUT", "/gamify/admin/game", json=GAME)
    bq.request("PUT", "/gamify/admin/game", params={"dry_run": "true"}, json={})
    once = {"participant_id": "p", "amount": 5, "idempotency_key": "once"}
    for _ in range(2):
        assert bq.post("/gamify/points/award", once).status_code == 200
        assert bq.post("/gamify/badges/award", {"participant_id": "p", "badge_code": "first"}).status_code == 200
    assert bq.post("/gamify/points/deduct", {"participant_id": "p", "amount": 500}).status_code == 400
    assert [each["action"] for each in entries(bq)] == ["badge_awarded", "points_awarded", "game_applied"]


def test_pages_and_filters(bq: Project, other_bq: Project) -> None:
    for amount in range(1, 6):
        bq.post("/gamify/points/award", {"participant_id": "p", "amount": amount})
    bq.request("PUT", "/gamify/admin/game", json=GAME)
    other_bq.post("/gamify/points/award", {"participant_id": "p", "amount": 99})
    amounts: list[int] = []
    cursor: Json = {}
    while True:
        page = bq.request("GET", "/admin/audit-log", params={"action": "points_awarded", "limit": "2", **cursor}).json()
        assert 1 <= len(page["entries"]) <= 2
        amounts += [each["about"]["amount"] for each in page["entries"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert amounts == [5, 4, 3, 2, 1], "of this environment alone"
    assert len(entries(bq)) == 6
    assert entries(bq, key_id="key_of_another") == []
    third = entries(bq)[3]["at"]
    assert all(each["at"] >= third for each in entries(bq, since=third))
    assert all(each["at"] < third for each in entries(bq, until=third))
    for wrong in ({"cursor": "x"}, {"limit": "0"}, {"since": "x"}, {"more": "1"}):
        assert bq.request("GET", "/admin/audit-log", params=wrong).status_code == 422


def test_commands_are_kept_too_and_told_by_the_server(data_dir: Path) -> None:
    where = ("--data-dir", str(data_dir))
    run("keys", "create", "--env", "live", "--scope", "admin", "--name", "ops", *where)
    (made,) = commands(data_dir)
    assert (made["action"], made["command"], made["key_id"]) == ("key_created", "keys create", None)
    assert (made["environment"], made["about"]["name"], made["about"]["scopes"]) == ("live", "ops", "admin")
    key_id = made["about"]["key"]
    with ServerProcess(data_dir):
        assert run("keys", "rotate", key_id, *where).returncode == 0
        assert run("keys", "revoke", key_id, *where).returncode == 0
        assert run("keys", "revoke", key_id, *where).returncode == 0, "once more changes nothing"
        found = commands(data_dir)
        assert [each["action"] for each in found] == ["key_revoked", "key_rotated", "key_created"]
        assert found[1]["about"]["in_place_of"] == key_id
        assert [each["action"] for each in commands(data_dir, "--action", "key_rotated")] == ["key_rotated"]
        assert len(commands(data_dir, "--limit", "2")) == 2
        assert commands(data_dir, "--since", "2999-01-01T00:00:00Z") == []
    shown = run("audit", "list", *where)
    assert "keys rotate" in shown.stdout
    assert run("audit", "list", "--since", "x", *where).returncode == 2


def test_the_first_key_and_the_file_of_a_game_are_kept(tmp_path: Path, data_dir: Path) -> None:
    game = tmp_path / "game.json"
    game.write_text(json.dumps(GAME))
    for _ in range(2):
        with ServerProcess(data_dir, "--game", str(game)) as server:
            server.stop()
    found = commands(data_dir)
    assert [(each["action"], each["command"]) for each in found] == [
        ("key_created", "serve"),
        ("game_applied", "serve"),
    ], "a second start with the same game changes nothing"


def test_entries_can_be_neither_changed_nor_removed(new_store: Path | str) -> None:
    async def begin(*, fails: bool) -> None:
        async with Database.open(new_store) as database, database.transaction() as connection:
            await Act("game_applied", SCOPE, Actor("key_1"), system_clock).keep(connection, version=1)
            if fails:
                raise LookupError

    async def every() -> int:
        async with Database.open(new_store) as database, database.read() as connection:
            return len(await newest(connection, None, AuditFilter(), 10))

    asyncio.run(begin(fails=False))
    with pytest.raises(LookupError):
        asyncio.run(begin(fails=True))
    assert asyncio.run(every()) == 1, "what came to nothing leaves no entry"
    for statement in ("UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(Exception, match="append-only"):
            changed(new_store, statement)
