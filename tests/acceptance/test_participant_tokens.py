"""Participant tokens: one participant reads what is theirs from a browser, and nothing else."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from bq_server.api.participant_tokens import ParticipantToken, signed
from bq_server.events import Scope
from bq_server.refusals import Code
from bq_server.store.backend import backend_of
from bq_server.store.participant_tokens import TokenSecret
from tests.support.client import Json, Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess

GAME: Json = {
    "points": [{"code": "pay", "on": "act", "award": "properties.amount"}],
    "badges": [{"code": "first", "name": "First", "criteria": {"on": "act", "aggregate": "count", "target": 1}}],
    "streaks": [{"code": "daily", "name": "Daily", "on": "act", "period": "daily"}],
    "challenges": [
        {
            "code": "thrice",
            "name": "Thrice",
            "objectives": [{"code": "o", "on": "act", "target": 3}],
        }
    ],
    "leaderboards": [{"code": "top", "name": "Top", "metric": "points", "window": ["all_time"]}],
    "rewards": [{"code": "mug", "name": "A mug", "cost": 1}],
    "contests": [
        {
            "code": "race",
            "name": "Race",
            "starts_at": "2026-01-01T00:00:00Z",
            "ends_at": "2126-01-01T00:00:00Z",
            "scoring": {"on": "act"},
        }
    ],
}
OWN = (
    "badges",
    "challenges",
    "points",
    "points/expiring",
    "points/transactions",
    "rewards",
    "state",
    "streaks",
    "tier",
)
READABLE = {
    *(f"/gamify/participants/{{participant_id}}/{each}" for each in OWN),
    "/gamify/participants/{participant_id}/streaks/{code}/calendar",
    "/gamify/leaderboards/{code}",
    "/gamify/leaderboards/{code}/around/{participant_id}",
    "/gamify/leaderboards/{code}/rank/{participant_id}",
    "/gamify/challenges/{code}/leaderboard",
    "/gamify/rewards",
    "/contests/active",
    "/contests/{contest_id}",
    "/contests/{contest_id}/prizes",
    "/contests/{contest_id}/leaderboard/public",
    "/contests/{contest_id}/me",
    "/referrals/validate/{code}",
    "/referrals/stats/{participant_id}",
}
"""Everything that a token may read."""


@pytest.fixture(autouse=True)
def _game(bq: Project) -> None:
    bq.apply(GAME)
    for who, amount in (("ada", 5), ("bob", 7)):
        bq.told(event("act", who, properties={"amount": amount}))
        assert bq.post("/contests/race/enter", {"participant_id": who}).status_code == 200


def made(bq: Project, who: str = "ada", **body: int) -> Json:
    answer = bq.post(f"/gamify/participants/{who}/tokens", body)
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


def ask(bq: Project, token: str, path: str, method: str = "GET", **more: str) -> httpx.Response:
    return bq.http.request(method, f"/api/v1{path}", headers={"Authorization": f"Bearer {token}", **more})


def path_for(template: str, who: str = "ada") -> str:
    code = "daily" if "streaks" in template else "thrice" if "challenges" in template else "top"
    path = template.replace("{participant_id}", who).replace("{code}", code).replace("{contest_id}", "race")
    return f"{path}?participant_id={who}" if path.endswith("/me") else path


@pytest.fixture
def operations(server: ServerProcess) -> list[tuple[str, str, Json]]:
    """Method, path and description of every route."""
    paths = httpx.get(f"{server.url}/openapi.json", verify=False).json()["paths"]
    return [
        (method.upper(), path.removeprefix("/api/v1"), operation)
        for path, methods in paths.items()
        if path.startswith("/api/v1")
        for method, operation in methods.items()
    ]


def test_a_participant_reads_exactly_this(bq: Project, operations: list[tuple[str, str, Json]]) -> None:
    token = made(bq)["token"]
    readable = set()
    for method, path, operation in operations:
        if "security" not in operation:
            continue
        answer = ask(bq, token, path_for(path), method)
        if {"ParticipantToken": []} in operation["security"]:
            assert (method, answer.status_code) == ("GET", 200), (path, answer.text)
            readable.add(path)
        elif {"Bearer": []} in operation["security"]:
            check(answer, Code.UNAUTHENTICATED)  # there it would be a key
        else:
            problem = check(answer, Code.FORBIDDEN)
            assert "API key with the scope" in problem["detail"], path
    assert readable == READABLE


def _without_time(answer: Json) -> Json:
    return {name: value for name, value in answer.items() if name != "updated_at"}


def test_it_sees_what_a_key_sees(bq: Project) -> None:
    token = made(bq)["token"]
    for template in READABLE:
        path = path_for(template)
        assert _without_time(ask(bq, token, path).json()) == _without_time(bq.request("GET", path).json()), path
    assert ask(bq, token, "/gamify/participants/ada/state", "HEAD").status_code == 200


def test_of_another_participant_it_sees_nothing(bq: Project) -> None:
    token = made(bq)["token"]
    for template in READABLE:
        if "{participant_id}" in template or template.endswith("/me"):
            for who in ("bob", "nobody", "ad%61%2F"):
                problem = check(ask(bq, token, path_for(template, who)), Code.FORBIDDEN)
                assert "another participant" in problem["detail"]


def test_a_name_with_a_slash_is_the_whole_name(bq: Project) -> None:
    bq.told(event("act", "a/b", properties={"amount": 1}))
    token = made(bq, "a%2Fb")["token"]
    assert ask(bq, token, "/gamify/participants/a%2Fb/points").json()["balance"] == 1
    check(ask(bq, token, "/gamify/participants/a/points"), Code.FORBIDDEN)


def test_on_a_leaderboard_the_hidden_are_hidden(bq: Project) -> None:
    token = made(bq)["token"]
    assert len(ask(bq, token, "/gamify/leaderboards/top").json()["entries"]) == 2
    hidden = bq.post("/admin/participants/visibility", {"participant_id": "bob", "hidden": True, "reason": "cheats"})
    assert hidden.status_code == 200, hidden.text
    bq.drain()
    shown = ask(bq, token, "/gamify/leaderboards/top").json()["entries"]
    assert [each["participant_id"] for each in shown] == ["ada"]


@pytest.mark.parametrize("seconds", [60, 86_400])
def test_how_long_it_lasts(bq: Project, seconds: int) -> None:
    token = made(bq, ttl_seconds=seconds)
    assert (token["participant_id"], token["token"][:4], token["token_id"][:4]) == ("ada", "bqp_", "tok_")
    assert ask(bq, token["token"], "/gamify/participants/ada/points").status_code == 200


@pytest.mark.parametrize("seconds", [59, 86_401, "900", 60.5])
def test_how_long_it_cannot_last(bq: Project, seconds: object) -> None:
    problem = check(bq.post("/gamify/participants/ada/tokens", {"ttl_seconds": seconds}), Code.VALIDATION_FAILED)
    assert problem["errors"][0]["field"] == "ttl_seconds"


def test_there_is_none_for_whom_nobody_knows(bq: Project) -> None:
    for method in ("POST", "DELETE"):
        check(bq.request(method, "/gamify/participants/nobody/tokens", json={}), Code.NOT_FOUND)


def test_no_cache_keeps_it_and_the_audit_log_has_no_name(bq: Project) -> None:
    answer = bq.post("/gamify/participants/bob/tokens", {})
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json()
    assert ask(bq, token["token"], "/gamify/participants/bob/points").headers["Cache-Control"] == "no-store"
    (entry,) = bq.get("/admin/audit-log", action="participant_token_created").json()["entries"]
    assert entry["about"] == {"token": token["token_id"], "expires_at": token["expires_at"]}
    assert "bob" not in str(entry)  # no id has an o
    assert token["token"] not in str(entry)


@pytest.mark.parametrize(
    "token",
    ["bqp_", "bqp_.", "bqp_x.y", "bqp_W10.AAAA", "bqp_" + "0" * 6_000 + ".x", "bq_test_" + "0" * 32, "eyJ0.e30."],
)
def test_what_is_none_is_refused(bq: Project, token: str) -> None:
    answer = ask(bq, token, "/gamify/participants/ada/points")
    problem = check(answer, Code.UNAUTHENTICATED)
    assert "X-API-Key" in problem["detail"]
    if token.startswith("bqp_"):
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_key_beside_it_counts(bq: Project) -> None:
    token = made(bq)["token"]
    beside = {"X-API-Key": bq.keys["test:read"]}
    assert ask(bq, token, "/gamify/participants/bob/points", **beside).status_code == 200
    check(ask(bq, token, "/gamify/participants/ada/points", **{"X-API-Key": "wrong"}), Code.UNAUTHENTICATED)


def test_it_is_of_its_environment(bq: Project) -> None:
    with bq.using("live") as live:
        live.send_sync(event("act", "ada", properties={"amount": 1}))
        token = made(live)["token"]
    assert ask(bq, token, "/gamify/participants/ada/state").json()["total_events"] == 1
    assert ask(bq, made(bq)["token"], "/gamify/participants/ada/points").json()["balance"] == 5


def test_revoking_ends_all_of_a_participant_at_once_and_nobody_elses(bq: Project) -> None:
    first, second, bobs = made(bq)["token"], made(bq)["token"], made(bq, "bob")["token"]
    for _ in range(2):
        revoked = bq.request("DELETE", "/gamify/participants/ada/tokens")
        assert revoked.json() == {"participant_id": "ada", "revoked": True}
    for each in (first, second):
        check(ask(bq, each, "/gamify/participants/ada/points"), Code.UNAUTHENTICATED)
    assert ask(bq, bobs, "/gamify/participants/bob/points").status_code == 200
    assert ask(bq, made(bq)["token"], "/gamify/participants/ada/points").status_code == 200
    check(ask(bq, first, "/gamify/participants/ada/points"), Code.UNAUTHENTICATED)
    assert len(bq.get("/admin/audit-log", action="participant_tokens_revoked").json()["entries"]) == 1


def test_erasing_ends_them_also_for_the_next_of_that_name(bq: Project) -> None:
    token = made(bq)["token"]
    erased = bq.post("/admin/participants/erase", {"participant_id": "ada", "clean_up": False})
    assert erased.status_code == 200, erased.text
    check(ask(bq, token, "/gamify/participants/ada/points"), Code.UNAUTHENTICATED)
    bq.told(event("act", "ada", properties={"amount": 1}))
    made(bq)
    check(ask(bq, token, "/gamify/participants/ada/points"), Code.UNAUTHENTICATED)


def test_a_reset_ends_them(bq: Project) -> None:
    token = made(bq)["token"]
    assert bq.post("/sandbox/reset", {}).status_code == 200
    bq.told(event("act", "ada", properties={"amount": 1}))
    check(ask(bq, token, "/gamify/participants/ada/points"), Code.UNAUTHENTICATED)


def test_it_ends_with_the_key_that_made_it(bq: Project) -> None:
    key = bq.post("/admin/keys", {"scopes": ["read"]}).json()
    token = made(Project(bq.http, {"test": key["key"]}))["token"]
    assert ask(bq, token, "/gamify/participants/ada/points").status_code == 200
    bq.request("DELETE", f"/admin/keys/{key['key_id']}")
    check(ask(bq, token, "/gamify/participants/ada/points"), Code.UNAUTHENTICATED)


def test_rotating_lets_earlier_ones_live_on_or_ends_them(bq: Project, other_bq: Project) -> None:
    other_bq.told(event("act", "ada", properties={"amount": 1}))
    old, others = made(bq)["token"], made(other_bq)["token"]
    rotated = bq.post("/admin/token-secret/rotate", {})
    assert rotated.status_code == 200, rotated.text
    new = made(bq)["token"]
    for token in (old, new):
        assert ask(bq, token, "/gamify/participants/ada/points").status_code == 200
    at_once = bq.post("/admin/token-secret/rotate", {"overlap_seconds": 0}).json()
    assert at_once["secret_id"] != rotated.json()["secret_id"]
    for token in (old, new):
        check(ask(bq, token, "/gamify/participants/ada/points"), Code.UNAUTHENTICATED)
    assert ask(bq, made(bq)["token"], "/gamify/participants/ada/points").status_code == 200
    assert ask(bq, others, "/gamify/participants/ada/points").status_code == 200, "another environment has its own"
    assert len(bq.get("/admin/audit-log", action="token_secret_rotated").json()["entries"]) == 2


@pytest.fixture
def limited(data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir, "--rate-limit-per-participant", "3/3600") as server:
        with server.client() as client:
            for who in ("ada", "bob"):
                client.post("/gamify/participants", json={"participant_id": who})
        yield server
        assert server.stop() == 0


def test_one_participant_has_a_limit_of_their_own(limited: ServerProcess) -> None:
    with limited.client() as client:
        tokens = [client.post(f"/gamify/participants/{who}/tokens", json={}).json() for who in ("ada", "ada", "bob")]

        def points(number: int) -> httpx.Response:
            path = f"{limited.url}/api/v1/gamify/participants/{tokens[number]['participant_id']}/points"
            return httpx.get(path, headers={"Authorization": f"Bearer {tokens[number]['token']}"}, verify=False)

        counted = [points(number) for number in (0, 1, 0, 1)]
        assert [each.status_code for each in counted] == [200, 200, 200, 429]
        assert counted[0].headers["X-RateLimit-Remaining"] == "2"
        check(counted[3], Code.RATE_LIMITED)
        assert points(2).status_code == 200
        assert client.get("/gamify/participants/ada/points").status_code == 200, "the key's own requests go on"


def test_one_that_has_expired_is_told_apart(limited: ServerProcess, store_address: Path | str) -> None:
    with limited.client() as client:
        token = client.post("/gamify/participants/ada/tokens", json={}).json()
        with closing(backend_of(store_address).connect(5)) as connection:
            (secret_id, secret), *_ = connection.execute("SELECT secret_id, secret FROM token_secrets").fetchall()
            (series,), *_ = connection.execute("SELECT series FROM token_series").fetchall()
            (key_id,), *_ = connection.execute("SELECT key_id FROM api_keys").fetchall()
        scope = Scope("default", "test")
        late = ParticipantToken(token["token_id"], scope, secret_id, key_id, "ada", series, 1_000)
        text = signed(late, TokenSecret(secret_id, scope, bytes.fromhex(secret), 0))
        headers = {"Authorization": f"Bearer {text}"}
        answer = httpx.get(f"{limited.url}/api/v1/gamify/participants/ada/points", headers=headers, verify=False)
    problem = check(answer, Code.TOKEN_EXPIRED)
    assert "another" in problem["detail"]
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert secret not in limited.log
