"""Referrals: a code for each campaign, who came by it, once and never in a circle; in the vendor's shapes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from httpx import Response

from bq_server.game.facts import PARTICIPANT_REFERRED, REFERRAL_CODE_MADE
from bq_server.processing.referrals import MAX_ABOVE
from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check
from tests.support.sandbox import export, import_lines

CAMPAIGN = "5b3f0c1e-8a57-4c1f-9d3a-2f1f6a0c9b11"
ON = {"on": PARTICIPANT_REFERRED}
TO = {"award_to": "properties.referrer_id"}
GAME: Json = {
    "points": [{"code": "welcome", **ON, "award": 5}, {"code": "referral", **ON, **TO, "award": 10}],
    "badges": [{"code": "host", "name": "Host", "criteria": {**ON, "target": 2}, **TO}],
}


@pytest.fixture(autouse=True)
def _game(bq: Project) -> None:
    bq.apply(GAME)


def made(bq: Project, who: str, campaign: str | None = None) -> Json:
    answer = bq.post("/referrals/generate", {"participant_id": who, "campaign_id": campaign})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def convert(bq: Project, code: str, who: str) -> Response:
    return bq.post("/referrals/convert", {"code": code, "referred_session_id": who})


def referred(bq: Project, who: str, by: str) -> Json:
    answer = convert(bq, made(bq, by)["code"], who)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def valid(bq: Project, code: str) -> Json:
    found: Json = bq.get(f"/referrals/validate/{code}").json()
    return found


def stats(bq: Project, who: str) -> tuple[int, int, int, str | None]:
    told = bq.get(f"/referrals/stats/{who}").json()
    assert told.pop("participant_id") == who
    return told["total_referrals"], told["conversions"], told["pending"], told["referrer_id"]


def points(bq: Project, who: str) -> int:
    found: int = bq.participant(who)["points"]["balance"]
    return found


def refusal(answer: Response) -> str:
    (error,) = check(answer, Code.VALIDATION_FAILED)["errors"]
    assert error["field"] == "referred_session_id"
    return str(error["code"])


def void(bq: Project, fact_id: str) -> Response:
    return bq.post(f"/facts/{fact_id}/void", {})


def test_a_code_is_made_once_for_each_campaign(bq: Project) -> None:
    first = made(bq, "ada", CAMPAIGN)
    code = first["code"]
    assert first == {
        "code": code,
        "referral_url": f"?ref={code}",
        "participant_id": "ada",
        "campaign_id": CAMPAIGN,
        "created_at": first["created_at"],
    }
    assert made(bq, "ada", CAMPAIGN) == first
    others = {made(bq, "ada")["code"], made(bq, "ada", "other")["code"], made(bq, "bob", CAMPAIGN)["code"]}
    assert len(others | {code}) == 4
    known = {"valid": True, "code": code, "referrer_id": "ada", "campaign_id": CAMPAIGN}
    assert valid(bq, code) == known
    assert valid(bq, code.upper()) == {**known, "code": code.upper()}
    assert valid(bq, "nobodys") == {"valid": False, "code": "nobodys", "referrer_id": None, "campaign_id": None}


def test_codes_asked_for_at_once_are_one(bq: Project) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: made(bq, "ada")["code"], range(16)))
    assert len(set(codes)) == 1
    assert len(bq.facts(fact_type=REFERRAL_CODE_MADE)) == 1


def test_the_first_referrer_holds_and_both_are_awarded(bq: Project) -> None:
    told = referred(bq, "bob", "ada")
    (fact,) = bq.facts(fact_type=PARTICIPANT_REFERRED)
    assert told == {
        "converted": True,
        "referrer_id": "ada",
        "conversion_id": fact["fact_id"],
        "already_converted": False,
    }
    assert (fact["participant_id"], fact["properties"]["referrer_id"]) == ("bob", "ada")
    assert referred(bq, "bob", "ada") == {**told, "already_converted": True}
    assert referred(bq, "bob", "cyd") == {**told, "converted": False, "already_converted": True}
    assert (points(bq, "bob"), points(bq, "ada"), points(bq, "cyd")) == (5, 10, 0)
    assert (stats(bq, "ada"), stats(bq, "bob"), stats(bq, "cyd")) == (
        (1, 1, 0, None),
        (0, 0, 0, "ada"),
        (0, 0, 0, None),
    )
    assert bq.participant("bob")["total_events"] == 0
    check(bq.get("/referrals/stats/nobody"), Code.NOT_FOUND)


def test_who_is_converted_at_once_is_referred_once(bq: Project) -> None:
    codes = [made(bq, who)["code"] for who in ("ada", "cyd", "dan")]
    with ThreadPoolExecutor(8) as pool:
        told = [each.json() for each in pool.map(lambda number: convert(bq, codes[number % 3], "bob"), range(18))]
    assert len({each["conversion_id"] for each in told}) == 1
    assert sum(not each["already_converted"] for each in told) == 1
    assert points(bq, "bob") == 5


def test_nobody_refers_themself_or_who_brought_them(bq: Project) -> None:
    assert refusal(convert(bq, made(bq, "ada")["code"], "ada")) == "self_referral"
    referred(bq, "bob", "ada")
    referred(bq, "cyd", "bob")
    assert refusal(convert(bq, made(bq, "bob")["code"], "ada")) == "circle"
    assert refusal(convert(bq, made(bq, "cyd")["code"], "ada")) == "circle"
    assert referred(bq, "ada", "dan")["converted"], "somebody else may"
    assert refusal(convert(bq, made(bq, "cyd")["code"], "dan")) == "circle"
    problem = check(convert(bq, "nobodys", "eve"), Code.NOT_FOUND)
    assert "no referral code nobodys" in problem["detail"]


def test_circles_are_looked_for_so_far_up(bq: Project) -> None:
    for number in range(MAX_ABOVE):
        referred(bq, f"p{number + 1}", f"p{number}")
    assert refusal(convert(bq, made(bq, f"p{MAX_ABOVE}")["code"], "p0")) == "circle"
    referred(bq, f"p{MAX_ABOVE + 1}", f"p{MAX_ABOVE}")
    assert referred(bq, "p0", f"p{MAX_ABOVE + 1}")["converted"]


def test_a_void_referral_is_made_anew_and_then_stays_void(bq: Project) -> None:
    first = referred(bq, "bob", "ada")["conversion_id"]
    assert void(bq, first).status_code == 200
    assert (points(bq, "bob"), points(bq, "ada"), stats(bq, "ada"), stats(bq, "bob")[3]) == (
        0,
        0,
        (0, 0, 0, None),
        None,
    )
    (undo,) = bq.facts(fact_type="system.fact_voided")
    second = referred(bq, "bob", "cyd")
    assert (second["referrer_id"], second["already_converted"]) == ("cyd", False)
    problem = check(void(bq, undo["fact_id"]), Code.NOT_VOIDABLE)
    assert second["conversion_id"] in problem["detail"]
    assert void(bq, second["conversion_id"]).status_code == 200
    assert void(bq, undo["fact_id"]).status_code == 200, "now it may hold again"
    assert stats(bq, "bob")[3] == "ada"
    assert (points(bq, "bob"), points(bq, "ada"), points(bq, "cyd")) == (5, 10, 0)


def test_a_referral_that_was_replaced_does_not_come_back_by_a_chain_of_voids(bq: Project) -> None:
    first = referred(bq, "bob", "ada")["conversion_id"]
    chain = [first]
    for _ in range(3):
        chain.append(void(bq, chain[-1]).json()["voided_by"])
    assert stats(bq, "bob")[3] is None, "void, not void, and void again"
    second = referred(bq, "bob", "cyd")["conversion_id"]
    problem = check(void(bq, chain[3]), Code.NOT_VOIDABLE)
    assert second in problem["detail"]
    void(bq, second)
    assert void(bq, chain[3]).status_code == 200
    assert (stats(bq, "bob")[3], points(bq, "bob"), points(bq, "ada"), points(bq, "cyd")) == ("ada", 5, 10, 0)


def test_no_void_of_a_void_closes_a_circle(bq: Project) -> None:
    first = referred(bq, "bob", "ada")["conversion_id"]
    undone = void(bq, first).json()["voided_by"]
    referred(bq, "cyd", "bob")
    above = referred(bq, "ada", "cyd")["conversion_id"]
    cyds = stats(bq, "cyd")
    problem = check(void(bq, undone), Code.NOT_VOIDABLE)
    assert "ada came through bob since" in problem["detail"]
    assert (stats(bq, "bob")[3], stats(bq, "cyd")) == (None, cyds)
    void(bq, above)
    assert void(bq, undone).status_code == 200
    assert (stats(bq, "bob")[3], stats(bq, "ada")[3]) == ("ada", None)


def test_two_who_bring_each_other_at_once_have_one_referral(bq: Project) -> None:
    for number in range(3):
        one, other = f"one{number}", f"other{number}"
        wanted = [(made(bq, one)["code"], other), (made(bq, other)["code"], one)] * 3
        with ThreadPoolExecutor(6) as pool:
            told = list(pool.map(lambda pair: convert(bq, *pair), wanted))
        done = [each.json() for each in told if each.status_code == 200]
        assert len({each["conversion_id"] for each in done}) == 1
        assert {refusal(each) for each in told if each.status_code != 200} == {"circle"}
        assert {stats(bq, one)[1], stats(bq, other)[1]} == {0, 1}


def test_who_has_acted_before_may_be_referred_and_what_they_did_stays(bq: Project) -> None:
    bq.apply({**GAME, "points": [*GAME["points"], {"code": "act", "on": "acted", "award": 1}]})
    bq.told(event("acted", "bob"))
    assert referred(bq, "bob", "ada")["converted"]
    bq.told(event("acted", "bob"))
    assert (points(bq, "bob"), points(bq, "ada"), bq.participant("bob")["total_events"]) == (7, 10, 2)


def test_a_void_code_refers_nobody_and_is_replaced(bq: Project) -> None:
    old = made(bq, "ada")["code"]
    convert(bq, old, "bob")
    (fact,) = bq.facts(fact_type=REFERRAL_CODE_MADE)
    void(bq, fact["fact_id"])
    assert not valid(bq, old)["valid"]
    check(convert(bq, old, "cyd"), Code.NOT_FOUND)
    new = made(bq, "ada")["code"]
    assert new != old
    convert(bq, new, "cyd")
    assert (stats(bq, "ada")[1], points(bq, "ada")) == (2, 20)


def test_no_event_of_a_client_passes_for_a_referral(bq: Project) -> None:
    code = made(bq, "ada")["code"]
    bq.told(event(PARTICIPANT_REFERRED, "bob", properties={"referrer_id": "ada"}, idempotency_key=f"referral:{code}:x"))
    assert (stats(bq, "ada")[1], stats(bq, "bob")[3], points(bq, "ada")) == (0, None, 0)
    assert bq.told(event("any", "bob", idempotency_key="referral:chosen"))
    assert not valid(bq, "chosen")["valid"]


def test_aliases_are_one_person(bq: Project) -> None:
    code = made(bq, "phone")["code"]
    referred(bq, "bob", "phone")
    bq.post("/gamify/participants/ada/alias", {"from": "phone"})
    assert valid(bq, code)["referrer_id"] == "ada"
    assert made(bq, "ada")["code"] == made(bq, "phone")["code"] == code
    assert refusal(convert(bq, code, "phone")) == "self_referral"
    assert refusal(convert(bq, code, "ada")) == "self_referral"
    assert (stats(bq, "ada")[1], stats(bq, "bob")[3], points(bq, "ada")) == (1, "ada", 10)
    assert refusal(convert(bq, made(bq, "bob")["code"], "phone")) == "circle"
    assert referred(bq, "bob", "ada") == {**referred(bq, "bob", "phone"), "converted": True}


def test_who_came_under_several_names_is_one_and_oneself_is_none(bq: Project) -> None:
    for who, campaign in (("phone", None), ("laptop", CAMPAIGN), ("own", None)):
        convert(bq, made(bq, "ada", campaign)["code"], who)
    assert (stats(bq, "ada")[1], points(bq, "ada")) == (3, 30)
    undo = []
    for who, name in (("bob", "phone"), ("bob", "laptop"), ("ada", "own")):
        undo.append(bq.post(f"/gamify/participants/{who}/alias", {"from": name}).json()["fact_id"])
    assert (stats(bq, "ada"), stats(bq, "bob")[3]) == ((1, 1, 0, None), "ada")
    assert (points(bq, "ada"), points(bq, "bob")) == (20 + 5, 10)
    told = referred(bq, "ada", "cyd")
    assert (told["converted"], told["referrer_id"], points(bq, "cyd")) == (False, "ada", 0)
    for fact_id in undo:
        assert void(bq, fact_id).status_code == 200
    assert (stats(bq, "ada")[1], points(bq, "ada"), stats(bq, "own")[3]) == (3, 30, "ada")


def test_an_erased_referrer_refers_nobody_and_who_was_referred_counts_no_more(bq: Project) -> None:
    code = made(bq, "ada")["code"]
    for who in ("bob", "cyd"):
        convert(bq, code, who)
    assert bq.post("/admin/participants/erase", {"participant_id": "cyd"}).status_code == 200
    assert stats(bq, "ada")[1] == 1
    bq.post("/admin/participants/erase", {"participant_id": "ada"})
    assert not valid(bq, code)["valid"]
    check(convert(bq, code, "dan"), Code.NOT_FOUND)
    told = bq.post("/admin/participants/export", {"participant_id": "bob"}).json()
    assert [each["properties"]["code"] for each in told["facts"]] == [code]
    assert points(bq, "bob") == 5
    assert made(bq, "ada")["code"] != code, "somebody new of that name"


def test_a_code_imported_without_a_campaign_has_none(bq: Project) -> None:
    code = made(bq, "ada")["code"]
    lines = export(bq)
    for line in lines:
        if "fact" in line:
            del line["fact"]["properties"]["campaign_id"]
    bq.post("/sandbox/reset", {})
    assert import_lines(bq, lines).status_code == 200
    assert valid(bq, code) == {"valid": True, "code": code, "referrer_id": "ada", "campaign_id": None}
    assert made(bq, "ada")["code"] == code


def test_an_export_holds_codes_and_referrals(bq: Project) -> None:
    code = made(bq, "ada", CAMPAIGN)["code"]
    convert(bq, code, "bob")
    lines = export(bq)
    bq.post("/sandbox/reset", {})
    assert not valid(bq, code)["valid"]
    assert import_lines(bq, lines).status_code == 200
    assert valid(bq, code) == {"valid": True, "code": code, "referrer_id": "ada", "campaign_id": CAMPAIGN}
    assert (stats(bq, "ada")[1], stats(bq, "bob")[3], points(bq, "ada")) == (1, "ada", 10)
    assert convert(bq, code, "bob").json()["already_converted"]


@pytest.mark.parametrize("keyed", [True, False])
def test_codes_of_another_system_keep_their_capitals_and_are_found(bq: Project, keyed: bool) -> None:
    code = made(bq, "ada", CAMPAIGN)["code"]
    convert(bq, code, "bob")
    lines = export(bq)
    for line in lines:
        if "code" in line.get("fact", {}).get("properties", {}):
            fact = line["fact"]
            fact["properties"]["code"] = "ADA-2026"
            fact["idempotency_key"] = fact["idempotency_key"].replace(code, "ADA-2026") if keyed else None
    bq.post("/sandbox/reset", {})
    assert import_lines(bq, lines).status_code == 200
    for typed in ("ADA-2026", "ada-2026"):
        assert valid(bq, typed) == {"valid": True, "code": typed, "referrer_id": "ada", "campaign_id": CAMPAIGN}
    assert made(bq, "ada", CAMPAIGN)["code"] == "ADA-2026"
    assert convert(bq, "Ada-2026", "cyd").json()["converted"]
    assert stats(bq, "ada")[1] == 2
