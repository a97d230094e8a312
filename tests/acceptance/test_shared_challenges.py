"""Challenges that groups share, over the API."""

from typing import Any

from tests.support.client import Json, Project
from tests.support.game import act
from tests.support.sandbox import export, import_lines

SHARED: Json = {
    "code": "lake",
    "name": "Lake",
    "shared_by": "attributes.team",
    "objectives": [{"code": "km", "on": "act", "aggregate": "sum", "of": "properties.amount", "target": 10}],
    "milestones": [{"at": 0.5, "rewards": [{"points": 5}]}],
    "rewards": [{"points": 100}],
}


def join(bq: Project, team: str, *people: str) -> None:
    for who in people:
        answer = bq.post("/gamify/participants", {"participant_id": who, "attributes": {"team": team}})
        assert answer.status_code == 201, answer.text


def challenge(bq: Project, who: str) -> Json:
    (found,) = bq.participant(who, "/challenges")["challenges"]
    assert bq.participant(who, "/state", include="challenges")["challenges"] == [found]
    return dict(found)


def group(name: str, value: Any, members: int, contributed: Any) -> Json:
    return {"name": name, "value": value, "target": 10, "members": members, "contributed": contributed}


def told(bq: Project) -> list[tuple[str, float]]:
    facts = bq.facts(fact_type="system.shared_challenge_reached")
    return sorted((each["participant_id"], each["properties"]["at"]) for each in facts)


def test_each_who_took_part_is_given_what_the_group_reaches(bq: Project) -> None:
    bq.apply({"challenges": [SHARED]})
    join(bq, "red", "ada", "bob", "cid")
    bq.send_sync(act("ada", amount=2.5))
    bq.send_sync(act("bob", amount=2.25))
    found = challenge(bq, "cid")
    assert (found["progress"], found["objectives"][0]["value"]) == (0.475, 4.75)
    assert found["group"] == group("red", 4.75, 2, 0)
    bq.send_sync(act("ada", amount=0.5))
    bq.drain()
    assert told(bq) == [("ada", 0.5), ("bob", 0.5)]
    bq.send_sync(act("bob", amount=5))
    bq.drain()
    assert told(bq) == [("ada", 0.5), ("ada", 1), ("bob", 0.5), ("bob", 1)]
    assert [bq.balance(who) for who in ("ada", "bob", "cid")] == [105, 105, 0]
    assert (challenge(bq, "ada")["status"], challenge(bq, "cid")["status"]) == ("completed", "active")
    bq.send_sync(act("cid", amount=0.5))
    bq.drain()
    assert challenge(bq, "cid")["group"] == group("red", 10.75, 3, 0.5)
    ranking = bq.get("/gamify/challenges/lake/leaderboard").json()
    assert {(each["participant_id"], each["progress"]) for each in ranking["entries"]} == {
        ("ada", 1),
        ("bob", 1),
        ("cid", 1),
    }
    bq.send_sync(act("eve", amount=50))  # of no group
    assert "group" not in challenge(bq, "eve")


def test_an_event_says_what_it_would_add(bq: Project) -> None:
    bq.apply({"challenges": [SHARED]})
    join(bq, "red", "ada")
    rehearsed = bq.told(act("ada", amount=20), dry_run="true")
    assert [(each["definition"], each["verdict"], each["message"]) for each in rehearsed["definitions"]] == [
        ("challenge/lake", "matched", "adds to what red shares, 20 by this participant so far")
    ]
    assert rehearsed["effects"] == []
    assert told(bq) == []


def test_a_member_who_is_erased_no_longer_counts_and_one_who_is_exported_sees_what_was_added(bq: Project) -> None:
    bq.apply({"challenges": [SHARED]})
    join(bq, "red", "ada", "bob")
    for who, amount in (("ada", 5), ("bob", 2)):
        bq.send_sync(act(who, amount=amount))
    bq.drain()
    kept = bq.post("/admin/participants/export", {"participant_id": "ada"}).json()
    assert [(each["board"], each["team"], each["score"]) for each in kept["places"] if "team" in each] == [
        ("challenge/lake", "red", 5)
    ]
    assert kept["state"]["challenges"][0]["group"] == group("red", 7, 2, 5)
    assert bq.post("/admin/participants/erase", {"participant_id": "ada", "clean_up": False}).status_code == 200
    assert challenge(bq, "bob")["group"] == group("red", 2, 1, 2)
    assert (bq.balance("bob"), challenge(bq, "bob")["progress"]) == (5, 0.5)


def test_an_import_pays_nothing_twice(bq: Project) -> None:
    bq.apply({"challenges": [SHARED]})
    join(bq, "red", "ada", "bob")
    for who, amount in (("ada", 5), ("bob", 2), ("ada", 3)):
        bq.send(act(who, amount=amount))
    bq.drain()
    lines = export(bq)
    assert {who for who, _ in told(bq)} == {"ada", "bob"}
    assert bq.post("/sandbox/reset", {}).status_code == 200
    assert import_lines(bq, lines).status_code == 200
    bq.drain()
    assert [bq.balance(who) for who in ("ada", "bob")] == [105, 105]
    assert challenge(bq, "bob")["group"] == group("red", 10, 2, 2)
