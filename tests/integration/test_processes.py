"""Several processes over one store: any request to any of them, and what each must know of the others at once."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.private_postgres import PrivatePostgres
from tests.support.client import event
from tests.support.feed import everything
from tests.support.fleet import Fleet, fleet
from tests.support.process import ServerProcess, run
from tests.support.receiver import receiving

GAME = {"points": [{"code": "each", "on": "purchase_completed", "award": 10}]}
MARKED = {"X-Console": "1"}
BOARD = {"code": "ever", "name": "Ever", "metric": "points"}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, start_postgres: object) -> Iterator[Fleet]:
    """Two processes of each kind."""
    assert callable(start_postgres)
    postgres: PrivatePostgres = start_postgres()
    with fleet(tmp_path_factory.mktemp("together"), postgres.database()) as processes:
        yield processes
        processes.verify()


@pytest.fixture
def sandbox(together: Fleet) -> tuple[ServerProcess, ServerProcess]:
    """Both that answer requests, with an empty environment."""
    one, other = together.apis
    one.key = other.key = together.key
    assert one.request("POST", "/sandbox/reset", json={"game": True}).status_code == 200
    return one, other


def test_an_event_is_a_fact_wherever_it_is_asked_for(sandbox: tuple[ServerProcess, ServerProcess]) -> None:
    one, other = sandbox
    taken = one.request("POST", "/ingest/events", json=event(idempotency_key="k"), params={"wait": "fact"}).json()
    assert other.request("GET", f"/facts/{taken['fact_id']}").json()["fact_id"] == taken["fact_id"]
    repeated = other.request("POST", "/ingest/events", json=event(idempotency_key="k")).json()
    assert repeated["message_id"] == taken["message_id"]
    assert other.request("GET", f"/ingest/messages/{taken['message_id']}").json()["status"] == "processed"
    conflict = other.request("POST", "/ingest/events/sync", json=event("other", idempotency_key="k"))
    assert conflict.status_code == 409


def test_one_key_sent_to_both_paths_of_both_is_one_fact(sandbox: tuple[ServerProcess, ServerProcess]) -> None:
    one, other = sandbox
    for number in range(20):
        body = event(idempotency_key=f"k{number}")
        one.request("POST", "/ingest/events", json=body)
        other.request("POST", "/ingest/events/sync", json=body)
        one.request("POST", "/ingest/events/sync", json=body)
    drained = other.request("POST", "/sandbox/drain", json={}).json()
    assert (drained["facts"], drained["dead"]) == (20, 0)


def test_a_clock_is_everyones_as_soon_as_it_is_set(sandbox: tuple[ServerProcess, ServerProcess]) -> None:
    one, other = sandbox
    for day in range(1, 9):
        setting, asking = (one, other) if day % 2 else (other, one)
        moment = f"2026-04-{day:02}T09:00:00Z"
        shown = setting.request("PUT", "/sandbox/clock", json={"now": moment})
        assert shown.status_code == 200, shown.text
        sent = asking.request("POST", "/ingest/events", json=event())
        assert sent.headers["X-Sandbox-Clock"].startswith(f"2026-04-{day:02}T09:00:00")
        made = asking.request("POST", "/ingest/events/sync", json=event()).json()
        fact = setting.request("GET", f"/facts/{made['fact_id']}").json()
        assert fact["occurred_at"].startswith(f"2026-04-{day:02}T09:00:00")
    facts = one.request("POST", "/sandbox/drain", json={}).json()["facts"]
    assert facts == 16
    moved = other.request("POST", "/sandbox/clock/advance", json={"by": "P1D"}).json()
    assert moved["now"].startswith("2026-04-09")


def test_after_a_reset_elsewhere_keys_are_free_and_names_are_new(sandbox: tuple[ServerProcess, ServerProcess]) -> None:
    one, other = sandbox
    for round_ in range(4):
        resetting, sending = (one, other) if round_ % 2 else (other, one)
        answer = sending.request("PUT", "/gamify/admin/game", json=GAME | {"leaderboards": [BOARD]})
        assert answer.status_code == 200, answer.text
        for send in ("/ingest/events", "/ingest/events/sync"):
            body = event(participant_id=f"p{round_}", idempotency_key=send)
            assert sending.request("POST", send, json=body).status_code in (200, 202)
        assert resetting.request("POST", "/sandbox/drain", json={}).json()["facts"] == 2
        entries = resetting.request("GET", "/gamify/leaderboards/ever").json()["entries"]
        assert [(each["participant_id"], each["score"]) for each in entries] == [(f"p{round_}", 20)]
        assert resetting.request("POST", "/sandbox/reset", json={}).status_code == 200
        assert sending.request("POST", "/sandbox/drain", json={}).json()["facts"] == 0


def test_a_revoked_key_is_refused_everywhere_at_once(sandbox: tuple[ServerProcess, ServerProcess]) -> None:
    one, other = sandbox
    for revoking, asking in ((one, other), (other, one)):
        made = revoking.request("POST", "/admin/keys", json={"name": "n", "scopes": ["read"]}).json()
        assert asking.request("GET", "/facts", key=made["key"]).status_code == 200
        assert revoking.request("DELETE", f"/admin/keys/{made['key_id']}").status_code == 200
        assert asking.request("GET", "/facts", key=made["key"]).status_code == 401


def test_a_participants_token_is_known_everywhere_at_once(sandbox: tuple[ServerProcess, ServerProcess]) -> None:
    one, other = sandbox
    one.request("POST", "/ingest/events/sync", json=event())
    for making, asking in ((one, other), (other, one)):
        assert making.request("POST", "/admin/token-secret/rotate", json={}).status_code == 200
        made = making.request("POST", "/gamify/participants/user_123/tokens", json={})
        assert made.status_code == 201, made.text
        headers = {"Authorization": f"Bearer {made.json()['token']}"}
        there = f"{asking.url}/api/v1/gamify/participants/user_123/state"
        assert httpx.get(there, headers=headers, verify=False).status_code == 200


def test_a_session_of_the_console_is_everywhere_and_its_link_opens_once(
    sandbox: tuple[ServerProcess, ServerProcess],
) -> None:
    one, other = sandbox
    for making, asking in ((one, other), (other, one)):
        made = making.request("POST", "/console/links", json={}).json()
        link = {"link": made["path"].partition("#link=")[2]}
        with httpx.Client(verify=False, headers={"X-Console": "1"}) as browser:
            opened = browser.post(f"{asking.url}/api/v1/console/session", json=link)
            assert opened.status_code == 200, opened.text
            assert browser.post(f"{making.url}/api/v1/console/session", json=link).status_code == 401
            (secret,) = [each.value for each in browser.cookies.jar]
            port = httpx.URL(making.url).port
            there = {"Cookie": f"bq_console_{port}={secret}"}
            assert httpx.get(f"{making.url}/api/v1/facts", headers=MARKED | there, verify=False).status_code == 200
            ended = httpx.delete(f"{making.url}/api/v1/console/session", headers=MARKED | there, verify=False)
            assert ended.status_code == 200, ended.text
            assert browser.get(f"{asking.url}/api/v1/facts").status_code == 401


def test_a_game_applied_here_is_recomputed_by_the_worker_and_in_force_there(
    sandbox: tuple[ServerProcess, ServerProcess],
) -> None:
    one, other = sandbox
    for number in range(45):
        one.request("POST", "/ingest/events/sync", json=event(participant_id=f"p{number}"))
    applied = one.request("PUT", "/gamify/admin/game", json=GAME, params={"backfill": "true"})
    assert applied.status_code == 200, applied.text
    assert other.request("POST", "/sandbox/drain", json={}).status_code == 200
    assert other.request("GET", "/gamify/participants/p44/points").json()["balance"] == 10
    assert other.request("POST", "/ingest/events/sync", json=event(participant_id="p44")).status_code == 200
    assert one.request("GET", "/gamify/participants/p44/points").json()["balance"] == 20


def test_an_endpoint_made_here_is_sent_what_happens_there(
    sandbox: tuple[ServerProcess, ServerProcess], tmp_path: Path
) -> None:
    one, other = sandbox
    with receiving() as receiver:
        made = one.request("POST", "/webhooks/endpoints", json={"url": receiver.url, "event_types": ["fact.created"]})
        assert made.status_code == 201, made.text
        other.request("POST", "/ingest/events/sync", json=event())
        one.request("POST", "/ingest/events", json=event())
        assert other.request("POST", "/sandbox/drain", json={"webhooks": True}).status_code == 200
        assert len(receiver.bodies()) == 2
    assert other.request("DELETE", f"/webhooks/endpoints/{made.json()['endpoint_id']}").status_code == 200


def test_a_feed_tells_what_a_worker_did(sandbox: tuple[ServerProcess, ServerProcess]) -> None:
    one, other = sandbox
    one.request("POST", "/ingest/events", json=event(), params={"wait": "fact"})
    assert everything(other.url, other.key)[-1].type == "fact.created"


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_role_needs_what_is_shared(role: str, tmp_path: Path) -> None:
    refused = run("serve", "--role", role, "--data-dir", str(tmp_path / "data"))
    assert refused.returncode == 2
    assert f"--role {role} needs --store-url and --redis-url" in refused.stderr
    elsewhere = {"BQ_STORE_URL": "postgresql://nobody@127.0.0.1:1/x", "BQ_REDIS_URL": "redis://127.0.0.1:1"}
    refused = run("serve", "--role", role, "--data-dir", str(tmp_path / "data"), "--game", "g.yaml", env=elsewhere)
    assert refused.returncode == 2
    assert "--game needs --role all" in refused.stderr


def test_a_worker_answers_for_itself_only(together: Fleet) -> None:
    worker = together.workers[0]
    assert httpx.get(f"{worker.url}/readyz", verify=False).json()["checks"]["consumer"] == "ok"
    assert worker.request("GET", "/facts", key=together.key).status_code == 404
    assert worker.request("POST", "/ingest/events", key=together.key, json=event()).status_code == 404
    headers = {"X-API-Key": together.key}
    metrics = httpx.get(f"{worker.url}/metrics", headers=headers, verify=False).text
    assert 'bq_processes{role="api",state="alive"} 2.0' in metrics
    assert 'bq_processes{role="worker",state="alive"} 2.0' in metrics
