"""Keys over the API: made, listed, rotated and revoked within one environment."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project
from tests.support.problems import check


def made(bq: Project, **body: Any) -> Json:
    answer = bq.post("/admin/keys", {"scopes": ["read"], **body})
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


def listed(bq: Project) -> dict[str, Json]:
    return {each["key_id"]: each for each in bq.get("/admin/keys").json()["keys"]}


def status_with(bq: Project, key: str) -> int:
    return Project(bq.http, {"test": key}).get("/facts").status_code


def test_a_key_works_at_once_and_is_listed_without_what_opens(bq: Project) -> None:
    new = made(bq, name="shop", scopes=["read", "ingest", "read"], expires_in="P90D")
    assert new["key"].startswith("bq_test_")
    assert status_with(bq, new["key"]) == 200
    found = listed(bq)[new["key_id"]]
    assert (found["name"], found["scopes"], found["environment"]) == ("shop", ["ingest", "read"], "test")
    assert found["valid"]
    assert found["expires_at"] is not None
    assert new["key"] not in str(listed(bq))


def test_a_key_is_of_the_callers_environment_and_no_other_is_seen(bq: Project, other_bq: Project) -> None:
    with bq.using("live") as live:
        new = made(live)
        assert new["key"].startswith("bq_live_")
        assert new["key_id"] in listed(live)
    for stranger in (bq, other_bq):
        assert new["key_id"] not in listed(stranger)
        check(stranger.request("DELETE", f"/admin/keys/{new['key_id']}"), Code.NOT_FOUND)
        check(stranger.post(f"/admin/keys/{new['key_id']}/rotate", {}), Code.NOT_FOUND)


def test_the_audit_log_tells_who_made_and_ended_keys(bq: Project) -> None:
    new = made(bq, name="shop")
    bq.post(f"/admin/keys/{new['key_id']}/rotate", {})
    for _ in range(2):
        bq.request("DELETE", f"/admin/keys/{new['key_id']}")
    bq.post("/console/links", {})
    entries = bq.get("/admin/audit-log").json()["entries"]
    actions = ["console_link_created", "key_revoked", "key_rotated", "key_created"]
    assert [each["action"] for each in entries] == actions
    assert new["key"] not in str(entries)


def test_a_revoked_key_is_refused_at_once(bq: Project) -> None:
    new = made(bq)
    assert bq.request("DELETE", f"/admin/keys/{new['key_id']}").json() == {"key_id": new["key_id"], "revoked": True}
    assert status_with(bq, new["key"]) == 401
    found = listed(bq)[new["key_id"]]
    assert not found["valid"]
    assert found["revoked_at"] is not None
    check(bq.post(f"/admin/keys/{new['key_id']}/rotate", {}), Code.NOT_FOUND)


def test_a_successor_may_do_the_same_and_the_old_key_ends(bq: Project) -> None:
    old = made(bq, name="shop", scopes=["read", "metrics"])
    new = bq.post(f"/admin/keys/{old['key_id']}/rotate", {"overlap": "PT1H"}).json()
    assert [status_with(bq, each["key"]) for each in (old, new)] == [200, 200]
    keys = listed(bq)
    assert keys[new["key_id"]]["scopes"] == keys[old["key_id"]]["scopes"]
    assert keys[new["key_id"]]["name"] == "shop"
    assert keys[new["key_id"]]["expires_at"] is None
    assert new["expires_at"] is None
    assert keys[old["key_id"]]["expires_at"] is not None


def test_the_successor_of_a_key_that_ends_ends_too(bq: Project) -> None:
    old = made(bq, expires_in="P90D")
    days = {"P90D": {}, "P7D": {"expires_in": "P7D"}}
    for lasts, body in days.items():
        new = bq.post(f"/admin/keys/{old['key_id']}/rotate", {"overlap": "P1D", **body}).json()
        found = listed(bq)[new["key_id"]]
        assert new["expires_at"] == found["expires_at"]
        span = datetime.fromisoformat(found["expires_at"]) - datetime.fromisoformat(found["created_at"])
        assert span == timedelta(days=int(lasts[1:-1])), lasts
        old = new if lasts == "P90D" else old
    told = bq.get("/admin/audit-log", action="key_rotated").json()["entries"][0]["about"]
    assert told["expires_at"] == found["expires_at"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"scopes": ["read"], "expires_in": "soon"}, "expires_in"),
        ({"scopes": ["read"], "expires_in": "P40000D"}, "expires_in"),
        ({"scopes": ["read"], "expires_in": 3}, "expires_in"),
        ({"scopes": ["read"], "name": "x" * 101}, "name"),
        ({"scopes": ["read"], "environment": "live"}, "environment"),
    ],
)
def test_a_wrong_key_is_refused_by_field(bq: Project, body: Json, field: str) -> None:
    problem = check(bq.post("/admin/keys", body), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == [field]
