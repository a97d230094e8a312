"""What test environments may do: wait until all is settled, move their clock, be emptied, come and go whole."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until
from tests.support.store import no_new_facts

GAME = {
    "points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}],
    "badges": [
        {"code": "first", "name": "First", "criteria": {"on": "purchase_completed", "target": 1}},
        {"code": "medal", "name": "Medal"},
    ],
    "streaks": [
        {"code": "daily", "on": "purchase_completed", "period": "daily", "timezone": "UTC", "grace_period_hours": 0}
    ],
    "challenges": [
        {
            "code": "april",
            "name": "April",
            "duration": {"type": "fixed", "starts_at": "2026-04-01T00:00:00Z", "ends_at": "2026-05-01T00:00:00Z"},
            "objectives": [{"code": "buy", "on": "purchase_completed", "target": 3}],
        },
        {
            "code": "club",
            "name": "Club",
            "enrolment": "explicit",
            "duration": {"type": "rolling", "days": 7},
            "objectives": [{"code": "buy", "on": "purchase_completed", "target": 5}],
        },
    ],
    "tiers": [
        {"code": "bronze", "name": "Bronze", "level": 1, "min_points": 0},
        {"code": "gold", "name": "Gold", "level": 2, "min_points": 15},
    ],
    "leaderboards": [
        {"code": "today", "name": "Today", "metric": {"on": "purchase_completed"}, "window": "daily"},
        {"code": "ever", "name": "Ever", "metric": {"on": "purchase_completed"}, "window": "all_time"},
    ],
}
ROUTES = [
    ("POST", "/sandbox/drain", {"timeout_ms": 0}),
    ("GET", "/sandbox/clock", None),
    ("PUT", "/sandbox/clock", {"now": "2026-04-02T09:00:00Z"}),
    ("DELETE", "/sandbox/clock", None),
    ("POST", "/sandbox/clock/advance", {"by": "P1D"}),
    ("POST", "/sandbox/reset", {}),
    ("GET", "/sandbox/export", None),
    ("POST", "/sandbox/import", {}),
]


def buy(amount: float = 10, **more: Any) -> Json:
    return event(properties={"amount": amount}, **more)


def set_clock(bq: Project, now: str, *, frozen: bool = True) -> None:
    answer = bq.request("PUT", "/sandbox/clock", json={"now": now, "frozen": frozen})
    assert answer.status_code == 200, answer.text


def advance(bq: Project, by: str) -> str:
    answer = bq.post("/sandbox/clock/advance", {"by": by})
    assert answer.status_code == 200, answer.text
    now: str = answer.json()["now"]
    return now


def state(bq: Project, participant_id: str = "user_123") -> Json:
    return bq.participant(participant_id, "/state")


def export(bq: Project) -> list[Json]:
    answer = bq.get("/sandbox/export")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def import_lines(bq: Project, lines: list[Json]) -> httpx.Response:
    content = "".join(json.dumps(line) + "\n" for line in lines)
    return bq.request("POST", "/sandbox/import", content=content, headers={"Content-Type": "application/x-ndjson"})


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_live_key_may_do_nothing_of_it(bq: Project, method: str, path: str, body: Json | None) -> None:
    with bq.using("live") as live:
        assert live.send_sync(event()).status_code == 200
        problem = check(live.request(method, path, json=body), Code.FORBIDDEN)
        assert "bq_test_" in problem["detail"]
        assert len(live.facts()) == 1
        check(live.request("POST", "/ingest/events", json=event(), params={"wait": "fact"}), Code.FORBIDDEN)
        check(
            live.request("POST", "/ingest/events/batch", json={"events": []}, params={"wait": "fact"}), Code.FORBIDDEN
        )
        assert len(live.facts()) == 1


class TestDraining:
    def test_everything_accepted_before_is_a_fact(self, bq: Project) -> None:
        for _ in range(3):
            bq.send_batch([buy()] * 100)
        drained = bq.drain()
        assert drained.keys() == {"drained", "facts", "duplicates", "dead", "waited_ms"}
        assert (drained["drained"], drained["facts"], drained["duplicates"], drained["dead"]) == (True, 300, 0, 0)
        assert len(bq.facts()) == 300

    def test_a_message_that_only_repeats_is_a_duplicate(self, bq: Project) -> None:
        bq.send_sync(buy(idempotency_key="k"))
        bq.send(buy(idempotency_key="k"))
        drained = bq.drain()
        assert (drained["facts"], drained["duplicates"]) == (1, 1)

    def test_it_waits_for_what_a_changed_game_makes_of_the_past(self, bq: Project) -> None:
        bq.send_batch([buy(participant_id=f"u{number}") for number in range(100)])
        bq.drain()
        assert bq.put_game(GAME, backfill=True).status_code == 200
        bq.drain()
        assert all(refold["finished_at"] for refold in bq.game()["refolds"])
        assert bq.balance("u99") == 10

    def test_what_still_waits_is_told_when_the_time_is_over(self, data_dir: Path) -> None:
        with ServerProcess(data_dir) as server, server.client() as client:
            with no_new_facts(data_dir):
                for _ in range(3):
                    assert client.post("/ingest/events", json=event()).status_code == 202
                problem = check(client.post("/sandbox/drain", json={"timeout_ms": 200}), Code.NOT_DRAINED)
                assert "3 accepted events" in problem["detail"]
                assert [each["field"] for each in problem["errors"]] == ["queued"]
                check(client.post("/sandbox/reset", json={"timeout_ms": 0}), Code.NOT_DRAINED)
            assert client.post("/sandbox/drain", json={}).json()["facts"] == 3

    def test_it_waits_for_its_own_environment_and_counts_only_that(self, bq: Project) -> None:
        with bq.using("live") as live:
            live.send_batch([buy()] * 7)
        bq.send(buy())
        assert bq.drain()["facts"] == 1

    @pytest.mark.parametrize("timeout", [-1, 600_001, "1", 1.5, None, True])
    def test_a_wrong_time_is_refused(self, bq: Project, timeout: object) -> None:
        problem = check(bq.post("/sandbox/drain", {"timeout_ms": timeout}), Code.VALIDATION_FAILED)
        assert problem["errors"][0]["field"] == "timeout_ms"


class TestWaitingForTheFact:
    def test_one_event(self, bq: Project) -> None:
        answer = bq.request("POST", "/ingest/events", json=buy(idempotency_key="k"), params={"wait": "fact"})
        assert answer.status_code == 202
        (fact,) = bq.facts()
        accepted = {"accepted": True, "message_id": fact["message_id"]}
        assert answer.json() == accepted | {"event_id": fact["event_id"], "fact_id": fact["fact_id"]}
        again = bq.request("POST", "/ingest/events", json=buy(idempotency_key="k"), params={"wait": "fact"})
        assert again.json() == answer.json()
        assert again.headers["Idempotent-Replayed"] == "true"

    def test_a_batch(self, bq: Project) -> None:
        events = [buy(participant_id="a"), {"event_name": "x"}, buy(participant_id="b")]
        answer = bq.request("POST", "/ingest/events/batch", json={"events": events}, params={"wait": "fact"}).json()
        facts = {fact["participant_id"]: fact for fact in bq.facts()}
        assert answer["fact_ids"] == [facts["a"]["fact_id"], facts["b"]["fact_id"]]
        assert answer["event_ids"] == [facts["a"]["event_id"], facts["b"]["event_id"]]
        assert (answer["accepted"], answer["rejected"]) == (2, 1)

    def test_without_it_nothing_is_added(self, bq: Project) -> None:
        assert bq.send(buy()).json().keys() == {"accepted", "message_id"}
        assert bq.send_batch([buy()]).json().keys() == {"accepted", "rejected", "message_ids"}

    def test_a_batch_with_nothing_to_wait_for(self, bq: Project) -> None:
        answer = bq.request("POST", "/ingest/events/batch", json={"events": [{}]}, params={"wait": "fact"})
        assert (answer.status_code, answer.json()["fact_ids"]) == (422, [])


class TestTheClock:
    def test_it_is_the_real_one_until_it_is_set(self, bq: Project) -> None:
        real = bq.get("/sandbox/clock").json()
        assert (real["frozen"], real["real"]) == (False, True)
        bq.send_sync(buy())
        answer = bq.get("/gamify/participants/user_123/state")
        assert "clock" not in answer.json()
        assert "X-Sandbox-Clock" not in answer.headers

    def test_a_frozen_one_stands_still_and_stamps_everything(self, bq: Project) -> None:
        set_clock(bq, "2026-04-02T09:00:00Z")
        bq.apply(GAME)
        bq.send(buy())
        bq.drain()
        (fact,) = bq.facts()
        moments = {fact[name] for name in ("occurred_at", "received_at", "processed_at")}
        assert moments == {"2026-04-02T09:00:00Z"}
        assert bq.get("/sandbox/clock").json() == {"now": "2026-04-02T09:00:00Z", "frozen": True, "real": False}
        answer = bq.get("/gamify/participants/user_123/state")
        assert answer.json()["clock"] == answer.headers["X-Sandbox-Clock"] == "2026-04-02T09:00:00Z"
        assert bq.get("/facts?limit=0").headers["X-Sandbox-Clock"] == "2026-04-02T09:00:00Z", "also a refusal"
        assert bq.game()["applied_at"] == "2026-04-02T09:00:00Z"
        (entry,) = bq.participant("user_123", "/points/transactions")["transactions"]
        assert entry["created_at"] == "2026-04-02T09:00:00Z"

    def test_a_running_one_goes_on_from_where_it_was_set(self, bq: Project) -> None:
        set_clock(bq, "2026-04-02T09:00:00Z", frozen=False)
        before = bq.get("/sandbox/clock").json()["now"]
        until("it has moved", lambda: bq.get("/sandbox/clock").json()["now"] > before)
        assert advance(bq, "P1D").startswith("2026-04-03T09:0")

    def test_advancing_the_real_one_makes_it_the_environments_own(self, bq: Project) -> None:
        advance(bq, "P1W")
        shown = bq.get("/sandbox/clock").json()
        assert (shown["frozen"], shown["real"]) == (False, False)
        bq.request("DELETE", "/sandbox/clock")
        assert bq.get("/sandbox/clock").json()["now"] < shown["now"]

    def test_every_reading_follows_it(self, bq: Project) -> None:
        bq.apply(GAME)
        set_clock(bq, "2026-04-02T09:00:00Z")
        bq.send(buy())
        bq.post("/gamify/challenges/club/enrol", {"participant_id": "user_123"})
        advance(bq, "PT1H")
        at_first = state(bq)
        streak, challenges = at_first["streaks"][0], {each["code"]: each for each in at_first["challenges"]}
        assert (streak["current_count"], streak["is_at_risk"]) == (1, False)
        assert (challenges["april"]["status"], challenges["club"]["status"]) == ("active", "active")
        assert challenges["club"]["enrolled_at"] == "2026-04-02T09:00:00Z"
        assert [each["leaderboard_code"] for each in at_first["leaderboards"]] == ["today", "ever"]
        advance(bq, "P1D")
        assert state(bq)["streaks"][0]["is_at_risk"]
        assert [each["leaderboard_code"] for each in state(bq)["leaderboards"]] == ["ever"]
        assert bq.get("/gamify/leaderboards/today").json()["entries"] == []
        advance(bq, "P1D")
        assert state(bq)["streaks"][0]["current_count"] == 0
        assert bq.participant("user_123", "/streaks")["streaks"][0]["current_count"] == 0
        advance(bq, "P6D")
        challenges = {each["code"]: each for each in state(bq)["challenges"]}
        assert (challenges["april"]["status"], challenges["club"]["status"]) == ("active", "expired")
        advance(bq, "P30D")
        listed = bq.participant("user_123", "/challenges")["challenges"]
        assert {each["code"]: each["status"] for each in listed} == {"april": "expired", "club": "expired"}
        enrolled = bq.post("/gamify/challenges/club/enrol", {"participant_id": "new"}).json()
        assert enrolled["challenge"]["enrolled_at"].startswith("2026-05-10T10:00:00")
        awarded = bq.post("/gamify/badges/award", {"participant_id": "new", "badge_code": "medal"})
        assert awarded.status_code in (200, 201), awarded.text
        held = {each["code"]: each for each in state(bq, "new")["badges"]}
        assert held["medal"]["earned_at"].startswith("2026-05-10T10:00:00")

    def test_what_was_sent_before_it_moved_happened_before(self, bq: Project) -> None:
        set_clock(bq, "2026-04-02T09:00:00Z")
        bq.send_batch([buy()] * 100)
        advance(bq, "P1D")
        assert {fact["processed_at"] for fact in bq.facts()} == {"2026-04-02T09:00:00Z"}

    def test_moving_it_hides_nothing(self, bq: Project) -> None:
        bq.apply(GAME)
        bq.send_sync(buy())
        whole = state(bq)
        for now in ("1970-01-01T00:00:00Z", "2999-12-31T23:59:59.999999Z"):
            set_clock(bq, now)
            assert len(bq.facts()) == 1
            then = state(bq)
            assert then["points"] == whole["points"]
            assert [each["code"] for each in then["badges"] if each["earned"]] == ["first"]
            assert bq.get("/gamify/leaderboards/ever").json()["total_participants"] == 1
            assert bq.participant("user_123", "/events")["total"] == 1

    def test_far_ahead_is_far_ahead_of_the_environments_clock(self, bq: Project) -> None:
        set_clock(bq, "2020-01-01T00:00:00Z")
        bq.send_sync(buy(timestamp="2020-01-01T12:00:00Z"))
        bq.send_sync(buy(timestamp="2020-01-03T00:00:00Z"))
        assert [bool(fact["warnings"]) for fact in bq.facts()] == [True, False]

    def test_what_was_told_later_does_not_stand_against_what_is_told_now(self, bq: Project) -> None:
        bq.apply(GAME)
        for now in ("2026-05-01T00:00:00Z", "2026-04-01T00:00:00Z"):
            set_clock(bq, now)
            for _ in range(2):
                bq.post("/gamify/participants", {"participant_id": "user_123", "timezone": "Asia/Tokyo"})
                enrolled = bq.post("/gamify/challenges/club/enrol", {"participant_id": "user_123"}).json()
                assert enrolled["challenge"]["enrolled_at"] == now
        told = [(fact["fact_type"], fact["occurred_at"][:7]) for fact in bq.facts()]
        kinds = ("system.challenge_enrolled", "system.timezone_changed")
        assert told == [(kind, month) for month in ("2026-04", "2026-05") for kind in kinds]

    def test_it_is_one_environments_own(self, bq: Project) -> None:
        set_clock(bq, "2026-04-02T09:00:00Z")
        with bq.using("live") as live:
            live.send_sync(buy())
            assert live.facts()[0]["received_at"] > "2026-04-03"
            assert "X-Sandbox-Clock" not in live.get("/facts").headers

    def test_a_restart_keeps_it(self, data_dir: Path) -> None:
        with ServerProcess(data_dir) as server:
            server.request("PUT", "/sandbox/clock", json={"now": "2026-04-02T09:00:00Z"})
            key = server.key
            server.kill()
            server.start()
            shown = server.request("GET", "/sandbox/clock", key).json()
            assert shown == {"now": "2026-04-02T09:00:00Z", "frozen": True, "real": False}

    @pytest.mark.parametrize(
        "by", ["P1M", "P1Y", "-P1D", "P", "PT", "P1DT", "1 day", "", "PT0S", "P1.5.2D", 5, None, {}]
    )
    def test_what_is_no_length_of_time_is_refused(self, bq: Project, by: object) -> None:
        problem = check(bq.post("/sandbox/clock/advance", {"by": by}), Code.VALIDATION_FAILED)
        assert problem["errors"][0]["field"] == "by"
        assert bq.get("/sandbox/clock").json()["real"]

    @pytest.mark.parametrize(
        ("by", "after"),
        [
            ("P1D", "04-03T09:00:00"),
            ("P1W", "04-09T09:00:00"),
            ("PT90S", "04-02T09:01:30"),
            ("P1DT2H3M", "04-03T11:03:00"),
        ],
    )
    def test_lengths_of_time(self, bq: Project, by: str, after: str) -> None:
        set_clock(bq, "2026-04-02T09:00:00Z")
        assert advance(bq, by) == f"2026-{after}Z"

    @pytest.mark.parametrize("now", ["1969-12-31T23:59:59Z", "9000-01-01T00:00:01Z", "tomorrow", 5, None])
    def test_what_a_clock_can_not_show_is_refused(self, bq: Project, now: object) -> None:
        problem = check(bq.request("PUT", "/sandbox/clock", json={"now": now}), Code.VALIDATION_FAILED)
        assert problem["errors"][0]["field"] == "now"

    def test_it_does_not_leave_the_calendar(self, bq: Project) -> None:
        set_clock(bq, "9000-01-01T00:00:00Z")
        check(bq.post("/sandbox/clock/advance", {"by": "PT1S"}), Code.VALIDATION_FAILED)
        bq.apply(GAME)
        bq.send_sync(buy())
        assert state(bq)["streaks"][0]["current_count"] == 1


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
            message_id = bury_a_conflict(stream)
            assert client.post("/sandbox/drain", json={}).json()["dead"] == 1
            assert client.get(f"/ingest/messages/{message_id}").json()["status"] == "dead"
            client.post("/sandbox/reset", json={})
            assert client.post("/sandbox/drain", json={}).json()["dead"] == 0
            assert stream.hlen("bq:dead") == 1, "what belongs to no environment stays"
            stream.close()

    def test_more_facts_than_one_transaction_removes(self, bq: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(105):
            bq.send_batch([event("tick")] * 100)
        assert bq.drain(60_000)["facts"] == 10_500
        bq.post("/sandbox/reset", {})
        assert bq.drain()["facts"] == 0
        assert bq.get("/events/catalog").json()["events"] == []


def bury_a_conflict(stream: Any) -> str:
    """Put messages that can't be processed into the stream; the id of the one that is of the test environment."""
    conflict = ["evt_x", ["default", "test"], "other", "u", "{}", 1, 1, "k", "0" * 32, "[]", None]
    ids = [stream.xadd("bq:events", {"e": json.dumps(conflict)}), stream.xadd("bq:events", {"e": "[]"})]
    until("both are dead", lambda: stream.hlen("bq:dead") == 2)
    found: str = ids[0].decode()
    return found


