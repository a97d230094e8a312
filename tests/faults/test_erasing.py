"""A person who is erased is gone: from every answer, from every count, and from the bytes of every file."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from bq_server.events import Event, Scope
from bq_server.refusals import Code
from bq_server.store.postgresql.connection import PostgresConnection
from bq_server.stream.keys import StreamKeys
from tests.support.client import Json, Project, event
from tests.support.game import counting, paying
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until
from tests.support.store import POSTGRESQL, asked, at_store, no_new_facts, opened, unreadable_game

PATH = "/admin/participants"
WHO, OTHER = "grete-hopper-91", "bob"
NAME, CITY, MAIL = "Grete Quicksilver", "Zanzibar-North", "grete@example.org"
NEEDLES = [each.encode() for each in (WHO, NAME, CITY, MAIL)]
GAME: Json = {
    "points": [paying(1), {"code": "odd", "on": "act", "award": "properties.city"}],
    "badges": [counting(target=2)],
    "leaderboards": [{"code": "l", "name": "L", "metric": {"on": "act"}, "window": "all_time"}],
    "challenges": [
        {
            "code": "c",
            "name": "C",
            "enrolment": "explicit",
            "objectives": [{"code": "o", "on": "act", "aggregate": "count", "target": 9}],
        }
    ],
}


@pytest.fixture
def server(data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir, "--webhook-addresses", "any") as started:
        yield started
        assert "Traceback" not in started.log


@pytest.fixture
def bq(server: ServerProcess) -> Iterator[Project]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield Project(client, {"test": server.key})


FilesWith = Callable[[bytes], list[str]]


@pytest.fixture
def files_with(data_dir: Path, store: str, request: pytest.FixtureRequest) -> FilesWith:
    """The files in which these bytes stand: of the data directory, and of the database where it is elsewhere."""
    directories = [data_dir]
    if store == POSTGRESQL:
        postgres, url = (request.getfixturevalue(name) for name in ("postgres", "migrated_url"))
        ((number,),) = asked(url, "SELECT oid::bigint FROM pg_database WHERE datname = current_database()")
        directories.append(postgres.directory / "data" / "base" / str(number))

    def find(needle: bytes) -> list[str]:
        if store == POSTGRESQL:
            at_store(url, lambda connection: connection.executescript("CHECKPOINT"))
        files = [path for directory in directories for path in directory.rglob("*") if path.is_file()]
        return [str(path) for path in files if needle in path.read_bytes()]

    return find


def act(who: str = WHO, **more: Any) -> Json:
    return event("act", who, properties={"city": CITY if who == WHO else "Atlantis"}, **more)


def erase(bq: Project, **more: Any) -> Json:
    answer = bq.post(f"{PATH}/erase", {"participant_id": WHO, **more})
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    return told


def lived(bq: Project, data_dir: Path) -> None:
    """A person of whom something is kept wherever something can be."""
    bq.apply(GAME)
    nowhere = {"url": "http://127.0.0.1:9/", "event_types": ["points.changed", "badge.awarded"]}
    assert bq.post("/webhooks/endpoints", nowhere).status_code == 201
    profile = {"participant_id": WHO, "display_name": NAME, "attributes": {"mail": MAIL}, "timezone": "Asia/Tokyo"}
    assert bq.post("/gamify/participants", profile).status_code == 201
    assert bq.post("/gamify/challenges/c/enrol", {"participant_id": WHO}).status_code in (200, 201)
    assert bq.send_sync(act(idempotency_key=f"sync-{WHO}")).status_code == 200
    answers = [bq.send(act(idempotency_key=f"{WHO}-{number}")) for number in range(3)]
    assert [each.status_code for each in answers] == [202] * 3, [each.text for each in answers]
    sent = [each.json()["message_id"] for each in answers]
    assert bq.send(act(idempotency_key=f"{WHO}-0")).headers["Idempotent-Replayed"] == "true"
    bq.send(act(OTHER))
    assert bq.post("/gamify/points/award", {"participant_id": WHO, "amount": 5}).status_code in (200, 201)
    bq.drain()
    with opened(data_dir) as database:
        database.execute(
            "INSERT INTO notices (project, environment, after_seq, kind, participant_id, noted_at, data)"
            " VALUES ('default', 'test', 0, 'message.dead', ?, 1, ?)",
            (WHO, json.dumps({"city": CITY})),
        )
        if isinstance(database, PostgresConnection):
            database.executescript("ANALYZE")  # as it does by itself: its statistics quote common values
    assert bq.message(sent[0])["status"] == "processed"
    with closing(redis.Redis(unix_socket_path=str(data_dir / "stream" / "valkey.sock"))) as stream:
        letter = Event("evt_dead", Scope("default", "test"), "act", WHO, "{}", 1, 1, f"dead-{WHO}", "0" * 32)
        stream.set(StreamKeys("bq").claim("default", "test", f"dead-{WHO}"), f"{'0' * 32} 17-0 evt_dead 1")
        kept = {"reason": f"{WHO} broke it", "died_at": 1, "payload": letter.to_payload().hex()}
        stream.hset("bq:dead", "17-0", json.dumps(kept))


def test_nothing_is_left_of_one_and_all_of_the_others(
    server: ServerProcess, bq: Project, files_with: FilesWith
) -> None:
    lived(bq, server.data_dir)
    assert bq.get("/gamify/leaderboards/l").json()["entries"][0]["participant_id"] == WHO
    for needle in NEEDLES:
        assert files_with(needle), "the search can find something"
    told = erase(bq)
    log = server.log
    assert [each for each in NEEDLES if each.decode() in log] == []
    facts = told.pop("facts")
    assert told == {"erased": True, "dead_letters": 1, "database_clean": True, "stream_clean": True}
    for needle in NEEDLES:
        assert files_with(needle) == []
    (entry,) = bq.get("/gamify/leaderboards/l").json()["entries"]
    assert (entry["participant_id"], entry["rank"]) == (OTHER, 1)
    check(bq.get(f"/gamify/participants/{WHO}/state"), Code.NOT_FOUND)
    theirs = [each for each in bq.facts() if each["participant_id"] != OTHER]
    assert len(theirs) == facts
    assert {each["participant_id"] for each in theirs} == {""}
    for fact in theirs:
        assert (fact["properties"], fact["idempotency_key"], fact["warnings"]) == ({}, None, [])
        assert bq.get(f"/facts/{fact['fact_id']}/effects").json()["effects"] == []
    assert {each["fact_type"] for each in theirs} > {"custom.act"}
    assert bq.get("/events/catalog/act").json()["count"] == 5, "what came still came"
    lines = [json.loads(line) for line in log.splitlines()]
    (line,) = [each for each in lines if each.get("action") == "participant_erased"]
    assert line["facts"] == facts
    verified = run("verify", "--data-dir", str(server.data_dir))
    assert verified.returncode == 0, verified.stdout
    assert httpx.get(f"{server.url}/readyz").json()["warnings"] == {}


def test_the_same_name_later_is_somebody_new(server: ServerProcess, bq: Project) -> None:
    lived(bq, server.data_dir)
    erase(bq)
    refused = check(bq.post(f"{PATH}/erase", {"participant_id": WHO}), Code.NOT_FOUND)
    assert WHO not in refused["detail"]
    assert bq.send(act(idempotency_key=f"{WHO}-0")).status_code == 202
    bq.drain()
    state = bq.participant(WHO, "/state")
    assert (state["total_events"], state["points"]["balance"]) == (1, 1)
    assert bq.participant(WHO)["display_name"] is None
    assert run("verify", "--data-dir", str(server.data_dir)).returncode == 0


def test_what_waits_of_one_is_waited_for_and_neighbours_in_the_stream_keep_nothing(
    server: ServerProcess, bq: Project, files_with: FilesWith
) -> None:
    made = run("keys", "create", "--env", "live", "--scope", "admin", "--data-dir", str(server.data_dir))
    live = made.stdout.strip()
    until("the key is known", lambda: server.request("GET", "/facts", live).status_code == 200)
    with unreadable_game(server.data_dir, "live"):
        stuck = server.request("POST", "/ingest/events", live, json=event("act", OTHER))
        assert stuck.status_code == 202
        bq.send(act())
        with no_new_facts(server.data_dir):
            bq.send(act())
            late = bq.post(f"{PATH}/erase", {"participant_id": WHO, "timeout_ms": 1})
            check(late, Code.NOT_DRAINED)
        told = erase(bq)
        assert told["facts"] == 2
        assert told["stream_clean"]
        for needle in NEEDLES:
            assert files_with(needle) == []


def test_files_may_be_cleaned_up_later_and_it_is_not_forgotten(
    server: ServerProcess, bq: Project, files_with: FilesWith
) -> None:
    bq.send_sync(act())
    connection = ("--url", server.url, "--api-key", server.key)
    assert "--yes" in run("participants", "erase", WHO, *connection).stderr
    erased = run("participants", "erase", WHO, "--yes", "--later", *connection)
    assert (erased.returncode, "1 facts" in erased.stdout) == (0, True), erased.stderr
    assert files_with(CITY.encode())
    assert "clean-up" in httpx.get(f"{server.url}/readyz").json()["warnings"]["erasures"]
    cleaned = run("participants", "clean-up", *connection)
    assert (cleaned.returncode, cleaned.stdout) == (0, "cleaned up after 1 erasure\n")
    assert files_with(CITY.encode()) == []
    assert httpx.get(f"{server.url}/readyz").json()["warnings"] == {}


def test_an_export_has_everything_of_one_and_nothing_of_another(server: ServerProcess, bq: Project) -> None:
    lived(bq, server.data_dir)
    with no_new_facts(server.data_dir):
        bq.send(act())
        found = bq.post(f"{PATH}/export", {"participant_id": WHO}).json()
    assert (found["profile"]["display_name"], found["profile"]["attributes"]) == (NAME, {"mail": MAIL})
    assert found["state"]["points"]["balance"] == 9
    assert sorted(each["amount"] for each in found["transactions"]) == [1, 1, 1, 1, 5]
    assert {each["board"] for each in found["places"]} >= {"leaderboard/l"}
    assert [each["participant_id"] for each in found["facts"]] == [WHO] * len(found["facts"])
    assert sum(each["fact_type"] == "custom.act" for each in found["facts"]) == 4
    assert any(each["effects"] for each in found["facts"])
    assert [each["properties"]["city"] for each in found["waiting"]] == [CITY]
    assert [each["message_id"] for each in found["dead_letters"]] == ["17-0"]
    assert found["webhook_deliveries"]
    assert [each["data"] for each in found["notices"]] == [{"city": CITY}]
    shown = run("participants", "export", OTHER, "--url", server.url, "--api-key", server.key)
    other = json.loads(shown.stdout)
    assert (len(other["facts"]), WHO in shown.stdout) == (1, False)
    check(bq.post(f"{PATH}/export", {"participant_id": "nobody"}), Code.NOT_FOUND)


def test_many_facts_go_in_portions_and_a_story_without_them_can_be_carried_elsewhere(
    server: ServerProcess, bq: Project
) -> None:
    for start in range(0, 2_500, 100):
        batch = [act(idempotency_key=f"{WHO}/{number}") for number in range(start, start + 100)]
        assert bq.send_batch(batch).status_code == 202
    bq.send(act(OTHER))
    bq.drain()
    bq.apply(GAME)
    assert erase(bq)["facts"] == 2_500
    assert bq.put_game(GAME, dry_run="true", backfill="true").json()["participants_affected"] == 1
    exported = bq.get("/sandbox/export")
    assert sum(b'"fact"' in line for line in exported.content.splitlines()) == 1
    bq.post("/sandbox/reset", {"game": True})
    lines = {"Content-Type": "application/x-ndjson"}
    assert bq.request("POST", "/sandbox/import", content=exported.content, headers=lines).json()["facts"] == 1
    assert run("verify", "--data-dir", str(server.data_dir)).returncode == 0
