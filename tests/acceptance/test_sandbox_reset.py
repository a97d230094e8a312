"""Emptying a test environment."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from bq_server.refusals import Code
from tests.support.client import Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess, until
from tests.support.sandbox import GAME, buy, set_clock, state
from tests.support.store import of_one_process


def dead_letter_a_conflict(stream: Any) -> str:
    """Put messages that can't be processed into the stream; the id of the one that is of the test environment."""
    conflict = ["evt_x", ["default", "test"], "other", "u", "{}", 1, 1, "k", "0" * 32, "[]", None]
    ids = [stream.xadd("bq:events", {"e": json.dumps(conflict)}), stream.xadd("bq:events", {"e": "[]"})]
    until("both are dead", lambda: stream.hlen("bq:dead") == 2)
    found: str = ids[0].decode()
    return found


class TestResetting:
    def test_the_environment_is_as_new_but_for_its_game(self, bq: Project) -> None:
        bq.apply(GAME)
        set_clock(bq, "2026-04-02T09:00:00Z")
        bq.send(buy(idempotency_key="k"))
        bq.send_sync(buy(idempotency_key="s"))
        bq.post("/gamify/points/award", {"participant_id": "user_123", "amount": 5})
        assert bq.post("/sandbox/reset", {}).json() == {"reset": True, "game_kept": True}
        assert bq.drain() | {"waited_ms": 0} == {
            "drained": True,
            "facts": 0,
            "duplicates": 0,
            "dead": 0,
            "waited_ms": 0,
        }
        assert bq.facts() == []
        check(bq.get("/gamify/participants/user_123"), Code.NOT_FOUND)
        assert bq.get("/events/catalog").json()["events"] == []
        assert bq.get("/gamify/leaderboards/ever").json()["entries"] == []
        assert bq.get("/sandbox/clock").json()["real"]
        assert bq.game()["game"]["points"][0]["code"] == "spend"
        bq.send_sync(buy())
        assert bq.balance("user_123") == 10

    def test_its_idempotency_keys_are_free_again(self, bq: Project) -> None:
        for send in (bq.send, bq.send_sync):
            send(buy(idempotency_key="k"))
            bq.drain()
            bq.post("/sandbox/reset", {})
        for amount in (1, 2):
            assert bq.send(buy(amount, idempotency_key="k")).status_code == 202
            bq.drain()
            assert [fact["properties"] for fact in bq.facts()] == [{"amount": amount}]
            bq.post("/sandbox/reset", {})

    def test_what_was_queued_does_not_turn_up_afterwards(self, bq: Project) -> None:
        for _ in range(5):
            bq.send_batch([buy()] * 100)
        bq.post("/sandbox/reset", {})
        bq.drain()
        assert bq.facts() == []

    def test_the_game_goes_too_when_told(self, bq: Project) -> None:
        bq.apply(GAME)
        bq.send_sync(buy())
        assert bq.post("/sandbox/reset", {"game": True}).json() == {"reset": True, "game_kept": False}
        assert bq.game()["game"] == {}
        bq.send_sync(buy())
        assert state(bq)["badges"] == []
        other = {"points": [{"code": "spend", "on": "purchase_completed", "award": 3}]}
        bq.apply(other)
        bq.send_sync(buy())
        assert bq.balance("user_123") == 3

    def test_it_sets_the_clock_when_told(self, bq: Project) -> None:
        bq.apply(GAME)
        set_clock(bq, "2026-05-02T09:00:00Z")
        bq.send_sync(buy())
        assert bq.post("/sandbox/reset", {"clock": {"now": "2026-04-02T09:00:00Z"}}).status_code == 200
        assert bq.get("/sandbox/clock").json() == {"now": "2026-04-02T09:00:00Z", "frozen": True, "real": False}
        bq.send_sync(buy())
        assert bq.facts()[0]["occurred_at"] == "2026-04-02T09:00:00Z"
        (entry, *_) = bq.get("/admin/audit-log?action=environment_reset").json()["entries"]
        assert entry["about"] == {"game": False, "now": "2026-04-02T09:00:00Z", "frozen": True}

    def test_a_clock_beyond_the_calendar_resets_nothing(self, bq: Project) -> None:
        bq.send_sync(buy())
        refused = bq.post("/sandbox/reset", {"clock": {"now": "9500-01-01T00:00:00Z"}})
        assert [each["field"] for each in check(refused, Code.VALIDATION_FAILED)["errors"]] == ["clock.now"]
        assert len(bq.facts()) == 1

    def test_definitions_count_all_that_comes_after_it(self, bq: Project) -> None:
        bq.send_batch([buy()] * 50)
        bq.drain()
        bq.apply(GAME)
        bq.post("/sandbox/reset", {})
        bq.send_sync(buy())
        assert bq.balance("user_123") == 10

    def test_no_other_environment_is_touched(self, bq: Project) -> None:
        with bq.using("live") as live:
            live.apply(GAME)
            live.send_sync(buy(idempotency_key="k"))
            before = state(live)
            bq.send_sync(buy(idempotency_key="k"))
            bq.post("/sandbox/reset", {"game": True})
            assert state(live) == before
            assert live.send_sync(buy(idempotency_key="k")).headers["Idempotent-Replayed"] == "true"
            assert len(live.facts()) == 1

    def test_dead_letters_go_too(self, data_dir: Path) -> None:
        with ServerProcess(data_dir) as server, server.client() as client:
            client.post("/ingest/events", json=event(idempotency_key="k"))
            client.post("/sandbox/drain", json={})
            stream = redis.Redis(unix_socket_path=str(data_dir / "stream" / "valkey.sock"))
            message_id = dead_letter_a_conflict(stream)
            assert client.post("/sandbox/drain", json={}).json()["dead"] == 1
            assert client.get(f"/ingest/messages/{message_id}").json()["status"] == "dead"
            client.post("/sandbox/reset", json={})
            assert client.post("/sandbox/drain", json={}).json()["dead"] == 0
            assert stream.hlen("bq:dead") == 1, "what belongs to no environment stays"
            stream.close()

    @of_one_process
    def test_more_facts_than_one_transaction_removes(self, bq: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(105):
            sent = bq.send_batch([event("tick")] * 100)
            assert sent.status_code == 202, sent.text
        assert bq.drain(60_000)["facts"] == 10_500
        bq.post("/sandbox/reset", {})
        assert bq.drain()["facts"] == 0
        assert bq.get("/events/catalog").json()["events"] == []
