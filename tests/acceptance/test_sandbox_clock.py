"""The clock of a test environment: set, moved ahead, given back."""

from pathlib import Path

import pytest

from bq_server.refusals import Code
from tests.support.client import Project
from tests.support.problems import check
from tests.support.process import ServerProcess, until
from tests.support.sandbox import GAME, advance, buy, set_clock, state


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
