"""Texts that no store could keep are refused alike, whatever the store, and wherever they are sent."""

import base64
import json
import re
from typing import Any

import httpx
import pytest

from bq_server.refusals import Code
from tests.acceptance.test_refusals import ROUTES
from tests.support.client import Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess

NULLS = [
    (method, path) for method, _, path in ROUTES if re.search(r"/(x|u|s|c|e|d|fact_x|1-[01]|key_x|login)(/|$)", path)
]
"""Routes with a parameter in their path."""


@pytest.mark.parametrize(("method", "path"), NULLS)
def test_a_null_character_in_a_path_names_nothing(bq: Project, method: str, path: str) -> None:
    named = re.sub(r"/(x|u|s|c|e|d|fact_x|1-[01]|key_x|login)(?=/|$)", "/%00", path)
    body: Any = None if method in ("GET", "DELETE") else {}
    answer = bq.request(method, named, json=body)
    assert answer.status_code in (404, 422), answer.text


def test_a_null_character_in_any_parameter_of_a_query_is_refused(bq: Project, server: ServerProcess) -> None:
    document = httpx.get(f"{server.url}/openapi.json", verify=False).json()
    tried = 0
    for path, methods in document["paths"].items():
        named = re.sub(r"{[a-z_]+}", "x", path).removeprefix("/api/v1")
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "query" or not path.startswith("/api/v1/") or "security" not in operation:
                    continue
                tried += 1
                answer = bq.request(method, f"{named}?{parameter['name']}=a%00b")
                assert answer.status_code in (404, 415, 422), (method, path, parameter["name"], answer.text)
    assert tried > 50


CURSORS = {
    "/gamify/participants": [b"\0", b"\xed\xa0\x80"],
    "/gamify/leaderboards/top": [
        b'["all_time", "all\\u0000time", 1, 1, "p"]',
        b'["all_time", "all_time", 1, 1, "\\u0000"]',
        b'["all_time", "all_time", 1, 1, "\\ud800"]',
    ],
}


@pytest.mark.parametrize("path", CURSORS)
def test_a_cursor_that_was_made_up_is_refused(bq: Project, path: str) -> None:
    bq.apply({"leaderboards": [{"code": "top", "name": "Top", "metric": "points", "window": ["all_time"]}]})
    for raw in CURSORS[path]:
        cursor = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        check(bq.get(path, cursor=cursor), Code.VALIDATION_FAILED)


GAMES: list[Any] = [
    {"badges": [{"code": "b", "name": "a\0b"}]},
    {"points": [{"code": "p", "on": "a\0b", "award": 1}]},
    {"rewards": [{"code": "r", "name": "R", "codes": ["a\0"]}]},
]


@pytest.mark.parametrize("game", GAMES)
def test_a_null_character_in_a_game_is_refused_with_its_place(bq: Project, game: Any) -> None:
    for content, kind in ((json.dumps(game), "application/json"), (_yaml(game), "application/yaml")):
        answer = bq.request("PUT", "/gamify/admin/game", content=content.encode(), headers={"Content-Type": kind})
        problem = check(answer, Code.VALIDATION_FAILED)
        assert re.search(r"line 1, column \d+: .*U\+0000", json.dumps(problem)), problem


def _yaml(game: Any) -> str:
    return json.dumps(game).replace("\\u0000", "\\0")


def test_what_a_game_makes_of_a_fact_may_be_any_text(bq: Project) -> None:
    """CEL can write what no event may contain."""
    bq.apply(
        {
            "points": [
                {
                    "code": "p",
                    "on": "e",
                    "award": 1,
                    "limit": {"times": 1, "per": "ever", "by": '"\\u0000" + properties.s'},
                }
            ],
            "badges": [
                {
                    "code": "b",
                    "name": "B",
                    "criteria": {"on": "e", "aggregate": "distinct", "of": '"\\u0000" + properties.s', "target": 2},
                }
            ],
        }
    )
    for s in ("x", "x", "y"):
        assert bq.send_sync(event("e", "p", properties={"s": s})).status_code == 200
    assert bq.balance("p") == 2
    (badge,) = bq.participant("p", "/badges")["badges"]
    assert badge["earned"]


def test_an_import_holds_texts_to_the_same_rules(bq: Project) -> None:
    header = {"bq_export": 1, "bq_server": "0", "exported_at": "2026-04-01T00:00:00Z"}
    participant = {"participant": {"participant_id": "a\0", "created_at": "2026-04-01T00:00:00Z"}}
    content = "\n".join(json.dumps(each) for each in (header, participant))
    answer = bq.request("POST", "/sandbox/import", content=content, headers={"Content-Type": "application/x-ndjson"})
    assert "U+0000" in check(answer, Code.VALIDATION_FAILED)["detail"]


@pytest.mark.parametrize("key", [b"a\xed\xa0\x80", b"\xff", "\u00e4".encode()])
def test_a_key_in_a_header_is_kept_as_it_came(bq: Project, key: bytes) -> None:
    headers = {"X-API-Key": bq.keys["test"], "Idempotency-Key": key}
    answers = [bq.http.post("/api/v1/ingest/events/sync", json=event(), headers=headers) for _ in range(2)]  # type: ignore[arg-type]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].json()["fact_id"] == answers[1].json()["fact_id"]
