"""Conversations that must go the same way whether the lane answers or not."""

import gzip
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.acceptance.test_refused_bodies import EVENT_ERRORS
from tests.support.client import event
from tests.support.wire import request

BATCH = b"/api/v1/ingest/events/batch"
MAX_BODY = 300_000
MAX_BATCH_BODY = 400_000
LANE_BODY = 256 << 10


class Conversation(NamedTuple):
    """What is sent, and how many answers come before the client asks whether the connection is still there."""

    name: str
    segments: list[bytes]
    answers: int = 1


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def conversations() -> Iterator[Conversation]:
    """All of them, in an order that matters: keys that were used stay used."""
    yield from _accepted()
    yield from _bodies_refused()
    yield from _heads()
    yield from _framing()
    yield from _keys()
    yield from _sequences()


def _one(name: str, *parts: bytes) -> Conversation:
    return Conversation(name, list(parts))


def _accepted() -> Iterator[Conversation]:
    yield _one("an event", request(encoded(event())))
    yield _one("warnings", request(encoded(event(extra=1, timestamp="2999-01-01T00:00:00Z"))))
    yield _one("null members", request(encoded(event(properties=None, timestamp=None, idempotency_key=None))))
    text = "Zoë 日本 🎉\u2028\x7f"
    yield _one("unicode", request(encoded(event(text, text, properties={text: [text, {"a": text}]}))))
    yield _one("raw unicode", request(json.dumps(event(text, properties={"a": text}), ensure_ascii=False).encode()))
    yield _one(
        "numbers", request(encoded(event(properties={"a": 1e308, "b": -0.0, "c": 2**70, "d": True, "e": 1 << 63})))
    )
    yield _one("a duplicate member", request(b'{"event_name":"a","event_name":"b","participant_id":"p"}'))
    yield _one("spaces", request(b" \t\r\n" + encoded(event()) + b"\n"))
    yield _one("a batch", request(encoded({"events": [event(), event("b", "q")]}), path=BATCH))
    yield _one("100", request(encoded({"events": [event(properties={"n": n}) for n in range(100)]}), path=BATCH))
    mixed = [event(), {}, event(participant_id=""), 5, event("x" * 101), event("last")]
    yield _one("a mixed batch", request(encoded({"events": mixed, "more": 1}), path=BATCH))


def _bodies_refused() -> Iterator[Conversation]:
    for body in (
        b"",
        b"{",
        b"event_name=x",
        b'{"a": 1,}',
        b'\xff\xfe{"a":1}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": "\xff"}',
        b"\0",
    ):
        for path in (b"/api/v1/ingest/events", BATCH):
            yield _one(f"not json {body!r}", request(body, path=path))
    for body in (b"[]", b"5", b"null", b'"x"', b"true", b"NaN", b"[" * 40_000 + b"]" * 40_000, b"9" * 5000):
        yield _one(f"no object {body[:9]!r}", request(body))
        yield _one(f"no batch {body[:9]!r}", request(body, path=BATCH))
    batches: list[Any] = [None, {}, [], "x", [event()] * 101, [{}], [{}, []], [[]]]
    for events in batches:
        yield _one(f"batch of {str(events)[:20]}", request(encoded({"events": events}), path=BATCH))
    for change, field, code in EVENT_ERRORS:
        wrong = event() | change
        yield _one(f"{field} {code}", request(encoded(wrong)))
        yield _one(f"in a batch: {field} {code}", request(encoded({"events": [event("right"), wrong]}), path=BATCH))
    yield _one("many fields", request(encoded({"event_name": "", "timestamp": "x"})))
    nested: Any = {}
    for levels in range(1, 40):
        nested = {"a": nested}
        if levels in (30, 31, 32, 39):
            yield _one(f"{levels} levels", request(encoded(event(properties=nested))))
    yield _one("named properties", request(encoded(event(properties={"properties": {"a": ["\0"]}}))))
    for size in (LANE_BODY - 1, LANE_BODY, LANE_BODY + 1, MAX_BODY, MAX_BODY + 1):
        yield _one(f"{size} bytes", request(encoded(event()).ljust(size)))
    for size in (LANE_BODY, LANE_BODY + 1, MAX_BATCH_BODY, MAX_BATCH_BODY + 1):
        yield _one(f"a batch of {size} bytes", request(encoded({"events": [event()]}).ljust(size), path=BATCH))


