"""The hash slot of the stream is moved to another primary of its cluster, and another slot's primary is killed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.test_failover import keys_of_facts, readiness, until_nothing_waits
from tests.support.client import event
from tests.support.keyed_senders import KeyedSenders
from tests.support.process import ServerProcess, run, until
from tests.support.store import of_a_file
from tests.support.stream_cluster import OTHER_NAME, SLOT, StreamCluster, command, node_id, stream_cluster
from tests.support.valkey import Valkey

Move = Callable[[StreamCluster, Valkey, Valkey], None]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StreamCluster]:
    with stream_cluster(tmp_path) as started:
        yield started


@pytest.mark.parametrize("move", [StreamCluster.move_slot_key_by_key, StreamCluster.move_slot_at_once])
def test_a_slot_that_is_moved_under_load_loses_and_doubles_nothing(
    data_dir: Path, cluster: StreamCluster, move: Move
) -> None:
    there, back = cluster.others[0], cluster.primary
    with ServerProcess(data_dir, "--redis-url", cluster.url) as server:
        senders = KeyedSenders(server)

        def until_more_are_accepted() -> None:
            before = len(senders.accepted)
            until("more are accepted", lambda: len(senders.accepted) >= before + 200, seconds=60)

        with senders.sending(sync=True):
            until_more_are_accepted()
            move(cluster, back, there)
            until_more_are_accepted()
            assert cluster.primary_port() == there.port
            move(cluster, there, back)
            until_more_are_accepted()
        until_nothing_waits(server)
        facts = keys_of_facts(data_dir)
        assert len(set(facts)) == len(facts)
        assert senders.accepted <= {*facts}
        assert server.request("GET", "/admin/dead-letters").json()["dead_letters"] == []
        until("it is ready", lambda: not readiness(server))
    verified = run("verify", "--data-dir", str(data_dir))
    assert verified.returncode == 0, verified.stdout


def test_while_a_slot_is_on_its_way_events_are_refused_and_it_is_said(data_dir: Path, cluster: StreamCluster) -> None:
    target = cluster.others[0]
    with ServerProcess(data_dir, "--redis-url", cluster.url) as server:
        command(target, "CLUSTER", "SETSLOT", SLOT, "IMPORTING", node_id(cluster.primary))
        command(cluster.primary, "CLUSTER", "SETSLOT", SLOT, "MIGRATING", node_id(target))
        refused = server.request("POST", "/ingest/events", json=event())
        assert refused.status_code == 503
        assert "the hash slot is being moved to another primary" in refused.json()["detail"]
        assert readiness(server)["stream"] == "the hash slot is being moved to another primary"
        command(target, "CLUSTER", "SETSLOT", SLOT, "STABLE")
        command(cluster.primary, "CLUSTER", "SETSLOT", SLOT, "STABLE")
        until("an event is accepted", lambda: server.request("POST", "/ingest/events", json=event()).status_code == 202)


@of_a_file
def test_a_queue_on_another_primary_goes_on_when_one_is_killed(
    data_dir: Path, tmp_path: Path, cluster: StreamCluster
) -> None:
    durable = ("--durability", "replica")
    with (
        ServerProcess(data_dir, "--redis-url", cluster.url, *durable) as server,
        ServerProcess(tmp_path / "other", "--redis-url", cluster.url_of(OTHER_NAME), *durable) as other,
    ):
        ours, theirs = KeyedSenders(server), KeyedSenders(other)
        with ours.sending(), theirs.sending():
            until("both accept", lambda: min(len(ours.accepted), len(theirs.accepted)) >= 100)
            refused = theirs.refused  # a replica may have been late
            cluster.kill_primary()
            until("ours are refused", lambda: ours.refused)
            before = len(theirs.accepted)
            cluster.until_promoted()
            until("theirs went on", lambda: len(theirs.accepted) >= before + 100)
            before = len(ours.accepted)
            until("ours are accepted again", lambda: len(ours.accepted) >= before + 100, seconds=60)
        # One may be late for its replica; where all slots must be covered, dozens are refused.
        assert 50 * (theirs.refused - refused) < ours.refused


def test_a_node_of_a_cluster_is_no_stream_server_by_itself(data_dir: Path, cluster: StreamCluster) -> None:
    refused = run("serve", "--port", "0", "--data-dir", str(data_dir), "--redis-url", cluster.primary.url)
    assert refused.returncode == 1
    assert "this is a node of a cluster: give --redis-url (BQ_REDIS_URL) as redis+cluster://" in refused.stderr
