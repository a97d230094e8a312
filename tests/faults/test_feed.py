"""The feed through what may happen to it: the server killed, readers that don't read, messages that die."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import redis

from bq_server.events import Event, Scope
from bq_server.stream.keys import FIELD, StreamKeys
from tests.acceptance.test_webhook_events import BOARD, score
from tests.support.client import Json, event
from tests.support.feed import FeedReader, Told, everything, opened
from tests.support.http2 import Http2Wire
from tests.support.process import ServerProcess, until

LARGE = "x" * 60_000
"""Some of them fill what sockets hold."""


def listed(server: ServerProcess) -> list[str]:
    """Every fact, the oldest first."""
    found: list[str] = []
    cursor: Json = {}
    while True:
        page = server.request("GET", "/facts", params={"limit": 1000, **cursor}).json()
        found += [each["fact_id"] for each in page["facts"]]
        if page["next_cursor"] is None:
            return found[::-1]
        cursor = {"cursor": page["next_cursor"]}


def send_batch(server: ServerProcess, first: int, count: int = 50) -> None:
    batch = [event(participant_id=f"p{number % 7}", properties={"n": number}) for number in range(first, first + count)]
    answer = server.request("POST", "/ingest/events/batch", json={"events": batch})
    assert answer.json()["accepted"] == count


def test_a_reader_that_resumes_through_kills_gets_each_fact_once_and_in_order(data_dir: Path) -> None:
    server = ServerProcess(data_dir)
    got: list[Told] = []
    sent = 0
    last = "0"
    try:
        for kill in range(4):
            server.start()
            enough = len(got) + 120

            def send(server: ServerProcess = server, first: int = sent) -> None:
                for start in range(first, first + 200, 50):
                    send_batch(server, start)

            sender = threading.Thread(target=send)
            sender.start()
            with opened(server.url, server.key, last) as feed:
                while len(got) < enough:
                    got.append(feed.next())
                    last = got[-1].id
                # What was accepted and not told yet is told after the restart.
                sender.join()
                sent += 200
                if kill < 3:
                    server.kill()
        assert server.request("POST", "/sandbox/drain", json={}).status_code == 200
        got += everything(server.url, server.key, last)
        assert len(got) == sent
        assert [each.fact_id for each in got] == listed(server)
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()


def test_what_was_asked_for_is_worked_out_through_a_kill(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        assert server.request("PUT", "/gamify/admin/game", json=BOARD).status_code == 200
        asked: Json = {"type": "leaderboard.rank_changed"}
        with opened(server.url, server.key, **asked) as feed:
            server.request("POST", "/ingest/events/sync", json=score("ada", 1))
            first = feed.next()
            server.kill()
        server.start()
        server.request("POST", "/ingest/events/sync", json=score("bea", 2))
        later = everything(server.url, server.key, first.id, **asked)
        ranks = [(each.data["data"]["participant_id"], each.data["data"]["rank"]) for each in later]
        assert sorted(ranks) == [("ada", 2), ("bea", 1)], "also while no feed was open"
        assert server.stop() == 0


def test_who_does_not_read_is_told_so_and_loses_nothing(data_dir: Path) -> None:
    with ServerProcess(data_dir, "--write-timeout-seconds", "12") as server:
        for number in range(0, 200, 20):
            batch = [event(participant_id=f"p{each}", properties={"x": LARGE}) for each in range(number, number + 20)]
            assert server.request("POST", "/ingest/events/batch", json={"events": batch}).json()["accepted"] == 20
        server.request("POST", "/sandbox/drain", json={})
        with closing(unread(server)) as wire:
            until("the reader is given up", lambda: "feed.cut" in server.log)
            got = list(FeedReader(lines_of(wire)))
        assert (got[-1].type, got[-1].data["data"]["reason"]) == ("feed.ended", "slow_reader")
        assert 0 < len(got) - 1 < 200
        got = got[:-1] + everything(server.url, server.key, got[-1].id)
        assert [each.fact_id for each in got] == listed(server)
        # Others were never kept waiting, and the place of the one that was cut is free.
        assert server.request("GET", "/facts", params={"limit": 1}).status_code == 200
        assert server.stop() == 0
        assert "Traceback" not in server.log


def unread(server: ServerProcess) -> socket.socket:
    """A connection that has asked for everything, and reads nothing of it."""
    url = httpx.URL(server.url)
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.settimeout(30)
    wire.connect((url.host, url.port or 0))
    head = f"GET /api/v1/feed HTTP/1.0\r\nHost: x\r\nX-API-Key: {server.key}\r\nLast-Event-ID: 0\r\n\r\n"
    wire.sendall(head.encode())
    return wire


def lines_of(wire: socket.socket) -> Iterator[str]:
    """The lines of an answer of HTTP/1.0, which has no chunks."""
    with wire.makefile("r", encoding="utf-8", newline="\n") as file:
        for line in file:
            if line == "\r\n":
                break
        for line in file:
            yield line.rstrip("\n")


def test_over_http2_one_connection_has_feeds_and_requests_side_by_side(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        wire = Http2Wire(server.url)
        keyed = [("x-api-key", server.key)]
        feeds = [wire.begin("GET", "/api/v1/feed", keyed) for _ in range(3)]
        wire.flush()
        read_until(wire, lambda: wire.statuses["200"] == 3)
        fact_id = server.request("POST", "/ingest/events/sync", json=event()).json()["fact_id"]
        read_until(wire, lambda: all(fact_id.encode() in wire.bodies[each] for each in feeds))
        wire.begin("GET", "/api/v1/facts", keyed)
        wire.flush()
        read_until(wire, lambda: wire.finished == 1)
        wire.connection.reset_stream(feeds[0])
        wire.flush()
        second = server.request("POST", "/ingest/events/sync", json=event()).json()["fact_id"]
        read_until(wire, lambda: all(second.encode() in wire.bodies[each] for each in feeds[1:]))
        assert second.encode() not in wire.bodies[feeds[0]]
        server.process.terminate()
        read_until(wire, lambda: wire.finished == 3)
        assert all(b"server_stopping" in wire.bodies[each] for each in feeds[1:])
        wire.close()
        assert server.wait() == 0
        assert "Traceback" not in server.log


def read_until(wire: Http2Wire, condition: Callable[[], bool]) -> None:
    while not condition():
        assert wire.read(), "the server has ended the connection"


def test_a_dead_letter_is_told_once_however_often_it_is_tried(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        taken = server.request("POST", "/ingest/events/sync", json=event(idempotency_key="taken")).json()
        with (
            opened(server.url, server.key) as feed,
            closing(redis.Redis(unix_socket_path=str(data_dir / "stream" / "valkey.sock"))) as stream,
        ):
            message_id = add(stream, "evt_b", participant_id="bob", idempotency_key="taken")
            dead = feed.next()
            assert dead.type == "message.dead"
            assert dead.data["data"] == {
                "message_id": message_id,
                "event_id": "evt_b",
                "event_name": "purchase_completed",
                "participant_id": "bob",
                "reason": f"its idempotency key belongs to another event, which is fact {taken['fact_id']}",
                "occurred_at": "1970-01-01T00:00:00.000001Z",
            }
            letter = f"/admin/dead-letters/{message_id}"
            assert server.request("GET", letter).status_code == 200, "what is told of is there"
            assert server.request("POST", f"{letter}/retry").status_code == 202
            again = feed.next()
            assert (again.type, again.data["data"]) == ("message.dead", dead.data["data"])
        assert [each.type for each in everything(server.url, server.key, type="message.dead")] == ["message.dead"] * 2
        assert everything(server.url, server.key, participant_id="ada") == []
        assert len(everything(server.url, server.key, participant_id="bob")) == 2
        # What is told of a person is theirs, also when the letter itself is gone.
        assert server.request("DELETE", letter).status_code == 200
        asked: Json = {"participant_id": "bob"}
        exported = server.request("POST", "/admin/participants/export", json=asked).json()
        assert [each["data"] for each in exported["notices"]] == [dead.data["data"]] * 2
        assert server.request("POST", "/admin/participants/erase", json=asked).status_code == 200
        until("bob is told of no more", lambda: everything(server.url, server.key, participant_id="bob") == [])
        assert server.request("POST", "/admin/participants/export", json=asked).status_code == 404
        assert server.stop() == 0


def add(stream: Any, event_id: str, **more: Any) -> str:
    """A message of an event whose key was taken after it was accepted, as a claim that was lost leaves it."""
    values: Json = {"event_name": "purchase_completed", "properties": "{}", "occurred_at": 1, "received_at": 1}
    accepted = Event(event_id=event_id, scope=Scope("default", "test"), fingerprint="other", **values, **more)
    keys = StreamKeys("bq")
    found: bytes = stream.xadd(keys.events, {FIELD: accepted.to_payload()})
    return found.decode()
