"""A Redis or Valkey of one's own, and everything that can go wrong with it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bq_server.events import Event, Scope
from bq_server.refusals import Code
from tests.support.client import event
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until
from tests.support.store import no_new_facts, of_a_file
from tests.support.valkey import Valkey, free_port, valkey


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Valkey]:
    with valkey(tmp_path / "outside", "--appendonly", "yes", "--appendfsync", "everysec") as server:
        yield server


@pytest.fixture
def served(outside: Valkey, data_dir: Path) -> Iterator[ServerProcess]:
    """A server on it."""
    with ServerProcess(data_dir, "--redis-url", outside.url) as server:
        yield server


def status_of(server: ServerProcess, message_id: str) -> str:
    status: str = server.request("GET", f"/ingest/messages/{message_id}").json().get("status", "")
    return status


def test_events_go_through_it_and_it_is_named_with_its_durability(served: ServerProcess, outside: Valkey) -> None:
    assert served.valkey_pids == []
    message_id = served.request("POST", "/ingest/events", json=event()).json()["message_id"]
    until("the event is a fact", lambda: status_of(served, message_id) == "processed")
    with outside.client() as client:
        until("what is acknowledged is removed", lambda: client.xlen("bq:events") == 0)
    assert "a power cut may lose the last second" in served.banner
    assert "last second" in httpx.get(f"{served.url}/readyz", verify=False).json()["durability"]
    assert outside.password not in served.banner + served.log
    assert served.stop() == 0


@pytest.mark.slow
def test_a_group_that_vanishes_is_made_again_and_nothing_waits_for_ever(served: ServerProcess, outside: Valkey) -> None:
    with outside.client() as client:
        client.flushall()
        message_id = served.request("POST", "/ingest/events", json=event()).json()["message_id"]
        until("the event is a fact", lambda: status_of(served, message_id) == "processed")
        client.xgroup_destroy("bq:events", "bq")
        message_id = served.request("POST", "/ingest/events", json=event()).json()["message_id"]
        until("the event is a fact", lambda: status_of(served, message_id) == "processed")
    assert served.log.count("consumer.stalled") <= 4, "it backs off rather than spins"


@pytest.mark.slow
def test_a_message_no_one_can_read_is_set_aside_and_stops_nothing(served: ServerProcess, outside: Valkey) -> None:
    payloads = [b"not json", b"[]", b'{"a": 1}', b"[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]
    with outside.client() as client:
        for payload in payloads:
            client.xadd("bq:events", {"e": payload})
        client.xadd("bq:events", {"other": "field"})
        message_id = served.request("POST", "/ingest/events", json=event()).json()["message_id"]
        until("the event is a fact", lambda: status_of(served, message_id) == "processed")
        # A fact can be read as soon as it is committed; the messages of its batch leave the stream after that.
        until("nothing waits", lambda: client.xlen("bq:events") == 0)
        assert client.hlen("bq:dead") == len(payloads) + 1


@pytest.mark.slow
def test_a_conflict_that_only_processing_can_see_ends_as_a_dead_letter(served: ServerProcess, outside: Valkey) -> None:
    first = served.request("POST", "/ingest/events/sync", json=event(idempotency_key="k")).json()
    stray = Event("evt_stray", Scope("default", "test"), "other", "u", "{}", 0, 0, "k", "another fingerprint")
    with outside.client() as client:
        message_id = bytes(client.xadd("bq:events", {"e": stray.to_payload()})).decode()
    until("the message is settled", lambda: status_of(served, message_id) == "dead")
    found = served.request("GET", f"/ingest/messages/{message_id}").json()
    assert first["fact_id"] in found["reason"]
    assert found["fact_id"] is None


@pytest.mark.slow
def test_past_the_streams_window_a_repeat_is_still_a_repeat(served: ServerProcess, outside: Valkey) -> None:
    sent = event(idempotency_key="k")
    message_id = served.request("POST", "/ingest/events", json=sent).json()["message_id"]
    until("the event is a fact", lambda: status_of(served, message_id) == "processed")
    with outside.client() as client:
        assert 86_000 < int(client.ttl("bq:idempotency:default:test:k")) <= 86_400
        client.delete("bq:idempotency:default:test:k")
    again = served.request("POST", "/ingest/events", json=sent)
    assert (again.json()["message_id"], again.headers["Idempotent-Replayed"]) == (message_id, "true")
    check(served.request("POST", "/ingest/events", json=sent | {"participant_id": "other"}), Code.IDEMPOTENCY_CONFLICT)


def test_a_stream_that_is_full_says_so_and_loses_nothing(outside: Valkey, data_dir: Path) -> None:
    with ServerProcess(data_dir, "--redis-url", outside.url, "--queue-limit", "150") as server:
        with no_new_facts(data_dir):
            batch = {"events": [event()] * 100}
            accepted = server.request("POST", "/ingest/events/batch", json=batch).json()["message_ids"]
            problem = check(server.request("POST", "/ingest/events/batch", json=batch), Code.STREAM_FULL)
            assert "Nothing was accepted" in problem["detail"]
            accepted += server.request("POST", "/ingest/events/batch", json={"events": [event()] * 50}).json()[
                "message_ids"
            ]
            check(server.request("POST", "/ingest/events", json=event()), Code.STREAM_FULL)
            assert status_of(server, accepted[0]) == "queued"
        until("every event is a fact", lambda: status_of(server, accepted[-1]) == "processed")
        assert server.request("POST", "/ingest/events", json=event()).status_code == 202
        until("there is room", lambda: server.request("GET", "/events/catalog").json()["events"][0]["count"] == 151)
        assert server.stop() == 0


def test_a_stream_server_that_is_away_means_503_fast_and_readyz_names_it(
    served: ServerProcess, outside: Valkey
) -> None:
    outside.process.kill()
    outside.process.wait()
    problem = check(served.request("POST", "/ingest/events", json=event()), Code.STREAM_UNAVAILABLE)
    assert "Send it again" in problem["detail"]
    ready = httpx.get(f"{served.url}/readyz", verify=False)
    assert "stream" in {error["field"] for error in check(ready, Code.NOT_READY)["errors"]}
    assert served.request("POST", "/ingest/events/sync", json=event()).status_code == 200, "sync needs no stream"
    assert served.request("GET", "/facts").status_code == 200
    assert served.stop() == 0


@of_a_file  # over PostgreSQL its store is refused first
@pytest.mark.slow
def test_another_data_directory_on_the_same_stream_is_refused(
    served: ServerProcess, outside: Valkey, tmp_path: Path
) -> None:
    second = ("serve", "--port", "0", "--data-dir", str(tmp_path / "other"), "--redis-url", outside.url)
    ended = run(*second)
    assert ended.returncode == 1
    assert "belongs to another data directory" in ended.stderr
    assert "Traceback" not in ended.stderr
    flags = ("--redis-url", outside.url, "--redis-prefix", "second")
    with ServerProcess(tmp_path / "other", *flags) as other:
        message_id = other.request("POST", "/ingest/events", json=event()).json()["message_id"]
        until("the event is a fact", lambda: status_of(other, message_id) == "processed")
        other.stop()
    assert served.request("GET", "/facts").json()["facts"] == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:{port}/0", "127.0.0.1"),
        ("http://127.0.0.1/", "redis://"),
        ("redis://default:wrong@127.0.0.1:{outside}/0", "password"),
    ],
)
@pytest.mark.slow
def test_a_url_that_does_not_work_ends_with_a_sentence(outside: Valkey, data_dir: Path, url: str, said: str) -> None:
    filled = url.format(port=free_port(), outside=outside.port)
    ended = run("serve", "--port", "0", "--data-dir", str(data_dir), "--redis-url", filled)
    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "wrong" not in ended.stderr
