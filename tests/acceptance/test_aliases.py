"""One person under several names, over HTTP: read as one, undone, refused where it can't be, erased as one."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.game import live
from tests.support.problems import check
from tests.support.sandbox import export, import_lines

GAME: Json = {
    "transfers": True,
    "points": [{"code": "spend", "on": "bought", "award": "properties.amount"}],
    "badges": [{"code": "champion", "name": "Champion"}],
    "streaks": [{"code": "daily", "on": "bought"}],
    "challenges": [
        {
            "code": "sale",
            "name": "Sale",
            "enrolment": "explicit",
            "objectives": [{"code": "b", "on": "bought", "target": 9}],
        }
    ],
    "leaderboards": [{"code": "earners", "name": "Earners", "metric": "points"}],
    "rewards": [{"code": "mug", "name": "Mug", "cost": 1, "limit": 1}],
}


@pytest.fixture(autouse=True)
def _game(bq: Project) -> None:
    bq.apply(GAME)


def bought(bq: Project, who: str, amount: int, **more: Any) -> Json:
    return bq.told(event("bought", who, properties={"amount": amount}, **more))


def alias(bq: Project, name: str, who: str, **more: Any) -> httpx.Response:
    return bq.post(f"/gamify/participants/{who}/alias", {"from": name, **more})


def aliased(bq: Project, name: str, who: str) -> Json:
    answer = alias(bq, name, who)
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    return told


def void(bq: Project, fact_id: str) -> httpx.Response:
    return bq.post(f"/facts/{fact_id}/void", {})


def test_both_names_answer_with_the_one_participant(bq: Project) -> None:
    bought(bq, "anon", 10, timestamp="2026-04-01T10:00:00Z")
    bought(bq, "ada", 20, timestamp="2026-04-02T10:00:00Z")
    bq.post("/gamify/participants", {"participant_id": "ada", "display_name": "Ada"})
    bq.post("/gamify/participants", {"participant_id": "anon", "display_name": "Somebody"})
    told = aliased(bq, "anon", "ada")
    assert told == {"participant_id": "ada", "from": "anon", "fact_id": told["fact_id"], "already_aliased": False}
    bought(bq, "anon", 3)
    profile = bq.participant("anon")
    assert profile == bq.participant("ada")
    assert (profile["participant_id"], profile["aliases"], profile["display_name"]) == ("ada", ["anon"], "Ada")
    assert (profile["points"]["balance"], profile["total_events"]) == (33, 3)
    for part in ("/state", "/points", "/points/transactions", "/badges", "/tier", "/streaks", "/rewards", "/events"):
        assert bq.participant("anon", part) == bq.participant("ada", part), part
        assert bq.participant("anon", part)["participant_id"] == "ada", part
    for route in ("rank/{}", "around/{}"):
        path = f"/gamify/leaderboards/earners/{route}"
        assert bq.get(path.format("anon")).json() == bq.get(path.format("ada")).json()
    assert [each["participant_id"] for each in bq.get("/gamify/leaderboards/earners").json()["entries"]] == ["ada"]
    assert [each["participant_id"] for each in bq.get("/gamify/participants").json()["participants"]] == ["ada"]
    facts = bq.facts(participant_id="anon")
    assert facts == bq.facts(participant_id="ada")
    assert [(each["event_name"], each["participant_id"], each["sent_as"]) for each in facts] == [
        ("bought", "ada", "anon"),
        ("system.participant_aliased", "ada", None),
        ("bought", "ada", None),
        ("bought", "ada", "anon"),
    ]
    entry = bq.get("/admin/audit-log").json()["entries"][0]
    assert (entry["action"], entry["about"]) == ("participant_aliased", {"fact_id": told["fact_id"]})


def test_a_repeat_changes_nothing(bq: Project) -> None:
    first = aliased(bq, "anon", "ada")
    assert aliased(bq, "anon", "ada") == first | {"already_aliased": True}
    assert len(bq.facts(participant_id="ada")) == 1


def test_requests_under_the_other_name_act_on_the_participant(bq: Project) -> None:
    bought(bq, "anon", 1)
    bought(bq, "ada", 50)
    fact_id = aliased(bq, "anon", "ada")["fact_id"]
    given = bq.post("/gamify/points/award", {"participant_id": "anon", "amount": 5}).json()
    assert (given["participant_id"], given["new_balance"]) == ("ada", 56)
    spent = bq.post("/gamify/points/deduct", {"participant_id": "anon", "amount": 50}).json()
    assert (spent["participant_id"], spent["new_balance"]) == ("ada", 6)
    check(bq.post("/gamify/points/deduct", {"participant_id": "anon", "amount": 7}), Code.INSUFFICIENT_POINTS)
    claimed = bq.post("/gamify/rewards/mug/claim", {"participant_id": "anon", "points_deduction": True}).json()
    assert (claimed["participant_id"], claimed["new_balance"]) == ("ada", 5)
    check(bq.post("/gamify/rewards/mug/claim", {"participant_id": "ada"}), Code.REWARD_UNAVAILABLE)
    assert bq.post("/gamify/badges/award", {"participant_id": "anon", "badge_code": "champion"}).status_code == 200
    again = bq.post("/gamify/badges/award", {"participant_id": "ada", "badge_code": "champion"}).json()
    assert again["already_earned"] is True
    assert bq.post("/gamify/challenges/sale/enrol", {"participant_id": "anon"}).json()["participant_id"] == "ada"
    assert bq.post("/gamify/challenges/sale/enrol", {"participant_id": "ada"}).status_code == 200
    assert len(bq.facts(fact_type="system.challenge_enrolled")) == 1
    bq.request("PATCH", "/gamify/participants/anon", json={"display_name": "Ada"})
    assert bq.participant("ada")["display_name"] == "Ada"
    sent = bq.post("/gamify/points/transfer", {"participant_id": "anon", "recipient_id": "ada", "amount": 1})
    check(sent, Code.VALIDATION_FAILED)
    given = bq.post("/gamify/points/transfer", {"participant_id": "anon", "recipient_id": "bob", "amount": 2}).json()
    assert (given["participant_id"], given["new_balance"], given["recipient_balance"]) == ("ada", 3, 2)
    # What was done under a name goes with it.
    assert void(bq, fact_id).status_code == 200
    assert (bq.balance("ada"), bq.participant("anon", "/points")["owed"]) == (50, 47)
    assert (bq.participant("ada", "/badges")["earned_count"], bq.participant("anon", "/badges")["earned_count"]) == (
        0,
        1,
    )
    assert bq.participant("anon", "/rewards")["total"] == 1


def test_refusals_say_what_to_do(bq: Project) -> None:
    fact_id = aliased(bq, "anon", "ada")["fact_id"]
    problem = check(alias(bq, "anon", "bob"), Code.ALIAS_CONFLICT)
    assert problem["detail"] == f"anon is an alias of ada: void {fact_id} first."
    assert problem["errors"][0]["field"] == "from"
    check(alias(bq, "ada", "anon"), Code.ALIAS_CONFLICT)
    check(alias(bq, "ada", "ada"), Code.VALIDATION_FAILED)
    check(alias(bq, "", "ada"), Code.VALIDATION_FAILED)
    check(alias(bq, "x" * 256, "ada"), Code.VALIDATION_FAILED)
    check(alias(bq, "y", "x" * 256), Code.VALIDATION_FAILED)
    assert len(bq.facts()) == 1


def test_a_void_is_undone_only_while_the_name_is_free(bq: Project) -> None:
    bought(bq, "anon", 10)
    fact_id = aliased(bq, "anon", "ada")["fact_id"]
    by = void(bq, fact_id).json()["voided_by"]
    assert (bq.balance("anon"), bq.participant("anon")["aliases"]) == (10, [])
    other = aliased(bq, "anon", "bob")["fact_id"]
    check(void(bq, by), Code.ALIAS_CONFLICT)
    assert bq.balance("bob") == 10
    assert void(bq, other).status_code == 200
    assert void(bq, by).status_code == 200
    assert (bq.balance("ada"), bq.participant("anon")["participant_id"]) == (10, "ada")


def test_who_is_known_only_by_an_alias_is_unknown_again_after_it(bq: Project) -> None:
    fact_id = aliased(bq, "new", "ada")["fact_id"]
    assert bq.participant("new")["participant_id"] == "ada"
    assert void(bq, fact_id).status_code == 200
    check(bq.get("/gamify/participants/new"), Code.NOT_FOUND)
    bought(bq, "new", 4)
    assert bq.balance("new") == 4


def test_of_many_at_once_one_holds(bq: Project) -> None:
    bought(bq, "anon", 10)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: alias(bq, "anon", f"u{number % 4}"), range(16)))
    held = [answer.json() for answer in answers if answer.status_code == 200]
    assert len({each["participant_id"] for each in held}) == 1
    assert [each["already_aliased"] for each in held].count(False) == 1
    for answer in answers:
        if answer.status_code != 200:
            check(answer, Code.ALIAS_CONFLICT)
    assert bq.balance("anon") == 10
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda names: alias(bq, *names).status_code, [("a", "b"), ("b", "a")]))
    assert sorted(both) == [200, 409]


def test_what_waits_in_the_queue_goes_where_the_name_goes(bq: Project) -> None:
    sent = [event("bought", "anon", properties={"amount": 1}, idempotency_key=f"k{number}") for number in range(50)]
    assert bq.send_batch(sent).json()["accepted"] == 50
    aliased(bq, "anon", "ada")
    assert bq.send_batch(sent).json()["accepted"] == 50, "a repeat is one under whatever name it is kept"
    bq.drain()
    assert (bq.balance("ada"), bq.participant("ada")["total_events"]) == (50, 50)


def test_the_other_environment_knows_nothing_of_it(bq: Project) -> None:
    aliased(bq, "anon", "ada")
    with live(bq) as other:
        bought(other, "anon", 10)
        assert other.participant("anon")["participant_id"] == "anon"


def test_tokens_of_the_alias_end_and_new_ones_are_the_participants(bq: Project) -> None:
    bought(bq, "anon", 10)
    bought(bq, "ada", 20)

    def reads(token: str, who: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return bq.http.get(f"/api/v1/gamify/participants/{who}/points", headers=headers).status_code

    old = bq.post("/gamify/participants/anon/tokens", {}).json()["token"]
    assert reads(old, "anon") == 200
    aliased(bq, "anon", "ada")
    assert (reads(old, "anon"), reads(old, "ada")) == (401, 401)
    new = bq.post("/gamify/participants/anon/tokens", {}).json()
    assert new["participant_id"] == "ada"
    assert reads(new["token"], "ada") == 200


def test_an_export_keeps_the_names(bq: Project) -> None:
    bought(bq, "anon", 10)
    fact_id = aliased(bq, "anon", "ada")["fact_id"]
    bought(bq, "anon", 5)
    void(bq, void(bq, fact_id).json()["voided_by"])
    lines = export(bq)
    before = bq.participant("ada")
    assert bq.post("/sandbox/reset", {"game": True}).status_code == 200
    assert import_lines(bq, lines).status_code == 200
    assert bq.participant("anon")["points"] == before["points"]
    assert bq.participant("anon")["aliases"] == ["anon"]
    (made,) = bq.facts(fact_type="system.participant_aliased")
    void(bq, made["fact_id"])
    assert (bq.balance("anon"), bq.balance("ada")) == (15, 0)


@pytest.mark.parametrize("who", ["anon", "ada"])
def test_one_person_is_exported_and_erased_under_all_names(bq: Project, who: str) -> None:
    bought(bq, "phone", 1)
    bought(bq, "anon", 10)
    bought(bq, "ada", 20)
    aliased(bq, "phone", "anon")
    aliased(bq, "anon", "ada")
    told = bq.post("/admin/participants/export", {"participant_id": who}).json()
    assert (told["participant_id"], told["aliases"], len(told["facts"])) == ("ada", ["anon", "phone"], 5)
    erased = bq.post("/admin/participants/erase", {"participant_id": who, "clean_up": False}).json()
    assert erased["facts"] == 5
    for name in ("phone", "anon", "ada"):
        check(bq.get(f"/gamify/participants/{name}"), Code.NOT_FOUND)
    assert {each["participant_id"] for each in bq.facts()} == {""}
    assert {each["sent_as"] for each in bq.facts()} == {None}
    bought(bq, "anon", 3)
    assert (bq.balance("anon"), bq.participant("anon")["aliases"]) == (3, [])
