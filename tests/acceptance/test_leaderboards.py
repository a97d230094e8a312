"""Leaderboards over the API."""

from typing import Any

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project
from tests.support.game import (
    act,
    ago,
    paying,
)
from tests.support.problems import check

# Leaderboards


WINDOWS = ["weekly", "daily", "monthly", "yearly", "all_time"]


def boards(*windows: str, **metric: Any) -> Json:
    measured = {"on": "act", "aggregate": "sum", "of": "properties.amount"} | metric
    return {"leaderboards": [{"code": "top", "name": "Top", "metric": measured, "window": list(windows)}]}


def places(bq: Project, **query: Any) -> list[tuple[int, str, float]]:
    ranking = bq.get("/gamify/leaderboards/top", **query).json()
    return [(entry["rank"], entry["participant_id"], entry["score"]) for entry in ranking["entries"]]


def test_a_leaderboard_counts_what_happened_in_the_window_that_is_now(bq: Project) -> None:
    bq.apply(boards(*WINDOWS))
    bq.send_sync(act("ada", amount=10))
    bq.send_sync(act("bob", amount=5.5))
    bq.send_sync(act("bob", amount=7))
    bq.send_sync(act("ada", ago(days=370), amount=100))
    for window in WINDOWS[:-1]:
        assert places(bq, period=window) == [(1, "bob", 12.5), (2, "ada", 10)]
    assert places(bq, period="all_time") == [(1, "ada", 110), (2, "bob", 12.5)]
    answer = bq.get("/gamify/leaderboards/top").json()
    assert (answer["leaderboard_code"], answer["period"], answer["total_participants"]) == ("top", "weekly", 2)
    assert places(bq, limit=1) == [(1, "bob", 12.5)]
    assert bq.participant("ada", "/state", include="leaderboards")["leaderboards"] == [
        {"leaderboard_code": "top", "period": "weekly", "score": 10, "rank": 2}
    ]


def test_among_equals_who_reached_the_score_first_stands_first(bq: Project) -> None:
    bq.apply(boards("all_time"))
    for who, at in (("ada", 3), ("bob", 1), ("cid", 2), ("eve", 9)):
        bq.send_sync(act(who, f"2026-03-0{at}T00:00:00Z", amount=5))
    bq.send_sync(act("eve", "2026-03-01T00:00:00Z", amount=1))
    assert [who for _, who, _ in places(bq)] == ["eve", "bob", "cid", "ada"]
    rank = bq.get("/gamify/leaderboards/top/rank/cid").json()
    assert rank == {"participant_id": "cid", "rank": 3, "score": 5, "total_participants": 4, "percentile": 25.0}