def _heads() -> Iterator[Conversation]:
    body = encoded(event())
    for key in (None, b"", b"x", b"\xff", b"$KEY ", b"$READ", b"bq_live_" + b"0" * 5000):
        yield _one(f"key {key!r}"[:30], request(body, key=key))
        yield _one(f"batch, key {key!r}"[:30], request(body, key=key, path=BATCH))
    yield _one("two keys", request(body, b"X-API-Key: x"))
    yield _one("two keys, the first wrong", request(body, b"X-API-Key: $KEY", key=b"x"))
    yield _one("one key twice", request(body, b"X-API-Key: $KEY"))
    yield _one("one type twice", request(body, b"content-type: application/json"))
    yield _one("two types of JSON", request(body, b"Content-Type: application/json; charset=utf-8"))
    yield _one("two request ids", request(body, b"X-Request-Id: a", b"X-Request-Id: b"))
    yield _one("one request id twice", request(body, b"X-Request-Id: a", b"x-request-id: a"))
    yield _one("two of everything", request(body, b"X-API-Key: x", b"X-Request-Id: a", b"X-Request-Id: b", path=BATCH))
    for media in (
        None,
        b"",
        b"text/plain",
        b"json",
        b"APPLICATION/JSON",
        b"application/json; charset=x",
        b"application/a+json",
    ):
        yield _one(f"type {media!r}", request(body, content_type=media))
    yield _one("two types", request(body, b"Content-Type: text/plain"))
    for encoding in (b"gzip", b"identity", b""):
        yield _one(f"encoding {encoding!r}", request(body, b"Content-Encoding: " + encoding))
        squeezed = gzip.compress(body, mtime=0)
        yield _one(f"gzip, encoding {encoding!r}", request(squeezed, b"Content-Encoding: " + encoding))
    yield _one("an origin", request(body, b"Origin: https://shop.example"))
    yield _one("another origin", request(body, b"Origin: https://other.example"))
    for given in (b"abc", b"a b", b"x" * 64, b"x" * 65, b'"', b"", b"\xe4"):
        yield _one(f"request id {given!r}"[:30], request(body, b"X-Request-Id: " + given))
        yield _one(f"request id {given!r}, refused"[:40], request(b"{", b"x-request-id: " + given))
    for path in (b"?", b"?a=1", b"?wait=fact", b"?wait=x", b"/", b"/x", b"/sync", b"%2f", b"#x"):
        yield _one(f"path {path!r}", request(body, path=b"/api/v1/ingest/events" + path))
    for line in (
        b"GET /api/v1/ingest/events HTTP/1.1",
        b"PUT /api/v1/ingest/events HTTP/1.1",
        b"post /api/v1/ingest/events HTTP/1.1",
        b"POST http://x/api/v1/ingest/events HTTP/1.1",
        b"POST  /api/v1/ingest/events HTTP/1.1",
        b"POST /api/v1/ingest/events HTTP/1.2",
        b"POST /api/v1/ingest/events",
        b"POST /facts HTTP/1.1",
    ):
        yield _one(f"line {line!r}", request(body, line=line))
    yield _one("tabs", request(body, b"X-Other:\t a \t"))
    yield _one("upper case", request(body).replace(b"Host", b"HOST").replace(b"Content-Length", b"CONTENT-LENGTH"))
    yield _one("many headers", request(body, *[b"X-%d: %d" % (n, n) for n in range(60)]))
    for size in (8_000, 15_000, 17_000):
        yield _one(f"a header of {size}", request(body, b"X-Large: " + b"x" * size))
    for header in (
        b"X : a",
        b"X\0: a",
        b"X: a\0b",
        b"X: a\x0bb",
        b"X",
        b": a",
        b"X: a\r\n b",
        b"X: \x7f\xff",
        b"\xe4: a",
    ):
        yield _one(f"header {header!r}", request(body, header))
    yield _one("no host", request(body).replace(b"Host: x\r\n", b""))
    yield _one("two hosts", request(body, b"Host: y"))
    yield _one("empty host", request(body).replace(b"Host: x", b"Host:"))


