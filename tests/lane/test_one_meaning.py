"""The lane and the handlers answer alike, byte for byte, and the same events come of it."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lane.corpus import BATCH, MAX_BATCH_BODY, MAX_BODY, Conversation, conversations, encoded
from tests.support.client import event
from tests.support.process import ServerProcess, run, until
from tests.support.wire import Wire, converse, request

FLAGS: tuple[str, ...] = ("--max-body-bytes", str(MAX_BODY), "--max-batch-body-bytes", str(MAX_BATCH_BODY))
FLAGS += ("--cors-origins", "https://shop.example")


class Side:
    """A server, its keys, and what of its answers is its own: ids and times."""

    def __init__(self, server: ServerProcess, read_key: str) -> None:
        self.server = server
        self._keys = {b"$KEY": server.key.encode(), b"$READ": read_key.encode()}
        self._seen: dict[bytes, bytes] = {}

    def converse(self, conversation: Conversation) -> list[bytes]:
        """How it goes, in words that both servers would use."""
        segments = [self.filled(segment) for segment in conversation.segments]
        return [self._common(answer) for answer in converse(self.server.url, segments, conversation.answers)]

    def filled(self, segment: bytes) -> bytes:
        """The bytes with this server's keys in them."""
        for name, key in self._keys.items():
            segment = segment.replace(name, key)
        return segment

    def _common(self, answer: bytes) -> bytes:
        answer = re.sub(rb"\r\ndate: [^\r]+", b"\r\ndate: D", answer)
        answer = re.sub(rb"(req|evt|fact)_[0-9a-z]{26}", rb"\1_I", answer)
        answer = re.sub(rb'("processed_at":)"[^"]+"', rb"\1T", answer)
        # A message that is told twice is the same one on both sides.
        answer = re.sub(
            rb'"\d{13}-\d+"', lambda found: self._seen.setdefault(found[0], b"M%d" % len(self._seen)), answer
        )
        return re.sub(rb"content-length: \d+", b"content-length: N", answer) if b'"M' in answer else answer


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    directory = tmp_path_factory.mktemp("lane")
    with (
        ServerProcess(directory / "on", *FLAGS) as on,
        ServerProcess(directory / "off", *FLAGS, env={"BQ_HTTP_LANE": "off"}) as off,
    ):
        yield tuple(Side(server, _read_key(server.data_dir)) for server in (on, off))  # type: ignore[misc]


def _read_key(data_dir: Path) -> str:
    made = run("keys", "create", "--env", "test", "--scope", "read", "--data-dir", str(data_dir))
    return made.stdout.strip()


def told(side: Side) -> list[Any]:
    """What every fact says, in the order in which they were made."""
    with side.server.client() as client:
        assert client.post("/sandbox/drain", json={"timeout_ms": 30_000}).status_code == 200
        facts, cursor = [], None
        while True:
            page = client.get("/facts", params={"limit": 1000, **({"cursor": cursor} if cursor else {})}).json()
            facts += page["facts"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    own = {"fact_id", "event_id", "message_id", "received_at", "processed_at", "occurred_at"}
    return [{name: value for name, value in fact.items() if name not in own} for fact in facts]


def test_every_conversation_goes_the_same_way(sides: tuple[Side, Side]) -> None:
    on, off = sides
    until("the new keys are known", lambda: all(_knows(side) for side in sides))
    different = []
    for conversation in conversations():
        one, other = on.converse(conversation), off.converse(conversation)
        if one != other:
            different.append((conversation.name, one, other))
    assert not different, f"{len(different)} differ, first: {different[0]}"
    assert told(on) == told(off)


def _knows(side: Side) -> bool:
    (answer, _) = converse(side.server.url, [side.filled(request(b"{}", key=b"$READ"))], 1)
    return answer.startswith(b"HTTP/1.1 403")


def test_a_frozen_clock_is_told_alike(sides: tuple[Side, Side]) -> None:
    for side in sides:
        with side.server.client() as client:
            frozen = client.put("/sandbox/clock", json={"now": "2026-01-01T00:00:00Z"})
            assert frozen.status_code == 200, frozen.text
    sent = [Conversation("told", [request(encoded(event())) + request(b"{")], 2)]
    sent.append(Conversation("batch", [request(encoded({"events": [event()]}), b"Connection: close", path=BATCH)]))
    for conversation in sent:
        one, other = (side.converse(conversation) for side in sides)
        assert one == other
        assert b"x-sandbox-clock: 2026-01-01T00:00:00Z" in one[0]
    for side in sides:
        with side.server.client() as client:
            client.delete("/sandbox/clock")


def test_an_unavailable_stream_is_told_alike(sides: tuple[Side, Side]) -> None:
    pids = [pid for side in sides for pid in side.server.valkey_pids]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        first, batch = request(encoded(event())), request(encoded({"events": [event()] * 2}), path=BATCH)
        for name, segment in (("first", first), ("then", first), ("batch", batch)):
            one, other = (side.converse(Conversation(name, [segment])) for side in sides)
            assert one == other
            assert b'"code":"stream_unavailable"' in one[0]
            assert b"retry-after: 1" in one[0]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    for side in sides:
        sent = Conversation("again", [request(encoded(event()))])
        until("events are taken again", lambda side=side, sent=sent: b" 202 " in side.converse(sent)[0])


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_behind(sides: tuple[Side, Side]) -> None:
    whole = request(encoded(event("left")))
    for side in sides:
        data = side.filled(whole)
        for cut in range(1, len(data), 23):
            with Wire(side.server.url) as wire:
                wire.send(data[:cut])
        (answer, _) = converse(side.server.url, [data], 1)
        assert b" 202 " in answer
        assert [fact["event_name"] for fact in told(side)].count("left") == 1


@pytest.mark.parametrize("after", [request(encoded(event())) * 2, b"\r\n", b"\0"], ids=["requests", "line end", "zero"])
def test_what_follows_a_request_that_closes_is_nobodys(sides: tuple[Side, Side], after: bytes) -> None:
    for side in sides:
        for header in (b"Connection: close", b"Connection: close, x"):
            before = len(told(side))
            sent = request(encoded(event()), header) + after
            answer, rest = side.converse(Conversation("after close", [sent]))
            assert answer.startswith(b"HTTP/1.1 202 "), answer
            assert rest == b""
            assert len(told(side)) == before + 1