class TestExportAndImport:
    @contextmanager
    def _story(self, bq: Project) -> Iterator[list[Json]]:
        """An environment with a game that was changed on the way, a profile, and facts of our own."""
        set_clock(bq, "2026-04-10T12:00:00Z")
        first = {name: GAME[name] for name in ("points", "tiers")}
        bq.apply(first)
        for number in range(3):
            bq.send(buy(idempotency_key=f"k{number}", timestamp=f"2026-04-0{7 + number}T10:00:00Z"))
        bq.post(
            "/gamify/participants", {"participant_id": "user_123", "display_name": "Ada ✨", "timezone": "Asia/Tokyo"}
        )
        bq.post("/gamify/participants", {"participant_id": "idle", "attributes": {"team": "blue"}})
        bq.drain()
        bq.apply(GAME)
        bq.post("/gamify/challenges/club/enrol", {"participant_id": "user_123"})
        bq.post("/gamify/points/award", {"participant_id": "user_123", "amount": 3, "reason": "thanks"})
        for number in range(3, 6):
            bq.send_sync(buy(idempotency_key=f"k{number}"))
            advance(bq, "P1D")
        yield export(bq)

    def test_what_is_laid_into_an_emptied_environment_is_what_was_there(self, bq: Project) -> None:
        with self._story(bq) as lines:
            whole = state(bq), bq.participant("idle"), bq.get("/gamify/leaderboards/ever").json()
            ledger = [entry["amount"] for entry in bq.participant("user_123", "/points/transactions")["transactions"]]
            now = bq.get("/sandbox/clock").json()["now"]
            bq.post("/sandbox/reset", {"game": True})
            set_clock(bq, now)
            answer = import_lines(bq, lines)
            assert answer.json() == {"facts": 9, "participants": 2, "game": True}
            assert (state(bq), bq.participant("idle"), bq.get("/gamify/leaderboards/ever").json()) == whole
            again = [entry["amount"] for entry in bq.participant("user_123", "/points/transactions")["transactions"]]
            assert again == ledger
            repeated = bq.send_sync(buy(idempotency_key="k3"))
            assert repeated.headers["Idempotent-Replayed"] == "true"
            assert without_ids(export(bq)) == without_ids(lines)

    def test_another_environment_of_the_same_server_can_have_it(self, bq: Project, other_bq: Project) -> None:
        with self._story(bq) as lines:
            set_clock(other_bq, bq.get("/sandbox/clock").json()["now"])
            assert import_lines(other_bq, lines).json()["facts"] == 9
            assert state(other_bq) == state(bq)
            assert not {fact["event_id"] for fact in other_bq.facts()} & {fact["event_id"] for fact in bq.facts()}

    def test_an_environment_with_facts_takes_none(self, bq: Project) -> None:
        with self._story(bq) as lines:
            check(import_lines(bq, lines), Code.NOT_EMPTY)
            assert len(bq.facts()) == 9

    def test_every_wrong_line_is_told_and_nothing_is_done(self, bq: Project) -> None:
        with self._story(bq) as lines:
            bq.post("/sandbox/reset", {})
            fact = next(line for line in lines if "fact" in line)
            other = next(line for line in reversed(lines) if "fact" in line)["fact"]
            wrong: list[Json] = [
                {"bq_export": 99, "bq_server": "9", "exported_at": "2026-04-10T12:00:00Z"},
                {"nothing": 1},
                fact,
                fact,
                {"fact": fact["fact"] | {"fact_type": "system.unheard_of"}},
                {"fact": fact["fact"] | {"occurred_at": "yesterday"}},
                {"game": {"badges": [{"code": "x"}]}},
                {"participant": {"participant_id": "", "created_at": "2026-04-10T12:00:00Z"}},
                {"fact": other | {"warnings": [{"x": 1}]}},
                {"fact": other | {"fact_type": "system.points_awarded", "properties": {"amount": -5}}},
                {"fact": other | {"fact_type": "system.timezone_changed", "properties": {"timezone": 5}}},
                {"fact": other, "participant": {}},
                {"fact": other, "junk": 1},
                {"fact": other | {"properties": nested(34)}},
            ]
            problem = check(import_lines(bq, wrong), Code.VALIDATION_FAILED)
            told = [each["field"].split(":")[0] for each in problem["errors"]]
            assert set(told) == {f"line {number}" for number in (1, 2, *range(4, 15))}
            assert bq.facts() == []
            assert bq.game()["game"]["points"][0]["code"] == "spend"

    @pytest.mark.parametrize("body", [b"", b"\n\n", b"{", b"[]", b"\xff"])
    def test_what_is_no_export_is_refused(self, bq: Project, body: bytes) -> None:
        headers = {"Content-Type": "application/x-ndjson"}
        check(bq.request("POST", "/sandbox/import", content=body, headers=headers), Code.VALIDATION_FAILED)

    def test_a_body_of_another_type_is_refused(self, bq: Project) -> None:
        headers = {"Content-Type": "text/plain"}
        check(bq.request("POST", "/sandbox/import", content=b"{}", headers=headers), Code.UNSUPPORTED_MEDIA_TYPE)

    def test_what_an_event_may_nest_can_be_carried(self, bq: Project) -> None:
        deepest = nested(32)
        assert bq.send_sync(event(properties=deepest)).status_code == 200
        about = {"participant_id": "user_123", "attributes": nested(31)}
        assert bq.post("/gamify/participants", about).is_success
        bq.post("/gamify/points/award", {"participant_id": "user_123", "amount": 1, "metadata": nested(30)})
        lines = export(bq)
        bq.post("/sandbox/reset", {})
        assert import_lines(bq, lines).json()["facts"] == 2
        assert without_ids(export(bq)) == without_ids(lines)

    def test_empty_lines_say_nothing(self, bq: Project) -> None:
        bq.send_sync(buy())
        text = bq.get("/sandbox/export").text
        bq.post("/sandbox/reset", {})
        content = "\n\r\n" + text.replace("\n", "\r\n\r\n")
        headers = {"Content-Type": "application/x-ndjson"}
        assert bq.request("POST", "/sandbox/import", content=content, headers=headers).json()["facts"] == 1


def nested(levels: int) -> Json:
    """Objects in objects."""
    found: Json = {}
    for _ in range(levels - 1):
        found = {"in": found}
    return found


def without_ids(lines: list[Json]) -> list[Json]:
    """An export but for its head and what is new with every import."""
    return [
        {"fact": {name: value for name, value in line["fact"].items() if name not in ("fact_id", "processed_at")}}
        if "fact" in line
        else line
        for line in lines[1:]
    ]


def test_verify_finds_nothing_after_all_this(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server, server.client() as client:
        client.put("/gamify/admin/game", json=GAME)
        for _ in range(2):
            client.post("/ingest/events/batch", json={"events": [buy(participant_id=f"u{n}") for n in range(50)]})
            lines = client.get("/sandbox/export").text
            client.post("/sandbox/reset", json={})
            imported = client.post("/sandbox/import", content=lines, headers={"Content-Type": "application/x-ndjson"})
            assert imported.json()["facts"] == 50
            client.post("/sandbox/reset", json={"game": False})
        client.post("/ingest/events/sync", json=buy())
        verified = run("verify", "--data-dir", str(data_dir))
        assert verified.returncode == 0, verified.stdout + verified.stderr
