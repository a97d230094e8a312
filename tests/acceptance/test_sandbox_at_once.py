"""Calls of the sandbox that meet each other, or the end of the server."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until
from tests.support.store import no_new_facts

FACTS = 1500
LATER = {
    "points": [
        {"code": "first", "on": "purchase_completed", "award": 1},
        {"code": "later", "on": "purchase_completed", "award": 10},
    ]
}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def story() -> bytes:
    """An export of many facts, of which the second definition counts none, and only the last has a key."""
    lines: list[Json] = [{"game": LATER, "counts_after": {"points/first": 0, "points/later": FACTS}}]
    for number in range(FACTS):
        fact = {
            "fact_id": f"fact_{number:026}",
            "event_id": f"evt_{number:026}",
            "fact_type": "custom.purchase_completed",
            "participant_id": "ada",
            "properties": {},
            **dict.fromkeys(("occurred_at", "received_at", "processed_at"), "2026-04-02T09:00:00Z"),
        }
        last = {"idempotency_key": "last", "fingerprint": "0" * 32}
        lines.append({"fact": fact | (last if number == FACTS - 1 else {})})
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def send_import(client: httpx.Client, story: bytes) -> httpx.Response:
    return client.post("/sandbox/import", content=story, headers=NDJSON)


def begun_import(pool: ThreadPoolExecutor, client: httpx.Client, story: bytes) -> "Future[httpx.Response]":
    """An import that has begun."""
    found = pool.submit(send_import, client, story)
    until("facts are there", lambda: client.get("/facts").json()["facts"] or found.done())
    return found


def balance_after_one_more(client: httpx.Client) -> int:
    client.post("/ingest/events/sync", json=event(participant_id="bob"))
    found: int = client.get("/gamify/participants/bob/points").json()["balance"]
    return found


def test_every_move_of_a_clock_counts(bq: Project) -> None:
    bq.request("PUT", "/sandbox/clock", json={"now": "2026-04-02T09:00:00Z"})
    with ThreadPoolExecutor(8) as pool:
        moved = list(pool.map(lambda _: bq.post("/sandbox/clock/advance", {"by": "PT1H"}), range(8)))
    assert {each.status_code for each in moved} == {200}
    assert bq.get("/sandbox/clock").json()["now"] == "2026-04-02T17:00:00Z"


def test_of_two_imports_at_once_one_is_taken(data_dir: Path, story: bytes) -> None:
    with ServerProcess(data_dir) as server, server.client() as client, ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: send_import(client, story), range(2))
        assert sorted((one.status_code, other.status_code)) == [200, 409]
        assert client.post("/sandbox/drain", json={}).json()["facts"] == FACTS


def test_a_reset_and_an_export_see_an_import_whole_or_not_at_all(data_dir: Path, story: bytes) -> None:
    with ServerProcess(data_dir) as server, server.client() as client, ThreadPoolExecutor(1) as pool:
        importing = begun_import(pool, client, story)
        refused = check(client.post("/sandbox/reset", json={"timeout_ms": 0}), Code.NOT_DRAINED)
        assert "still under way" in refused["detail"] or importing.done()
        exported = client.get("/sandbox/export").content
        assert importing.result().status_code == 200
        assert exported.count(b'{"fact":') == FACTS
        assert client.post("/sandbox/reset", json={}).status_code == 200
        assert client.post("/sandbox/drain", json={}).json()["facts"] == 0


def test_definitions_count_again_after_an_import_that_met_other_events(data_dir: Path, story: bytes) -> None:
    with ServerProcess(data_dir) as server, server.client() as client, ThreadPoolExecutor(1) as pool:
        importing = begun_import(pool, client, story)
        client.post("/ingest/events/sync", json=event("login", idempotency_key="last"))
        if importing.result().status_code != 200:
            check(importing.result(), Code.NOT_EMPTY)
        assert balance_after_one_more(client) == 11


@contextmanager
def killed_amid_an_import(data_dir: Path, story: bytes) -> Iterator[httpx.Client]:
    """A client of a server that was killed in the middle of an import, and runs again."""
    with ServerProcess(data_dir) as server:
        with server.client() as client, ThreadPoolExecutor(1) as pool:
            importing = begun_import(pool, client, story)
            server.kill()
            importing.exception()
        server.start()
        with server.client() as client:
            yield client


def test_definitions_count_again_after_an_import_that_was_killed(data_dir: Path, story: bytes) -> None:
    with killed_amid_an_import(data_dir, story) as client:
        client.put("/gamify/admin/game", json=LATER)
        assert balance_after_one_more(client) == 11
        client.post("/sandbox/reset", json={})
        assert balance_after_one_more(client) == 11
        assert run("verify", "--data-dir", str(data_dir)).returncode == 0


def test_a_reset_alone_ends_what_a_killed_import_left_waiting(data_dir: Path, story: bytes) -> None:
    with killed_amid_an_import(data_dir, story) as client:
        client.post("/sandbox/reset", json={})
        assert balance_after_one_more(client) == 11


def test_nobody_waits_for_another_environments_queue(data_dir: Path) -> None:
    live_key = run("keys", "create", "--data-dir", str(data_dir), "--env", "live", "--scope", "admin").stdout.strip()
    test_key = run("keys", "create", "--data-dir", str(data_dir), "--env", "test", "--scope", "admin").stdout.strip()
    with ServerProcess(data_dir) as server, server.client(live_key) as live, server.client(test_key) as client:
        client.post("/ingest/events?wait=fact", json=event())
        with no_new_facts(data_dir):
            for _ in range(3):
                assert live.post("/ingest/events/batch", json={"events": [event()] * 50}).status_code == 202
            drained = client.post("/sandbox/drain", json={"timeout_ms": 2000})
            assert (drained.status_code, drained.json().get("facts")) == (200, 1), drained.text
            assert client.get("/sandbox/export").status_code == 200
            assert client.post("/ingest/events", json=event()).status_code == 202
            check(client.post("/sandbox/drain", json={"timeout_ms": 200}), Code.NOT_DRAINED)
        assert client.post("/sandbox/drain", json={}).json()["facts"] == 2