def test_a_rank_tells_how_it_changed_since_the_window_before(bq: Project) -> None:
    bq.apply(boards("weekly"))
    for who, amount in (("ada", 3), ("bob", 2), ("cid", 1)):
        bq.send_sync(act(who, ago(days=7), amount=amount))
    for who, amount in (("ada", 10), ("bob", 30), ("cid", 5), ("new", 20)):
        bq.send_sync(act(who, amount=amount))
    entries = bq.get("/gamify/leaderboards/top").json()["entries"]
    assert [(entry["participant_id"], entry["change"]) for entry in entries] == [
        ("bob", "up"),
        ("new", "new"),
        ("ada", "down"),
        ("cid", "down"),
    ]
    bq.send_sync(act("ada", amount=100))
    assert bq.get("/gamify/leaderboards/top", limit=1).json()["entries"][0]["change"] == "same"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"period": "hourly"}, "period"),
        ({"period": "daily"}, "period"),
        ({"page": 2}, "page"),
    ],
)
def test_a_leaderboard_refuses_what_it_cannot_tell(bq: Project, query: Json, field: str) -> None:
    bq.apply(boards("weekly"))
    problem = check(bq.get("/gamify/leaderboards/top", **query), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_what_is_not_on_a_leaderboard_is_not_found(bq: Project) -> None:
    bq.apply(boards("weekly", "all_time"))
    bq.send_sync(act("a/b c", ago(days=30), amount=1))
    check(bq.get("/gamify/leaderboards/none"), Code.NOT_FOUND)
    check(bq.get("/gamify/leaderboards/none/rank/ada"), Code.NOT_FOUND)
    check(bq.get("/gamify/leaderboards/top/rank/ada"), Code.NOT_FOUND)
    check(bq.get("/gamify/leaderboards/top/rank/a%2Fb%20c"), Code.NOT_FOUND)
    found = bq.get("/gamify/leaderboards/top/rank/a%2Fb%20c", period="all_time").json()
    assert (found["participant_id"], found["rank"]) == ("a/b c", 1)


def test_a_points_leaderboard_counts_what_was_earned(bq: Project) -> None:
    board = {"code": "top", "name": "Top", "metric": "points", "window": WINDOWS}
    bq.apply({"points": [paying(10)], "leaderboards": [board]})
    for who in ("ada", "bob", "bob"):
        bq.send_sync(act(who))
    bq.post("/gamify/points/award", {"participant_id": "ada", "amount": 15})
    bq.post("/gamify/points/deduct", {"participant_id": "ada", "amount": 20})
    for window in WINDOWS:
        assert places(bq, period=window) == [(1, "ada", 25), (2, "bob", 20)]


def test_a_changed_leaderboard_holds_nothing_of_what_it_was(bq: Project) -> None:
    bq.apply(boards("all_time"))
    for who, amount in (("ada", 10), ("bob", 1), ("bob", 2)):
        bq.send_sync(act(who, amount=amount))
    bq.apply(boards("all_time", aggregate="max"))
    assert places(bq) == [(1, "ada", 10), (2, "bob", 2)]
    bq.apply(boards("all_time", when="properties.amount < 5.0"))
    assert places(bq) == [(1, "bob", 3)]


def test_a_period_of_the_past_is_asked_for_by_its_name(bq: Project) -> None:
    bq.apply(boards(*WINDOWS))
    for day, amount in (("2026-03-01", 3), ("2026-03-02", 5), ("2025-12-29", 7)):
        bq.send_sync(act("ada", f"{day}T12:00:00Z", amount=amount))
    for period, window, score in (
        ("2026-03-02", "daily", 5),
        ("2026-W09", "weekly", 3),
        ("2026-W01", "weekly", 7),  # of the ISO year
        ("2026-03", "monthly", 8),
        ("2026", "yearly", 8),
        ("2025", "yearly", 7),
    ):
        answer = bq.get("/gamify/leaderboards/top", period=period).json()
        assert (answer["period"], answer["period_key"], answer["entries"][0]["score"]) == (window, period, score)
        assert bq.get("/gamify/leaderboards/top/rank/ada", period=period).json()["score"] == score
    assert places(bq, period="2026-04") == []


def test_pages_lead_to_any_rank_and_stay_in_their_period(bq: Project) -> None:
    bq.apply(boards("weekly", "all_time"))
    for number in range(25):
        bq.send_sync(act(f"p{number:02}", amount=number // 2))
    seen, query = [], {"limit": 10, "period": "all_time"}
    while True:
        page = bq.get("/gamify/leaderboards/top", **query).json()
        seen += [(entry["rank"], entry["participant_id"]) for entry in page["entries"]]
        if page["next_cursor"] is None:
            break
        query = {"limit": 10, "cursor": page["next_cursor"]}
        assert page["total_participants"] == 25
    assert seen == list(enumerate([who for _, who, _ in places(bq, limit=100)], 1))
    # Whoever is gone meanwhile is still a place to go on from.
    first = bq.get("/gamify/leaderboards/top", limit=3).json()
    bq.send_sync(act(first["entries"][-1]["participant_id"], amount=100))
    after = bq.get("/gamify/leaderboards/top", limit=2, cursor=first["next_cursor"]).json()
    assert [entry["rank"] for entry in after["entries"]] == [4, 5]
    assert [entry["participant_id"] for entry in after["entries"]] == [who for _, who in seen[3:5]]


@pytest.mark.parametrize("cursor", ["x", "WyJ3Il0", "W10", "IiI"])
def test_a_cursor_of_nowhere_is_refused(bq: Project, cursor: str) -> None:
    bq.apply(boards("weekly", "daily"))
    problem = check(bq.get("/gamify/leaderboards/top", cursor=cursor), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == ["cursor"]


def test_a_cursor_of_another_window_is_refused(bq: Project) -> None:
    bq.apply(boards("weekly", "daily"))
    for who in ("ada", "bob"):
        bq.send_sync(act(who, amount=1))
    cursor = bq.get("/gamify/leaderboards/top", limit=1).json()["next_cursor"]
    assert len(bq.get("/gamify/leaderboards/top", cursor=cursor).json()["entries"]) == 1
    problem = check(bq.get("/gamify/leaderboards/top", cursor=cursor, period="daily"), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == ["cursor"]


def test_the_nearest_above_and_below(bq: Project) -> None:
    bq.apply(boards("weekly", "all_time"))
    for number in range(9):
        bq.send_sync(act(f"p{number}", amount=number))
    near = bq.get("/gamify/leaderboards/top/around/p5", n=2).json()
    assert [(entry["rank"], entry["participant_id"]) for entry in near["entries"]] == [
        (2, "p7"),
        (3, "p6"),
        (4, "p5"),
        (5, "p4"),
        (6, "p3"),
    ]
    assert near["total_participants"] == 9
    assert [entry["change"] for entry in near["entries"]] == ["new"] * 5
    assert len(bq.get("/gamify/leaderboards/top/around/p8").json()["entries"]) == 6
    assert len(bq.get("/gamify/leaderboards/top/around/p0", n=0).json()["entries"]) == 1
    check(bq.get("/gamify/leaderboards/top/around/nobody"), Code.NOT_FOUND)
    check(bq.get("/gamify/leaderboards/none/around/p1"), Code.NOT_FOUND)
    check(bq.get("/gamify/leaderboards/top/around/p1", n=51), Code.VALIDATION_FAILED)


def test_a_hidden_participant_has_no_place_until_shown_again(bq: Project) -> None:
    bq.apply(boards("weekly", "all_time"))
    for who, amount in (("bot", 9), ("ada", 5)):
        bq.send_sync(act(who, amount=amount))
    answer = bq.post("/admin/participants/visibility", {"participant_id": "bot", "hidden": True, "reason": "a bot"})
    assert answer.json() | {"since": None} == {"participant_id": "bot", "hidden": True, "since": None}
    assert places(bq) == [(1, "ada", 5)]
    check(bq.get("/gamify/leaderboards/top/rank/bot"), Code.NOT_FOUND)
    assert bq.participant("bot", "/state", include="leaderboards")["leaderboards"] == []
    assert bq.participant("bot", "")["is_hidden"] is True
    again = bq.post("/admin/participants/visibility", {"participant_id": "bot", "hidden": True}).json()
    assert again == answer.json()
    facts = bq.get("/facts", fact_type="system.visibility_changed").json()["facts"]
    assert [fact["properties"] for fact in facts] == [{"hidden": True, "reason": "a bot"}]
    kept = bq.get("/admin/audit-log", action="participant_hidden").json()["entries"]
    assert [entry["about"]["fact_id"] for entry in kept] == [facts[0]["fact_id"]]
    bq.post("/admin/participants/visibility", {"participant_id": "bot", "hidden": False})
    assert places(bq) == [(1, "bot", 9), (2, "ada", 5)]
    never = bq.post("/admin/participants/visibility", {"participant_id": "ada", "hidden": False}).json()
    assert never == {"participant_id": "ada", "hidden": False, "since": None}
    check(bq.post("/admin/participants/visibility", {"participant_id": "eve", "hidden": True}), Code.NOT_FOUND)