def _framing() -> Iterator[Conversation]:
    body = encoded(event())
    for length in (
        b"+5",
        b"0%d" % len(body),
        b"%d, %d" % (len(body), len(body)),
        b"x",
        b"-1",
        b"9" * 30,
        b"5 5",
        b"1_0",
    ):
        yield _one(f"length {length!r}", request(body, length=length))
    yield _one("no length", request(b"", length=None))
    yield _one("two lengths", request(body, b"Content-Length: %d" % len(body)))
    yield _one("two lengths that differ", request(body, b"Content-Length: 1"))
    chunked = b"%x\r\n%s\r\n3\r\n   \r\n0\r\n\r\n" % (len(body), body)
    head = request(b"", b"Transfer-Encoding: chunked", length=None)
    yield _one("chunked", head + chunked)
    yield _one("chunked in pieces", head, chunked[:10], chunked[10:30], chunked[30:])
    yield _one("chunked, broken", head + b"zz\r\n" + body)
    yield _one("chunked, past the limit", head + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 10 + b"0\r\n\r\n")
    yield _one("another encoding", request(body, b"Transfer-Encoding: gzip", length=None))
    yield _one("length and encoding", request(chunked, b"Transfer-Encoding: chunked"))
    yield _one(
        "encoding twice",
        request(b"", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", length=None) + chunked,
    )
    for connection in (b"close", b"Close", b"keep-alive", b"Keep-Alive", b"close, x", b"x", b"", b"upgrade"):
        yield _one(f"connection {connection!r}", request(body, b"Connection: " + connection))
        yield _one(f"connection {connection!r}, refused", request(b"{", b"Connection: " + connection))
    yield _one("1.0", request(body, line=b"POST /api/v1/ingest/events HTTP/1.0"))
    yield _one("1.0 kept", request(body, b"Connection: keep-alive", line=b"POST /api/v1/ingest/events HTTP/1.0"))
    yield Conversation("expects", [request(body, b"Expect: 100-continue")], 2)
    yield _one("expects other", request(body, b"Expect: x"))
    yield _one("upgrade to websocket", request(body, b"Upgrade: websocket", b"Connection: upgrade"))
    yield _one("upgrade to h2c", request(body, b"Upgrade: h2c", b"HTTP2-Settings: AAA", b"Connection: upgrade"))
    yield _one("bare line feeds", request(body).replace(b"\r\n", b"\n"))
    yield _one("an empty line before", b"\r\n" + request(body))
    yield _one("no http", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    yield _one("no words", b"x\r\n\r\n")
    whole = request(body)
    for cut in range(1, len(whole), 9):
        yield _one(f"cut at {cut}", whole[:cut], whole[cut:])


def _keys() -> Iterator[Conversation]:
    first, other = encoded(event()), encoded(event("other"))
    keyed = encoded(event("keyed", idempotency_key="k1"))
    batch_of_one = encoded({"events": [event()]})
    for name, sent in (
        ("first", request(first, b"Idempotency-Key: h1")),
        ("repeat", request(first, b"Idempotency-Key: h1")),
        ("conflict", request(other, b"Idempotency-Key: h1")),
        ("in the body", request(keyed)),
        ("in the body again", request(keyed)),
        ("in both", request(keyed, b"Idempotency-Key: k1")),
        ("in both, other", request(keyed, b"Idempotency-Key: k2")),
        ("empty", request(first, b"Idempotency-Key:")),
        ("long", request(first, b"Idempotency-Key: " + b"x" * 255)),
        ("too long", request(first, b"Idempotency-Key: " + b"x" * 256)),
        ("utf-8", request(first, "Idempotency-Key: schlüssel".encode())),
        ("utf-8 again", request(first, "Idempotency-Key: schlüssel".encode())),
        ("latin-1", request(first, "Idempotency-Key: schlüssel".encode("latin-1"))),
        ("for a batch", request(batch_of_one, b"Idempotency-Key: b", path=BATCH)),
        ("twice", request(first, b"Idempotency-Key: t", b"Idempotency-Key: t")),
        ("one and another", request(first, b"Idempotency-Key: o1", b"Idempotency-Key: o2")),
        ("one and none", request(first, b"Idempotency-Key: o1", b"Idempotency-Key:")),
        ("the first of two", request(first, b"Idempotency-Key: o1")),
        ("the other of two", request(other, b"Idempotency-Key: o2")),
        ("two for a batch", request(batch_of_one, b"Idempotency-Key: a", b"Idempotency-Key: b", path=BATCH)),
    ):
        yield _one(f"key {name}", sent)
    for name in ("first", "again"):
        events = [event(idempotency_key=f"batch{n % 5}") for n in range(6)] + [event("x", idempotency_key="batch1")]
        yield _one(f"keys in a batch, {name}", request(encoded({"events": events}), path=BATCH))
    repeats = {"events": [event(idempotency_key="batch0"), event("keyed", idempotency_key="k1")]}
    yield _one("a batch of repeats", request(encoded(repeats), path=BATCH))


def _sequences() -> Iterator[Conversation]:
    good, bad = request(encoded(event())), request(b"{")
    batch = request(encoded({"events": [event(), {}]}), path=BATCH)
    elsewhere = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    yield Conversation("kept", [good] * 5, 5)
    yield Conversation("pipelined", [good * 3 + bad + batch + good], 6)
    yield Conversation("many pipelined", [(good + bad) * 40], 80)
    yield Conversation("pipelined in pieces", [(good * 10)[n : n + 97] for n in range(0, len(good) * 10, 97)], 10)
    yield Conversation("there and elsewhere", [good + elsewhere + good + elsewhere + bad], 5)
    yield Conversation("keyed, pipelined", [request(encoded(event()), b"Idempotency-Key: p") * 4], 4)
    yield Conversation("rubbish after an event", [good + b"\r\n" + good + b"rubbish\r\n\r\n"], 3)
    yield Conversation("a refused head between", [good + request(b"{}", key=b"x") + good], 3)
