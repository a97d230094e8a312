"""The event that the benchmarks send to us and to the peers, and requests that contain it."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import urlsplit

EVENTS = "/api/v1/ingest/events"
BATCH = "/api/v1/ingest/events/batch"
SYNC = "/api/v1/ingest/events/sync"

EVENT_NAME = "purchase"
"""What the games of `loadtests.processing_cost.games` listen to."""

PRODUCTS = 50


def purchase(random: Random, participants: int) -> dict[str, Any]:
    """An event of one of so many participants, without a key and without a moment of its own."""
    return {
        "event_name": EVENT_NAME,
        "participant_id": f"user_{random.randrange(participants):06d}",
        "properties": {
            "amount": random.randrange(100, 20_000) / 100,
            "currency": random.choice(["EUR", "USD"]),
            "product": f"p{random.randrange(PRODUCTS)}",
            "quantity": random.randrange(1, 5),
            "gift": random.random() < 0.1,
        },
    }


def single_body(random: Random, participants: int) -> bytes:
    """The body of a request that sends one event."""
    return _json(purchase(random, participants))


def batch_body(random: Random, participants: int, events: int) -> bytes:
    """The body of a request that sends a batch."""
    return _json({"events": [purchase(random, participants) for _ in range(events)]})


def post(url: str, path: str, key: str, body: bytes) -> bytes:
    """A whole HTTP/1.1 request, as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nX-API-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def get(url: str, path: str) -> bytes:
    """A whole HTTP/1.1 request without a body and without a key."""
    return f"GET {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n\r\n".encode("ascii")


def single_requests(url: str, key: str, random: Random, participants: int, path: str = EVENTS) -> Iterator[bytes]:
    """Requests of one event each, without end."""
    while True:
        yield post(url, path, key, single_body(random, participants))


def batch_requests(url: str, key: str, random: Random, participants: int, events: int) -> Iterator[bytes]:
    """Requests of a batch each, without end."""
    while True:
        yield post(url, BATCH, key, batch_body(random, participants, events))


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")
