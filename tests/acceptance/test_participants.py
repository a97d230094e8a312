"""Participants: who they are, and what of them can be read."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check

PROFILE = {
    "participant_id",
    "display_name",
    "avatar_url",
    "attributes",
    "points",
    "tier",
    "badges",
    "streaks",
    "rewards_claimed",
    "total_events",
    "is_active",
    "is_hidden",
    "aliases",
    "created_at",
}
SECTIONS = ["points", "tier", "badges", "streaks", "challenges", "leaderboards", "rewards"]
PARTS = ["", "/state", "/points", "/points/transactions", "/badges", "/streaks", "/tier", "/challenges"]
BADGES = [
    {"code": "b", "name": "B", "criteria": {"on": "act", "target": 2}, "display_order": 2},
    {
        "code": "a",
        "name": "A",
        "description": "The first",
        "icon_url": "a.svg",
        "category": "starts",
        "rarity": "rare",
        "criteria": {"on": "act", "target": 1},
        "display_order": 1,
    },
    {"code": "c", "name": "C", "display_order": 3},
]


def create(bq: Project, **more: Any) -> Json:
    answer = bq.post("/gamify/participants", {"participant_id": "ada", **more})
    assert answer.status_code == 201, answer.text
    created: Json = answer.json()
    return created


def edit(bq: Project, **changes: Any) -> Json:
    answer = bq.request("PATCH", "/gamify/participants/ada", json=changes)
    assert answer.status_code == 200, answer.text
    edited: Json = answer.json()
    return edited


def test_a_participant_is_created_once_and_edited_by_creating_again(bq: Project) -> None:
    first = create(bq, display_name="Ada", avatar_url="https://img.example/a.png", attributes={"team": "blue"})
    assert first.keys() == PROFILE
    assert first == {
        "participant_id": "ada",
        "display_name": "Ada",
        "avatar_url": "https://img.example/a.png",
        "attributes": {"team": "blue"},
        "points": {"balance": 0, "total_earned": 0, "total_spent": 0, "total_expired": 0, "owed": 0},
        "tier": first["tier"],
        "badges": [],
        "streaks": None,
        "rewards_claimed": 0,
        "total_events": 0,
        "is_active": True,
        "is_hidden": False,
        "aliases": [],
        "created_at": first["created_at"],
    }
    assert create(bq) == first, "what is left out stays"
    assert create(bq, display_name="Ada L.") == first | {"display_name": "Ada L."}
    assert bq.participant("ada") == first | {"display_name": "Ada L."}


def test_a_patch_is_merged(bq: Project) -> None:
    create(bq, display_name="Ada", attributes={"team": "blue", "level": 3, "deep": {"a": 1, "b": [1, 2]}})
    edited = edit(bq, attributes={"level": None, "deep": {"b": [3], "c": None}, "new": {"x": None, "y": 1}})
    assert edited["attributes"] == {"team": "blue", "deep": {"a": 1, "b": [3]}, "new": {"y": 1}}
    assert edited["display_name"] == "Ada"
    assert edit(bq, display_name=None)["display_name"] is None
    assert edit(bq) == bq.participant("ada")


def told(bq: Project) -> list[Json]:
    facts = bq.get("/facts", participant_id="ada", fact_type="system.attributes_changed").json()["facts"]
    return [fact["properties"] for fact in facts]


def test_a_change_of_attributes_is_a_fact_and_what_changes_nothing_is_none(bq: Project) -> None:
    create(bq, attributes={"team": "blue", "level": 3})
    edit(bq, attributes={"team": "blue", "size": None})
    edit(bq, attributes={"level": True})
    edit(bq, attributes={"level": 1})
    edit(bq, attributes={})
    edit(bq, display_name="Ada")
    patches = [{"level": 1}, {"level": True}, {"team": "blue", "level": 3}]
    assert told(bq) == [{"attributes": patch} for patch in patches]
    assert bq.participant("ada")["total_events"] == 0


def test_attributes_follow_the_facts_that_count(bq: Project) -> None:
    create(bq, attributes={"team": "blue"})
    edit(bq, attributes={"team": "red"})
    newest = bq.get("/facts", participant_id="ada").json()["facts"][0]
    assert bq.post(f"/facts/{newest['fact_id']}/void", {}).is_success
    assert bq.participant("ada")["attributes"] == {"team": "blue"}


def test_patches_at_the_same_time_are_all_kept(bq: Project) -> None:
    create(bq)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: edit(bq, attributes={f"k{number}": number}), range(16)))
    assert bq.participant("ada")["attributes"] == {f"k{number}": number for number in range(16)}


def test_an_event_makes_a_participant_whose_profile_can_be_edited(bq: Project) -> None:
    bq.send_sync(event(participant_id="ada"))
    before = bq.participant("ada")
    assert (before["total_events"], before["display_name"]) == (1, None)
    assert edit(bq, display_name="Ada") == before | {"display_name": "Ada"}
    bq.send_sync(event(participant_id="ada"))
    assert bq.participant("ada") == before | {"display_name": "Ada", "total_events": 2}


@pytest.mark.parametrize("part", PARTS)
def test_a_participant_no_event_ever_named_is_not_found(bq: Project, part: str) -> None:
    check(bq.get(f"/gamify/participants/stranger{part}"), Code.NOT_FOUND)
    bq.send_sync(event(participant_id="stranger"))
    assert bq.get(f"/gamify/participants/stranger{part}").status_code == 200
    with bq.using("live") as other:
        check(other.get(f"/gamify/participants/stranger{part}"), Code.NOT_FOUND)


def test_a_patch_makes_no_participant(bq: Project) -> None:
    changes = {"display_name": "Nobody", "timezone": "Asia/Tokyo"}
    check(bq.request("PATCH", "/gamify/participants/stranger", json=changes), Code.NOT_FOUND)
    check(bq.get("/gamify/participants/stranger"), Code.NOT_FOUND)
    assert bq.facts() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"participant_id": ""}, "participant_id"),
        ({"participant_id": "x" * 256}, "participant_id"),
        ({"display_name": "x" * 256}, "display_name"),
        ({"display_name": 7}, "display_name"),
        ({"avatar_url": "x" * 501}, "avatar_url"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {"a": "x" * 70_000}}, "attributes"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../UTC"}, "timezone"),
        ({"timezone": "localtime"}, "timezone"),
        ({"timezone": "posix/Europe/Berlin"}, "timezone"),
        ({"dispaly_name": "Ada"}, "dispaly_name"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_participant_must_be(bq: Project, change: Json, field: str) -> None:
    problem = check(bq.post("/gamify/participants", {"participant_id": "ada"} | change), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == [field]
    check(bq.get("/gamify/participants/ada"), Code.NOT_FOUND)


def test_scopes(bq: Project) -> None:
    create(bq)
    with bq.using("test:read") as reader:
        assert reader.participant("ada")["participant_id"] == "ada"
        check(reader.post("/gamify/participants", {"participant_id": "ada"}), Code.FORBIDDEN)
        check(reader.request("PATCH", "/gamify/participants/ada", json={}), Code.FORBIDDEN)
    with bq.using("test:ingest") as sender:
        check(sender.get("/gamify/participants/ada/state"), Code.FORBIDDEN)


def test_a_zone_told_twice_is_one_fact(bq: Project) -> None:
    create(bq, timezone="Europe/Paris")
    create(bq, timezone="Europe/Paris")
    edit(bq, timezone="Europe/Paris")
    edit(bq, timezone="Asia/Tokyo")
    edit(bq, timezone="Europe/Paris")
    zones = [fact["properties"]["timezone"] for fact in bq.facts(fact_type="system.timezone_changed")]
    assert zones == ["Europe/Paris", "Asia/Tokyo", "Europe/Paris"]


def test_a_participant_with_a_slash_and_a_space(bq: Project) -> None:
    bq.apply({"points": [{"code": "pay", "on": "act", "award": 1}]})
    bq.send_sync(event("act", "a/b c?"))
    for part in PARTS:
        assert bq.participant("a%2Fb%20c%3F", part)["participant_id"] == "a/b c?"
    answer = bq.request("PATCH", "/gamify/participants/a%2Fb%20c%3F", json={"display_name": "Slash"})
    assert answer.json()["display_name"] == "Slash"


def test_the_ledger_comes_in_pages_the_newest_first(bq: Project) -> None:
    bq.apply({"points": [{"code": "pay", "on": "act", "award": "properties.n"}]})
    for number in range(1, 6):
        bq.send_sync(event("act", "ada", properties={"n": number}))
    path = "/points/transactions"
    pages = [bq.participant("ada", path, page=page, page_size=2) for page in (1, 2, 3, 4)]
    assert [[entry["amount"] for entry in page["transactions"]] for page in pages] == [[5, 4], [3, 2], [1], []]
    assert [(page["total"], page["page"], page["page_size"]) for page in pages] == [(5, n, 2) for n in (1, 2, 3, 4)]
    assert bq.participant("ada", path)["page_size"] == 20
    newest = pages[0]["transactions"][0]
    fact = bq.facts(limit=1)[0]
    assert newest.keys() == {
        "transaction_id",
        "type",
        "amount",
        "balance",
        "cause",
        "fact_id",
        "occurred_at",
        "created_at",
    }
    assert (newest["fact_id"], newest["occurred_at"]) == (fact["fact_id"], fact["occurred_at"])
    for query in ({"page": 0}, {"page_size": 0}, {"page_size": 101}, {"limit": 3}):
        check(bq.get(f"/gamify/participants/ada{path}", **query), Code.VALIDATION_FAILED)


def test_the_state_has_the_sections_that_are_asked_for(bq: Project) -> None:
    create(bq)
    whole = bq.participant("ada", "/state")
    assert list(whole) == ["participant_id", "total_events", *SECTIONS]
    for section in SECTIONS:
        part = bq.participant("ada", "/state", include=section)
        assert part == {name: whole[name] for name in ("participant_id", "total_events", section)}
    two = bq.participant("ada", "/state", include="tier,points")
    assert two.keys() == {"participant_id", "total_events", "points", "tier"}
    for include in ("prizes", "points,prizes", "Points"):
        problem = check(bq.get("/gamify/participants/ada/state", include=include), Code.VALIDATION_FAILED)
        assert [error["field"] for error in problem["errors"]] == ["include"]


def test_badges_are_listed_earned_or_not_by_display_order(bq: Project) -> None:
    bq.apply({"badges": BADGES})
    bq.send_sync(event("act", "ada", timestamp="2026-03-01T00:00:00Z"))
    answer = bq.participant("ada", "/badges")
    assert (answer["total"], answer["earned_count"]) == (3, 1)
    assert [(badge["code"], badge["earned"], badge["progress"]) for badge in answer["badges"]] == [
        ("a", True, 1.0),
        ("b", False, 0.5),
        ("c", False, None),
    ]
    assert answer["badges"][0] == {
        "code": "a",
        "name": "A",
        "description": "The first",
        "icon": "a.svg",
        "category": "starts",
        "rarity": "rare",
        "earned": True,
        "earned_at": "2026-03-01T00:00:00Z",
        "progress": 1.0,
        "count": None,
        "levels": None,
    }
    assert answer["badges"][2]["rarity"] == "common"
    for query, codes in (
        ({"earned_only": True}, ["a"]),
        ({"badge_codes": "c,b,none"}, ["b", "c"]),
        ({"badge_codes": "b", "earned_only": True}, []),
    ):
        found = bq.participant("ada", "/badges", **query)
        assert ([badge["code"] for badge in found["badges"]], found["total"]) == (codes, len(codes))
    assert bq.participant("ada")["badges"] == answer["badges"][:1]


def test_the_parts_agree_with_the_whole(bq: Project) -> None:
    bq.apply(
        {
            "points": [{"code": "pay", "on": "act", "award": 10}],
            "badges": BADGES,
            "challenges": [{"code": "q", "name": "Q", "objectives": [{"code": "o", "on": "act", "target": 4}]}],
            "streaks": [{"code": "s", "on": "act"}],
            "tiers": [{"code": "t", "name": "T", "level": 1, "min_points": 5}],
        }
    )
    for day in (1, 2):
        bq.send_sync(event("act", "ada", timestamp=f"2026-03-0{day}T00:00:00Z"))
    state = bq.participant("ada", "/state")
    points = bq.participant("ada", "/points")
    assert points == {"participant_id": "ada", **state["points"]}
    tier = bq.participant("ada", "/tier")
    assert tier == {"participant_id": "ada", **state["tier"]}
    for section in ("badges", "streaks", "challenges"):
        assert bq.participant("ada", f"/{section}")[section] == state[section]
    profile = bq.participant("ada")
    assert (profile["points"], profile["tier"]) == (state["points"], state["tier"])


def listing(bq: Project, **query: Any) -> list[str]:
    """The ids of all participants, over all pages."""
    found: list[str] = []
    while True:
        page = bq.get("/gamify/participants", **query).json()
        found += [each["participant_id"] for each in page["participants"]]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def test_participants_are_listed_in_pages_by_id(bq: Project) -> None:
    bq.apply(
        {
            "points": [{"code": "p", "on": "act", "award": 5}],
            "tiers": [{"code": "t", "name": "T", "level": 1, "min_points": 5}],
        }
    )
    ids = [f"u{number:02}" for number in range(7)]
    for participant_id in reversed(ids):
        bq.send_sync(event("act", participant_id))
    assert listing(bq) == listing(bq, limit=3) == listing(bq, limit=1) == ids
    first = bq.get("/gamify/participants", limit=1).json()["participants"][0]
    created_at = bq.participant("u00")["created_at"]
    assert first == {
        "participant_id": "u00",
        "display_name": None,
        "balance": 5,
        "tier": "T",
        "total_events": 1,
        "created_at": created_at,
    }


def test_a_search_looks_into_ids_and_names(bq: Project) -> None:
    for participant_id, name in (("ada", "Countess"), ("bob", None), ("é%_1", "Ada's friend"), ("zoe", "100% Zoë")):
        bq.post("/gamify/participants", {"participant_id": participant_id, "display_name": name})
    assert listing(bq, search="ADA") == ["ada", "é%_1"]
    assert listing(bq, search="%") == ["zoe", "é%_1"]
    assert listing(bq, search="zoë") == ["zoe"]
    assert listing(bq, search="nobody") == []
    assert listing(bq, search="a", limit=1) == ["ada", "é%_1"]


def test_live_and_test_list_their_own(bq: Project) -> None:
    bq.send_sync(event("act", "tester"))
    with bq.using("live") as live:
        live.send_sync(event("act", "customer"))
        assert listing(live) == ["customer"]
    assert listing(bq) == ["tester"]


@pytest.mark.parametrize("cursor", ["!", "w", "_____w", "é", "x" * 2001])
def test_a_cursor_that_this_server_gave_not_is_refused(bq: Project, cursor: str) -> None:
    problem = check(bq.get("/gamify/participants", cursor=cursor), Code.VALIDATION_FAILED)
    assert problem["errors"][0]["field"] == "cursor"
