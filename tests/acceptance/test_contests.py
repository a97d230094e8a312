"""Contests: entered, scored from facts, frozen once, with prizes by rank; in the vendor's shapes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from httpx import Response

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check
from tests.support.process import until

GAME: Json = {
    "points": [{"code": "pay", "on": "pay", "award": "properties.amount"}],
    "badges": [{"code": "champion", "name": "Champion"}],
    "leaderboards": [{"code": "top", "name": "Top", "metric": "points"}],
    "contests": [
        {
            "code": "spring",
            "name": "Spring race",
            "description": "Buy.",
            "starts_at": "2026-04-01T00:00:00Z",
            "ends_at": "2026-04-03T00:00:00Z",
            "freeze_after": "PT1H",
            "scoring": {"on": "sale", "aggregate": "sum", "of": "properties.amount"},
            "prizes": [
                {"rank_from": 2, "rank_to": 3, "points": 10},
                {"rank_from": 1, "rank_to": 1, "points": 100, "badge": "champion"},
            ],
        }
    ],
}
START, END, FROZEN = "2026-04-01T09:00:00Z", "2026-04-03T00:00:00Z", "2026-04-03T01:00:00Z"


@pytest.fixture(autouse=True)
def _game(bq: Project) -> None:
    clock(bq, START)
    bq.apply(GAME)


def clock(bq: Project, moment: str) -> None:
    assert bq.request("PUT", "/sandbox/clock", json={"now": moment}).status_code == 200


def enter(bq: Project, who: str, **more: str) -> Response:
    return bq.post("/contests/spring/enter", {"participant_id": who, **more})


def sell(bq: Project, who: str, amount: float, at: str = START) -> None:
    bq.told(event("sale", who, properties={"amount": amount}, timestamp=at))


def leaders(bq: Project) -> list[tuple[int, str, float]]:
    answer = bq.get("/contests/spring/leaderboard/public").json()
    return [(each["rank"], each["display_name"], each["score"]) for each in answer["entries"]]


def status(bq: Project) -> str:
    found: str = bq.get("/contests/spring").json()["status"]
    return found


def test_the_vendors_shapes(bq: Project) -> None:
    """Vendor notes, 1.12, and 2.12 for the label: every field that they name, under its name."""
    entered = enter(bq, "ada", display_name="Ada L.")
    assert entered.status_code == 200, entered.text
    entry = entered.json()
    assert entry.keys() == {"entry_id", "contest_id", "participant_id", "entered_at", "score", "rank"}
    assert (entry["contest_id"], entry["participant_id"], entry["entered_at"]) == ("spring", "ada", START)
    assert (entry["score"], entry["rank"]) == (0, None)
    assert enter(bq, "ada").json() == entry, "a repeat returns the same entry"
    assert bq.get("/contests/spring/me", participant_id="ada").json() == entry

    (active,) = bq.get("/contests/active").json()["contests"]
    told = {"id": "spring", "name": "Spring race", "description": "Buy.", "status": "active", "entry_count": 1}
    dates = {"starts_at": "2026-04-01T00:00:00Z", "ends_at": END}
    assert active == {**told, **dates, "scoring_method": "cumulative"}
    assert bq.get("/contests/spring").json() == active

    sell(bq, "ada", 2.5)
    ranking = bq.get("/contests/spring/leaderboard/public", limit=5).json()
    place = {"rank": 1, "display_name": "Ada L.", "score": 2.5, "last_scored_at": START}
    assert ranking == {
        "entries": [place],
        "total_entries": 1,
        "updated_at": START,
        "consistency_label": "realtime_estimated",
    }
    prizes = bq.get("/contests/spring/prizes").json()
    first = {"rank_from": 1, "rank_to": 1, "points": 100, "badge": "champion"}
    assert prizes == {
        "contest_id": "spring",
        "prizes": [first, {"rank_from": 2, "rank_to": 3, "points": 10, "badge": None}],
    }


def test_it_is_frozen_once_and_pays_once(bq: Project) -> None:
    for who, amount in (("ada", 1), ("bob", 3), ("cyd", 3), ("dan", 0.5)):
        enter(bq, who)
        sell(bq, who, amount)
    sell(bq, "eve", 1000)
    clock(bq, END)
    bq.drain()
    assert status(bq) == "scoring"
    sell(bq, "ada", 1, "2026-04-02T12:00:00Z")
    clock(bq, FROZEN)
    assert status(bq) == "completed"
    result = [(1, "bob", 3), (2, "cyd", 3), (3, "ada", 2), (4, "dan", 0.5)]
    assert leaders(bq) == result
    sell(bq, "dan", 500, "2026-04-02T13:00:00Z")
    for moment in (FROZEN, START, "2026-05-01T00:00:00Z"):
        clock(bq, moment)
        bq.drain()
        assert leaders(bq) == result
    assert [bq.balance(who) for who in ("bob", "cyd", "ada", "dan")] == [100, 10, 10, 0]
    assert [each["code"] for each in bq.participant("bob", "/badges", earned_only="true")["badges"]] == ["champion"]
    placed = bq.facts(fact_type="system.contest_placed")
    assert sorted(each["participant_id"] for each in placed) == ["ada", "bob", "cyd", "dan"]
    assert {each["occurred_at"] for each in placed} == {END}
    me = bq.get("/contests/spring/me", participant_id="dan").json()
    assert (me["score"], me["rank"]) == (0.5, 4)
    ranking = bq.get("/contests/spring/leaderboard/public", limit=1).json()
    assert (len(ranking["entries"]), ranking["total_entries"], ranking["consistency_label"]) == (1, 4, "final_verified")
    assert bq.get("/contests/active").json() == {"contests": []}
    assert bq.get("/gamify/leaderboards/top").json()["entries"][0]["participant_id"] == "bob", "prizes are points"


def test_many_at_once_have_one_result(bq: Project) -> None:
    """More than a page of places; the clock is moved and drained from several sides at once."""
    people = [f"p{number:03}" for number in range(120)]
    for start in range(0, len(people), 60):
        events = [
            event("sale", who, properties={"amount": 1 + people.index(who)}) for who in people[start : start + 60]
        ]
        for each in events:
            each["timestamp"] = START
        assert bq.send_batch(events).status_code == 202
    bq.drain()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda who: until(f"{who} has entered", lambda: enter(bq, who).status_code == 200), people))

    def end(_: int) -> None:
        clock(bq, FROZEN)
        bq.drain()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(end, range(4)))
    placed = bq.facts(fact_type="system.contest_placed")
    ranks = {each["participant_id"]: each["properties"]["rank"] for each in placed}
    assert len(placed) == len(ranks) == 120
    assert ranks == {who: 120 - place for place, who in enumerate(people)}


def test_who_may_enter_and_when(bq: Project) -> None:
    check(bq.post("/contests/autumn/enter", {"participant_id": "ada"}), Code.NOT_FOUND)
    check(bq.get("/contests/spring/me", participant_id="ada"), Code.NOT_FOUND)
    problem = check(bq.get("/contests/spring/me"), Code.VALIDATION_FAILED)
    assert problem["errors"][0]["field"] == "participant_id"
    clock(bq, "2026-03-01T00:00:00Z")
    assert status(bq) == "scheduled"
    assert enter(bq, "early").status_code == 200
    clock(bq, END)
    for who in ("late", "later"):
        problem = check(enter(bq, who), Code.VALIDATION_FAILED)
        assert (problem["errors"][0]["field"], problem["errors"][0]["code"]) == ("contest_id", "contest_over")
    assert enter(bq, "early").status_code == 200, "a repeat is no entry"
    assert bq.facts(participant_id="late") == []


def test_an_entry_counts_what_came_before_it(bq: Project) -> None:
    sell(bq, "ada", 3)
    sell(bq, "ada", 50, "2026-03-31T00:00:00Z")
    assert leaders(bq) == []
    entry = enter(bq, "ada").json()
    assert (entry["score"], entry["rank"]) == (3, 1)
    sell(bq, "ada", -1)
    assert leaders(bq) == [(1, "ada", 2)]


def test_a_dry_run_says_why_it_does_not_count(bq: Project) -> None:
    sale = event("sale", "ada", properties={"amount": 3}, timestamp=START)

    def verdict(**more: str) -> str:
        told = bq.told({**sale, **more}, dry_run="true")["definitions"]
        found: str = next(each["verdict"] for each in told if each["definition"] == "contest/spring")
        return found

    assert verdict() == "not_enrolled"
    enter(bq, "ada")
    assert verdict() == "matched"
    assert verdict(timestamp=END) == "outside_window"
    assert leaders(bq) == [(1, "ada", 0)]


def test_an_export_brings_the_result_along(bq: Project, other_bq: Project) -> None:
    for who, amount in (("ada", 1), ("bob", 3)):
        enter(bq, who)
        sell(bq, who, amount)
    clock(bq, FROZEN)
    result = leaders(bq)
    exported = bq.get("/sandbox/export")
    for _ in range(2):
        clock(other_bq, "2026-06-01T00:00:00Z")
        lines = {"Content-Type": "application/x-ndjson"}
        imported = other_bq.request("POST", "/sandbox/import", content=exported.content, headers=lines)
        assert imported.status_code == 200, imported.text
        other_bq.drain()
        assert leaders(other_bq) == result
        assert status(other_bq) == "completed"
        assert [other_bq.balance(who) for who in ("ada", "bob")] == [10, 100]
        assert len(other_bq.facts(fact_type="system.contest_placed")) == 2
        assert other_bq.post("/sandbox/reset", {}).status_code == 200


def test_after_a_reset_it_is_held_again(bq: Project) -> None:
    for _ in range(2):
        clock(bq, START)
        assert status(bq) == "active"
        enter(bq, "ada")
        sell(bq, "ada", 3)
        clock(bq, FROZEN)
        assert leaders(bq) == [(1, "ada", 3)]
        assert bq.balance("ada") == 100
        assert bq.post("/sandbox/reset", {"game": False}).status_code == 200


def test_a_changed_contest_is_counted_anew_until_it_is_frozen(bq: Project) -> None:
    enter(bq, "ada")
    sell(bq, "ada", 3)
    sell(bq, "ada", 4)
    contest = GAME["contests"][0]
    counted = {**contest, "scoring": {"on": "sale"}, "ends_at": "2026-04-10T00:00:00Z"}
    bq.apply({**GAME, "contests": [counted]})
    assert leaders(bq) == [(1, "ada", 2)]
    clock(bq, FROZEN)
    assert status(bq) == "active"
    clock(bq, "2026-04-10T01:00:00Z")
    assert (status(bq), bq.balance("ada")) == ("completed", 100)
    bq.apply(GAME)
    bq.drain()
    assert (status(bq), leaders(bq), bq.balance("ada")) == ("completed", [(1, "ada", 2)], 100)


def test_an_erased_person_has_no_place(bq: Project) -> None:
    for who, amount in (("ada", 1), ("bob", 3)):
        enter(bq, who, display_name=f"{who} the great")
        sell(bq, who, amount)
    clock(bq, FROZEN)
    erased = bq.post("/admin/participants/erase", {"participant_id": "bob", "clean_up": False})
    assert erased.status_code == 200, erased.text
    assert leaders(bq) == [(2, "ada the great", 1)]


def test_what_the_document_may_say(bq: Project) -> None:
    contest = GAME["contests"][0]

    def refused(**more: object) -> str:
        answer = bq.put_game({**GAME, "contests": [{**contest, **more}]})
        return str(check(answer, Code.VALIDATION_FAILED)["errors"])

    two = [{"rank_from": 1, "rank_to": 5, "points": 1}, {"rank_from": 5, "rank_to": 6, "points": 1}]
    assert "rank 5 has two prizes" in refused(prizes=two)
    assert "rank_from must not be behind rank_to" in refused(prizes=[{"rank_from": 2, "rank_to": 1, "points": 1}])
    assert "give points, a badge or both" in refused(prizes=[{"rank_from": 1, "rank_to": 1}])
    assert "there is no badge gold" in refused(prizes=[{"rank_from": 1, "rank_to": 1, "badge": "gold"}])
    assert "starts_at must be before ends_at" in refused(ends_at="2026-01-01T00:00:00Z")
    assert "at most P31D" in refused(freeze_after="P32D")
    assert "scoring" in refused(scoring={"on": "sale", "aggregate": "max", "of": "properties.amount"})


def test_a_void_place_gives_its_prize_back_and_nobody_moves_up(bq: Project) -> None:
    for who, amount in (("ada", 1), ("bob", 3)):
        enter(bq, who)
        sell(bq, who, amount)
    clock(bq, FROZEN)
    sell(bq, "ada", 9, "2026-04-02T00:00:00Z")
    place = next(each for each in bq.facts(fact_type="system.contest_placed") if each["participant_id"] == "ada")
    assert bq.post(f"/facts/{place['fact_id']}/void", {"reason": "cheated"}).status_code == 200
    assert leaders(bq) == [(1, "bob", 3)]
    assert bq.balance("ada") == 0
