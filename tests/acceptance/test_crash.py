"""Promises 1 and 2 under `kill -9`: every accepted event is one fact, none is two."""

import threading
from collections import Counter
from pathlib import Path

import httpx

from tests.support.client import Json, event
from tests.support.process import ServerProcess, until

EVENTS = 10_000
BATCH = 100
SENDERS = 4
KILLS = 3


class Sender(threading.Thread):
    """Posts its batches in order. With keys it repeats a batch until it is accepted; without, it never repeats."""

    def __init__(self, server: ServerProcess, key: str, batches: range, may_send: threading.Event) -> None:
        super().__init__()
        self.server, self.key, self.batches, self.may_send = server, key, batches, may_send
        self.accepted: list[int] = []

    def run(self) -> None:
        for batch in self.batches:
            keyed = batch % 2 == 0
            numbers = range(batch * BATCH, (batch + 1) * BATCH)
            while not self.post(numbers, keyed=keyed) and keyed:
                pass

    def post(self, numbers: range, *, keyed: bool) -> bool:
        self.may_send.wait()
        events: list[Json] = [
            event(participant_id=f"user_{number % 50}", properties={"n": number})
            | ({"idempotency_key": f"k{number}"} if keyed else {})
            for number in numbers
        ]
        try:
            with self.server.client(self.key) as client:
                answer = client.post("/ingest/events/batch", json={"events": events})
        except httpx.TransportError:
            return False
        if answer.status_code == 503:
            return False
        assert answer.json()["accepted"] == BATCH
        self.accepted += numbers
        return True


def test_every_accepted_event_is_one_fact_through_three_kills(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        key = server.key
        may_send = threading.Event()
        may_send.set()
        batches = EVENTS // BATCH
        senders = [Sender(server, key, range(first, batches, SENDERS), may_send) for first in range(SENDERS)]
        for sender in senders:
            sender.start()

        def accepted() -> int:
            return sum(len(sender.accepted) for sender in senders)

        for kill in range(1, KILLS + 1):
            until("a share is accepted", lambda share=kill: accepted() >= share * EVENTS // (KILLS + 2))
            server.kill()
            may_send.clear()
            server.start()
            may_send.set()
        for sender in senders:
            sender.join()

        wanted = {number for sender in senders for number in sender.accepted}
        assert len(wanted) >= EVENTS // 2, "every event with a key was accepted in the end"
        with server.client(key) as client:
            seen: Counter[int] = Counter()

            def all_seen() -> bool:
                seen.clear()
                query: dict[str, str] = {"limit": "1000"}
                while True:
                    page = client.get("/facts", params=query).json()
                    seen.update(fact["properties"]["n"] for fact in page["facts"])
                    if page["next_cursor"] is None:
                        return wanted <= seen.keys()
                    query["cursor"] = page["next_cursor"]

            until("every accepted event is a fact", all_seen, seconds=60)
            assert [number for number, times in seen.items() if times > 1] == []
            unsent = seen.keys() - wanted
            assert all(number // BATCH % 2 for number in unsent), "only an event without a key may be there unaccepted"
            assert client.get("/events/catalog/purchase_completed").json()["count"] == len(seen)
        assert server.stop() == 0
