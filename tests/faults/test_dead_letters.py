"""Messages that were given up: seen, tried again, removed, and told to whoever repeats them."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from starlette.requests import Request

from bq_server.api.call import Call
from bq_server.api.resources.dead_letters import DeadLettersResource
from bq_server.api.schemas.values import Query
from bq_server.cli.dead import _handle, _Handling
from bq_server.events import Event, Scope
from bq_server.ingest.dead_letters import ScopedDeadLetters
from bq_server.ingest.idempotency import fingerprint
from bq_server.refusals import Code
from bq_server.settings import Settings
from bq_server.store.database import Database
from bq_server.store.keys import ApiKey
from bq_server.stream.connection import connect
from bq_server.stream.dead_letters import DeadLetters
from bq_server.stream.keys import StreamKeys
from tests.support.client import Json, event
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until
from tests.support.store import address_of, no_new_facts, of_a_file

PATH = "/admin/dead-letters"
SCOPE = Scope("default", "test")
BEGUN = "dead_letter_handling_begun"


@pytest.fixture
def server(data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir) as started:
        yield started
        assert "Traceback" not in started.log


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Any]:
    with closing(redis.Redis(unix_socket_path=str(server.data_dir / "stream" / "valkey.sock"))) as client:
        yield client


def given_up(server: ServerProcess, stream: Any, participant_id: str = "user_123", **more: Any) -> str:
    """A dead letter of an event that was accepted, as the consumer leaves it."""
    message_id = f"1700000000000-{stream.hlen('bq:dead')}"
    name, key, properties = "purchase_completed", more.get("idempotency_key"), more.get("properties", {})
    print_of = None if key is None else fingerprint(name, participant_id, properties, None)
    event_id = f"evt_of_{message_id}"
    accepted = Event(event_id, SCOPE, name, participant_id, json.dumps(properties), 1, 1, key, print_of)
    letter = {"reason": "a bug", "died_at": 1_700_000_000_000_000, "payload": accepted.to_payload().hex()}
    stream.hset("bq:dead", message_id, json.dumps(letter))
    if key is not None:
        stream.set(StreamKeys("bq").claim(*SCOPE, key), f"{print_of} {message_id} {event_id} 1")
    return message_id


def told(server: ServerProcess, message_id: str) -> Json:
    answer: Json = server.request("GET", f"/ingest/messages/{message_id}").json()
    return answer


def metric(server: ServerProcess, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics", headers={"X-API-Key": server.key}).text.splitlines()
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")]
    return float(value)


def listed(server: ServerProcess, **query: Any) -> Json:
    answer = server.request("GET", PATH, params=query)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def dead(server: ServerProcess, command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run("dead", command, *arguments, "--data-dir", str(server.data_dir))


def try_again(server: ServerProcess, message_id: str) -> None:
    """What a retry does to the stream."""

    async def retry() -> None:
        async with connect(f"unix://{server.data_dir}/stream/valkey.sock") as client:
            assert await DeadLetters(client, StreamKeys("bq")).retry([message_id]) == [message_id]

    asyncio.run(retry())


def test_one_is_seen_tried_again_and_a_fact_under_the_id_its_sender_has(server: ServerProcess, stream: Any) -> None:
    message_id = given_up(server, stream, properties={"amount": 1.5})
    assert "1 accepted message was given up" in httpx.get(f"{server.url}/readyz").json()["warnings"]["dead_letters"]
    assert metric(server, "bq_dead_letters") == 1
    (letter,) = listed(server)["dead_letters"]
    assert letter == server.request("GET", f"{PATH}/{message_id}").json()
    assert (letter["message_id"], letter["reason"], letter["properties"]) == (message_id, "a bug", {"amount": 1.5})
    with no_new_facts(server.data_dir):
        check(server.request("POST", f"{PATH}/{message_id}/retry"), Code.STORE_UNAVAILABLE)
        assert len(listed(server)["dead_letters"]) == 1, "what can't be written down is not done"
        try_again(server, message_id)
        assert told(server, message_id)["status"] == "queued"
        assert listed(server)["dead_letters"] == []
        check(server.request("POST", f"{PATH}/{message_id}/retry"), Code.NOT_FOUND)
        check(server.request("DELETE", f"{PATH}/{message_id}"), Code.NOT_FOUND)
        assert server.request("POST", "/sandbox/drain", json={"timeout_ms": 1}).status_code == 504, "it is waited for"
    until("it is a fact", lambda: told(server, message_id)["status"] == "processed")
    until("the letter is gone", lambda: stream.hlen("bq:dead") == 0)
    assert server.request("GET", "/facts").json()["facts"][0]["message_id"] == message_id
    assert httpx.get(f"{server.url}/readyz").json()["warnings"] == {}


def test_one_that_fails_again_is_given_up_again(server: ServerProcess, stream: Any) -> None:
    server.request("POST", "/ingest/events/sync", json=event(idempotency_key="k"))
    conflict = ["evt_x", ["default", "test"], "other", "u", "{}", 1, 1, "k", "0" * 32, "[]", None]
    message_id = stream.xadd("bq:events", {"e": json.dumps(conflict)}).decode()
    until("it is dead", lambda: told(server, message_id)["status"] == "dead")
    died_at = listed(server)["dead_letters"][0]["died_at"]
    answer = server.request("POST", f"{PATH}/{message_id}/retry")
    assert (answer.status_code, answer.json()) == (202, {"message_id": message_id, "retried": True})
    until("it is dead again", lambda: listed(server)["dead_letters"])
    (again,) = listed(server)["dead_letters"]
    assert again["message_id"] == message_id
    assert again["died_at"] >= died_at
    assert stream.xlen("bq:events") == 0


def test_a_repeat_of_one_is_told_so_by_either_path(server: ServerProcess, stream: Any) -> None:
    message_id = given_up(server, stream, idempotency_key="k")
    for path, sent in (
        ("/ingest/events", event(idempotency_key="k")),
        ("/ingest/events/sync", event(idempotency_key="k")),
        ("/gamify/events", event(idempotency_key="k")),
    ):
        detail = check(server.request("POST", path, json=sent), Code.MESSAGE_DEAD)["detail"]
        assert message_id in detail
        assert "a bug" in detail
        check(server.request("POST", path, json=sent | {"participant_id": "other"}), Code.IDEMPOTENCY_CONFLICT)
    batch = {"events": [event(idempotency_key="k"), event()]}
    answer = server.request("POST", "/ingest/events/batch", json=batch).json()
    assert (answer["accepted"], answer["errors"][0]["code"]) == (1, "message_dead")
    server.request("POST", f"{PATH}/{message_id}/retry")
    until("it is a fact", lambda: told(server, message_id)["status"] == "processed")
    repeat = server.request("POST", "/ingest/events", json=event(idempotency_key="k"))
    assert (repeat.json()["message_id"], repeat.headers["Idempotent-Replayed"]) == (message_id, "true")


def test_while_one_is_tried_again_a_repeat_is_a_repeat(server: ServerProcess, stream: Any) -> None:
    message_id = given_up(server, stream, idempotency_key="k")
    with no_new_facts(server.data_dir):
        try_again(server, message_id)
        repeat = server.request("POST", "/ingest/events", json=event(idempotency_key="k"))
        assert (repeat.json()["message_id"], repeat.headers["Idempotent-Replayed"]) == (message_id, "true")
        assert stream.xlen("bq:events") == 1


def test_after_one_was_removed_a_repeat_is_a_new_event(server: ServerProcess, stream: Any) -> None:
    message_id = given_up(server, stream, idempotency_key="k")
    assert server.request("DELETE", f"{PATH}/{message_id}").json() == {"message_id": message_id, "dropped": True}
    check(server.request("GET", f"{PATH}/{message_id}"), Code.NOT_FOUND)
    again = server.request("POST", "/ingest/events", json=event(idempotency_key="k")).json()["message_id"]
    assert again != message_id
    until("it is a fact", lambda: told(server, again)["status"] == "processed")
    assert len(server.request("GET", "/facts").json()["facts"]) == 1


def test_another_environment_has_none_of_it_and_pages_hold_all(server: ServerProcess, stream: Any) -> None:
    ids = [given_up(server, stream, participant_id=f"u{number}") for number in range(5)]
    stream.hset("bq:dead", "1-1", json.dumps({"reason": "it can't be read", "died_at": 1, "payload": "00"}))
    made = run("keys", "create", "--env", "live", "--scope", "admin", "--data-dir", str(server.data_dir))
    live = made.stdout.strip()
    until("the key is known", lambda: server.request("GET", PATH, live).status_code == 200)
    assert server.request("GET", PATH, live).json() == {"dead_letters": [], "next_before": None}
    check(server.request("POST", f"{PATH}/{ids[0]}/retry", live), Code.NOT_FOUND)
    check(server.request("DELETE", f"{PATH}/{ids[0]}", live), Code.NOT_FOUND)
    for nothing in ("1-1", "9-9", "x"):
        check(server.request("GET", f"{PATH}/{nothing}"), Code.NOT_FOUND)
    check(server.request("GET", PATH, params={"before": "x"}), Code.VALIDATION_FAILED)
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = listed(server, **query)
        found += [each["message_id"] for each in page["dead_letters"]]
        if page["next_before"] is None:
            break
        query["before"] = page["next_before"]
    assert found == ids[::-1]


def test_the_commands_work_beside_a_server_and_without_one(server: ServerProcess, stream: Any, tmp_path: Path) -> None:
    first, second, third = (given_up(server, stream, participant_id=f"u{number}") for number in range(3))
    stream.hset("bq:dead", "1-1", json.dumps({"reason": "it can't be read", "died_at": 1, "payload": "00"}))
    lines = dead(server, "list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [third, second, first, "1-1"]
    assert json.loads(dead(server, "show", "1-1").stdout)["payload"] == "00"
    assert json.loads(dead(server, "show", first).stdout)["participant_id"] == "u0"
    assert "no dead letter 7-7" in dead(server, "show", "7-7").stderr
    file = tmp_path / "letters"
    assert dead(server, "export", str(file)).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["message_id"] for line in file.read_text().splitlines()] == [third, second, first, "1-1"]
    assert dead(server, "export", str(file)).returncode == 1, "nothing is overwritten"
    assert dead(server, "retry", first).stdout == "1 message put back into the stream\n"
    until("it is a fact", lambda: told(server, first)["status"] == "processed")
    for refused in (("drop", second), ("drop", "--all"), ("retry",), ("retry", first, "--all"), ("retry", "7-7")):
        assert dead(server, *refused).returncode != 0
    until("its letter is gone", lambda: stream.hlen("bq:dead") == 3)
    assert server.stop() == 0
    assert dead(server, "retry", second).returncode == 0
    assert dead(server, "drop", "--all", "--yes").stdout == "2 messages removed\n"
    server.start()
    until("the other is a fact, too", lambda: told(server, second)["status"] == "processed")
    assert dead(server, "list").stdout.split() == ["id", "environment", "event", "participant", "given", "up", "why"]
    assert server.stop() == 0


@of_a_file
def test_a_backup_keeps_one_that_is_tried_again_once(server: ServerProcess, stream: Any, tmp_path: Path) -> None:
    message_id = given_up(server, stream, idempotency_key="k")
    with no_new_facts(server.data_dir):
        server.request("POST", f"{PATH}/{message_id}/retry")
        taken = run("backup", str(tmp_path / "backup"), "--data-dir", str(server.data_dir))
    assert "0 facts, 0 queued messages, 1 dead letters" in taken.stdout
    elsewhere = tmp_path / "elsewhere"
    assert run("restore", str(tmp_path / "backup"), "--data-dir", str(elsewhere)).returncode == 0
    assert run("dead", "retry", message_id, "--data-dir", str(elsewhere)).returncode == 0
    with ServerProcess(elsewhere) as again:
        again.key = server.key
        until("it is a fact", lambda: told(again, message_id)["status"] == "processed")
        assert again.stop() == 0


def test_whoever_handles_them_is_in_the_audit_log(server: ServerProcess, stream: Any) -> None:
    one, other, third = (given_up(server, stream) for _ in range(3))
    assert server.request("DELETE", f"{PATH}/{one}").status_code == 200
    assert dead(server, "drop", "--yes", other).returncode == 0
    assert dead(server, "retry", "--all").returncode == 0
    check(server.request("DELETE", f"{PATH}/{one}"), Code.NOT_FOUND)
    assert dead(server, "drop", "--yes", one).returncode == 1
    entries = server.request("GET", "/admin/audit-log").json()["entries"][:6]
    assert [(each["action"], each["command"], each["about"]) for each in entries] == [
        ("dead_letters_retried", "dead retry", {"messages": 1, "message_ids": [third]}),
        (BEGUN, "dead retry", {"handling": "dead_letters_retried", "message_ids": [third]}),
        ("dead_letters_dropped", "dead drop", {"messages": 1, "message_ids": [other]}),
        (BEGUN, "dead drop", {"handling": "dead_letters_dropped", "message_ids": [other]}),
        ("dead_letter_dropped", None, {"message_id": one}),
        (BEGUN, None, {"handling": "dead_letter_dropped", "message_ids": [one]}),
    ]
    assert [each["environment"] for each in entries] == [None, None, None, None, "test", "test"]


class Interrupted(Exception):
    """As a process that is killed, or a connection that breaks."""


@of_a_file
@pytest.mark.parametrize(("what", "done"), [("drop", "dropped"), ("retry", "retried")])
def test_what_ends_before_it_is_written_down_as_done_was_written_down_before(
    server: ServerProcess, stream: Any, monkeypatch: pytest.MonkeyPatch, what: str, done: str
) -> None:
    over_http, by_command = given_up(server, stream), given_up(server, stream)
    actual = getattr(DeadLetters, what)

    async def interrupted(letters: DeadLetters, message_ids: list[str]) -> None:
        assert await actual(letters, message_ids) == message_ids
        raise Interrupted

    monkeypatch.setattr(DeadLetters, what, interrupted)

    async def handle() -> None:
        settings = Settings(data_dir=server.data_dir)
        action: Any = f"dead_letters_{done}"
        how = _Handling(action, f"dead {what}", lambda letters: getattr(letters, what))
        with pytest.raises(Interrupted):
            await _handle(settings, [by_command], every=False, how=how)
        key = ApiKey("key_1", SCOPE, "", frozenset({"admin"}), "", 1)
        request = Request({"type": "http", "path_params": {"message_id": over_http}, "bq.key_id": "key_1"})
        async with (
            connect(f"unix://{server.data_dir}/stream/valkey.sock") as client,
            Database.open(address_of(server.data_dir)) as database,
        ):
            resource = DeadLettersResource(ScopedDeadLetters(DeadLetters(client, StreamKeys("bq"))), database)
            with pytest.raises(Interrupted):
                await getattr(resource, what)(Call(request, key, Query(), lambda: 1))

    asyncio.run(handle())
    found = server.request("GET", "/admin/audit-log").json()["entries"][:2]
    assert [(each["action"], each["key_id"], each["command"], each["about"]) for each in found] == [
        (BEGUN, "key_1", None, {"handling": f"dead_letter_{done}", "message_ids": [over_http]}),
        (BEGUN, None, f"dead {what}", {"handling": f"dead_letters_{done}", "message_ids": [by_command]}),
    ]
