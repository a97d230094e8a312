"""The stream server's primary is gone and a replica goes on: what was accepted, and what is said meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.client import event
from tests.support.failover import ReplicatedStream
from tests.support.keyed_senders import KeyedSenders
from tests.support.process import ServerProcess, run, until
from tests.support.sentinels import stream_with_sentinel
from tests.support.store import no_new_facts, of_a_file, opened
from tests.support.stream_cluster import stream_cluster
from tests.support.valkey import Valkey, valkey

HELD = 2000
"""Events: more than a consumer has read ahead when nothing can be stored."""


@pytest.fixture(params=[stream_with_sentinel, stream_cluster])
def streams(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ReplicatedStream]:
    with request.param(tmp_path) as started:
        yield started


def serving(data_dir: Path, url: str, durability: str) -> ServerProcess:
    return ServerProcess(data_dir, "--redis-url", url, "--durability", durability)


def keys_of_facts(data_dir: Path) -> list[str]:
    with opened(data_dir) as connection:
        return [key for (key,) in connection.execute("SELECT idempotency_key FROM facts").fetchall()]


def readiness(server: ServerProcess) -> dict[str, str]:
    """What /readyz finds wrong, by part."""
    answer = httpx.get(f"{server.url}/readyz", verify=False).json()
    return {each["field"]: each["detail"] for each in answer.get("errors", ())}


def until_nothing_waits(server: ServerProcess) -> None:
    drained = server.request("POST", "/sandbox/drain", json={"timeout_ms": 20_000})
    assert drained.status_code == 200, drained.text


@contextmanager
def killed(streams: ReplicatedStream) -> Iterator[None]:
    streams.kill_primary()
    yield


@pytest.mark.parametrize("harmed", [killed, ReplicatedStream.primary_held_up])
def test_what_was_accepted_is_a_fact_once_after_a_failover_under_load(
    data_dir: Path, streams: ReplicatedStream, harmed: Callable[[ReplicatedStream], AbstractContextManager[None]]
) -> None:
    with serving(data_dir, streams.url, "replica") as server:
        assert "durability replica: an accepted event is on the disk of a replica" in server.banner
        senders = KeyedSenders(server)
        with senders.sending():
            until("some are accepted", lambda: len(senders.accepted) >= 300)
            with harmed(streams):
                streams.until_promoted()
                before = len(senders.accepted)
                until("more are accepted", lambda: len(senders.accepted) >= before + 300, seconds=60)
            until("still more are accepted", lambda: len(senders.accepted) >= before + 600, seconds=60)
        assert senders.refused
        until_nothing_waits(server)
        facts = keys_of_facts(data_dir)
        assert len(set(facts)) == len(facts)
        assert senders.accepted <= {*facts}
        assert server.request("GET", "/admin/dead-letters").json()["dead_letters"] == []
    verified = run("verify", "--data-dir", str(data_dir))
    assert verified.returncode == 0, verified.stdout


@of_a_file
@pytest.mark.parametrize("durability", ["server", "replica"])
def test_what_no_replica_has_is_lost_only_where_it_was_accepted_without(
    data_dir: Path, streams: ReplicatedStream, durability: str
) -> None:
    """With `server` it is the control: what the test above looks for does get lost."""
    with serving(data_dir, streams.url, durability) as server, server.client() as client:
        senders = KeyedSenders(server)
        with no_new_facts(data_dir):
            with streams.replicas_held_up():
                for _ in range(HELD // 100):
                    senders.send(client, senders.batch(100))
                streams.kill_primary()
            streams.until_promoted()
        until("it accepts", lambda: senders.send(client, senders.batch(1)), seconds=20)
        until_nothing_waits(server)
        lost = senders.accepted - {*keys_of_facts(data_dir)}
        if durability == "server":
            assert len(senders.accepted) == HELD + 1
            assert lost
            until("it is noticed", lambda: "losses" in readiness(server))
            assert "an older copy" in readiness(server)["losses"]
        else:
            assert senders.refused >= HELD // 100
            assert len(senders.accepted) == 1
            assert not lost


def test_without_a_replica_events_are_refused_and_it_is_said(data_dir: Path, streams: ReplicatedStream) -> None:
    places = ("--data-dir", str(data_dir), "--redis-url", streams.url, "--durability", "replica", "--port", "0")
    with serving(data_dir, streams.url, "replica") as server:
        with streams.replicas_held_up():
            refused = server.request("POST", "/ingest/events", json=event())
            assert refused.status_code == 503
            assert "no replica had it on disk within 200 ms" in refused.json()["detail"]
            assert "no replica" in readiness(server)["stream"]
            found = run("doctor", *places)
            assert found.returncode == 1
            assert "no replica had it on disk" in found.stdout
        until("it is ready", lambda: not readiness(server))
        # On a busy machine a replica is late now and then, and what it was late for is refused.
        until("an event is accepted", lambda: server.request("POST", "/ingest/events", json=event()).status_code == 202)
        until("doctor finds one", lambda: "durability  replica: " in run("doctor", *places).stdout)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Valkey]:
    with valkey(tmp_path / "alone", "--appendonly", "yes", "--appendfsync", "everysec") as server:
        yield server


def test_what_a_replica_needs_is_said_at_the_start(data_dir: Path, alone: Valkey) -> None:
    arguments = ["serve", "--port", "0", "--data-dir", str(data_dir), "--durability", "replica"]
    refused = run(*arguments)
    assert refused.returncode == 2
    assert "--durability replica needs --redis-url" in refused.stderr
    refused = run(*arguments, "--redis-url", alone.url)
    assert refused.returncode == 1
    assert "needs `appendonly yes` and `appendfsync always`" in refused.stderr
    assert "here it is yes and everysec" in refused.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://127.0.0.1:1/queue", "call queue"),
        ("redis+sentinel://127.0.0.1:1", "it must name the primary"),
        ("redis+sentinel://127.0.0.1:1/queue/x", "it must name the primary"),
        ("redis+sentinel:///queue", "a host is missing"),
        ("redis+sentinel://127.0.0.1:1/queue?password=s3cret", "password is not known"),
        ("redis+cluster://bq:s3cret@127.0.0.1:1,127.0.0.1:2/queue", "with nodes at 127.0.0.1:1,127.0.0.1:2 "),
        ("redis+cluster://127.0.0.1:1", "it must give the queue a name"),
        ("redis+cluster://127.0.0.1:1/queue?password=s3cret", "password is not known"),
    ],
)
def test_hosts_that_are_not_there_and_urls_that_are_none(data_dir: Path, url: str, said: str) -> None:
    refused = run("serve", "--port", "0", "--data-dir", str(data_dir), "--redis-url", url)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "s3cret" not in refused.stderr
