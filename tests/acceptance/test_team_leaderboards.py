"""Leaderboards of teams over the API."""

from typing import Any

from bq_server.refusals import Code
from tests.support.client import Json, Project
from tests.support.game import act, ago, paying
from tests.support.problems import check

BOARD: Json = {
    "code": "top",
    "name": "Top",
    "metric": {"on": "act", "aggregate": "sum", "of": "properties.amount"},
    "window": ["all_time", "weekly"],
    "group_by": "attributes.team",
}


def join(bq: Project, team: object, *people: str) -> None:
    for who in people:
        answer = bq.post("/gamify/participants", {"participant_id": who, "attributes": {"team": team}})
        assert answer.status_code == 201, answer.text


def places(bq: Project, code: str = "top", **query: Any) -> list[tuple[int, str, float, int]]:
    entries = bq.get(f"/gamify/leaderboards/{code}", **query).json()["entries"]
    return [(each["rank"], each["participant_id"], each["score"], each["members"]) for each in entries]


def rank(bq: Project, who: str, **query: Any) -> Json:
    return dict(bq.get(f"/gamify/leaderboards/top/rank/{who}", **query).json())


def test_teams_are_ranked_and_found_by_their_members(bq: Project) -> None:
    bq.apply({"leaderboards": [BOARD]})
    join(bq, "red", "ada", "bob")
    join(bq, "blue", "cid")
    join(bq, "green", "dan")
    for who, amount in (("ada", 1), ("bob", 2.5), ("cid", 3), ("dan", 0.5), ("eve", 100)):
        bq.send_sync(act(who, amount=amount))
    assert places(bq) == [(1, "red", 3.5, 2), (2, "blue", 3, 1), (3, "green", 0.5, 1)]
    answer = bq.get("/gamify/leaderboards/top", limit=2).json()
    assert (answer["group_by"], answer["total_participants"], len(answer["entries"])) == ("attributes.team", 3, 2)
    assert places(bq, cursor=answer["next_cursor"]) == [(3, "green", 0.5, 1)]
    assert rank(bq, "ada") == {
        "participant_id": "ada",
        "team": "red",
        "rank": 1,
        "score": 3.5,
        "total_participants": 3,
        "percentile": 66.6,
    }
    near = bq.get("/gamify/leaderboards/top/around/cid", n=1).json()
    assert [(each["rank"], each["participant_id"]) for each in near["entries"]] == [
        (1, "red"),
        (2, "blue"),
        (3, "green"),
    ]
    assert near["group_by"] == "attributes.team"
    assert bq.participant("bob", "/state", include="leaderboards")["leaderboards"] == [
        {"leaderboard_code": "top", "period": "all_time", "team": "red", "score": 3.5, "rank": 1}
    ]
    # Who is of no team has no place, and neither has a team that nobody scored for.
    join(bq, "new", "fay")
    for who, says in (("eve", "eve is of no team"), ("nobody", "nobody is of no team"), ("fay", "new has no place")):
        for path in ("rank", "around"):
            problem = check(bq.get(f"/gamify/leaderboards/top/{path}/{who}"), Code.NOT_FOUND)
            assert problem["detail"].startswith(says)
    assert bq.participant("eve", "/state", include="leaderboards")["leaderboards"] == []


def test_who_changes_teams_takes_along_what_is_still_to_come(bq: Project) -> None:
    bq.apply({"leaderboards": [BOARD]})
    join(bq, "red", "ada")
    bq.send_sync(act("ada", amount=5))
    join(bq, "blue", "ada")
    assert check(bq.get("/gamify/leaderboards/top/rank/ada"), Code.NOT_FOUND)["detail"].startswith("blue has no place")
    caused = bq.send_sync(act("ada", amount=2)).json()
    assert places(bq) == [(1, "red", 5, 1), (2, "blue", 2, 1)]
    assert (rank(bq, "ada")["team"], rank(bq, "ada")["rank"]) == ("blue", 2)
    told = bq.told(act("ada", amount=2), include="effects")["effects"]
    assert {(each["team"], each["score"]) for each in told if each["type"] == "leaderboard"} == {("blue", 4)}
    assert caused["fact_id"]


def test_points_are_of_the_team_of_their_moment(bq: Project) -> None:
    board = {"code": "top", "name": "Top", "metric": "points", "group_by": "attributes.team", "combine": "mean"}
    bq.apply({"points": [paying(10)], "leaderboards": [board]})
    join(bq, "red", "ada", "bob", "cid")
    for who in ("ada", "bob", "bob"):
        bq.send_sync(act(who))
    bq.send_sync(act("ada", ago(days=3)))  # before she was of any team
    bq.post("/gamify/points/award", {"participant_id": "ada", "amount": 5})
    assert places(bq) == [(1, "red", 17.5, 2)]


def test_a_member_who_is_erased_or_hidden_no_longer_counts(bq: Project) -> None:
    bq.apply({"leaderboards": [BOARD, {**BOARD, "code": "best", "combine": "best"}]})
    join(bq, "red", "ada", "bob")
    for who, amount in (("ada", 5), ("bob", 2)):
        bq.send_sync(act(who, amount=amount))
    hide = {"participant_id": "ada", "hidden": True}
    assert bq.post("/admin/participants/visibility", hide).status_code == 200
    assert places(bq) == places(bq, "best") == [(1, "red", 2, 1)]
    assert bq.post("/admin/participants/visibility", {**hide, "hidden": False}).status_code == 200
    assert places(bq, "best") == [(1, "red", 5, 2)]
    told = bq.post("/admin/participants/export", {"participant_id": "ada"}).json()["places"]
    assert {(each["board"], each["window"], each["team"], each["score"]) for each in told} == {
        (f"leaderboard/{code}", window, "red", 5) for code in ("top", "best") for window in ("all_time", "weekly")
    }
    assert bq.post("/admin/participants/erase", {"participant_id": "ada", "clean_up": False}).status_code == 200
    assert places(bq) == places(bq, "best") == [(1, "red", 2, 1)]


def test_a_leaderboard_that_is_gone_or_ranks_participants_leaves_no_teams(bq: Project) -> None:
    alone = {name: each for name, each in BOARD.items() if name != "group_by"}
    bq.apply({"leaderboards": [BOARD]})
    join(bq, "red", "ada")
    bq.send_sync(act("ada", amount=5))
    bq.apply({"leaderboards": [alone]})
    answer = bq.get("/gamify/leaderboards/top").json()
    assert ("group_by" in answer, [(each["participant_id"], "members" in each) for each in answer["entries"]]) == (
        False,
        [("ada", False)],
    )
    bq.apply({"leaderboards": []})
    bq.apply({"leaderboards": [BOARD]}, backfill="true")
    assert places(bq) == [(1, "red", 5, 1)]
