"""Claims, transfers and referrals of a chaos run: each test spoils one thing, and the ledger says so."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from bq_server.game.facts import REFERRAL_CODE_MADE
from harness.chaos import deeds, game, report
from harness.chaos.clients import PostOutcome
from harness.chaos.deeds import Deed, DeedKind, DeedTry, read_answer
from harness.chaos.ledger import ChaosLedger
from tests.harness.chaos_support import CALM

DEEDS = deeds.plan(CALM)
CLAIM = next(each for each in DEEDS if each.kind is DeedKind.CLAIM)
TRANSFER = next(each for each in DEEDS if each.kind is DeedKind.TRANSFER)
REFERRAL = Deed(
    1, DeedKind.REFERRAL, "/referrals/convert", {"participant_id": "bob", "referrer_id": "ada"}, "bob by ada", False
)
"""Of those who are in no other deed."""


def fact_of(deed: Deed, **changes: Any) -> dict[str, Any]:
    """The fact that a good server makes of a deed."""
    properties = {name: value for name, value in deed.body.items() if name != "participant_id"}
    if deed.kind is DeedKind.CLAIM:
        properties = {"reward_code": game.STOCKED, "cost": 20}
    if deed.kind is DeedKind.REFERRAL:
        properties |= {"code": f"code-{properties['referrer_id']}", "campaign_id": None}
    fact = {"fact_id": f"fact_{deed.key}", "fact_type": str(deed.kind), "participant_id": deed.participant_id}
    return {**fact, "properties": properties, "idempotency_key": deed.key, **changes}


def code_of(who: str, **changes: Any) -> dict[str, Any]:
    """The fact of a referrer's code."""
    fact = {"fact_id": f"fact_code_{who}", "fact_type": REFERRAL_CODE_MADE, "participant_id": who}
    return {**fact, "properties": {"code": f"code-{who}"}, "idempotency_key": f"referral:code-{who}", **changes}


def referral(who: str, by: str) -> dict[str, Any]:
    """The fact of a referral; its key is the server's."""
    deed = replace(REFERRAL, body={"participant_id": who, "referrer_id": by}, key=f"{who} by {by}")
    return fact_of(deed, idempotency_key=f"referral:code-{by}:ref_1")


def referred(who: str, by: str, **more: Any) -> DeedTry:
    return done(
        replace(REFERRAL, body={"participant_id": who, "referrer_id": by}, key=f"{who} by {by}"),
        code=f"code-{by}",
        **more,
    )


def judged_referrals(tries: list[DeedTry], facts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What is wrong, by kind and first line."""
    ledger = ChaosLedger(CALM)
    deeds.judge([each.deed for each in tries], tries, facts, ledger)
    return [(str(each.kind), each.details[0] if each.details else each.subject) for each in ledger.findings]


def done(deed: Deed, **more: Any) -> DeedTry:
    return DeedTry(deed, **{"outcome": PostOutcome.ACKNOWLEDGED, "fact_id": f"fact_{deed.key}", **more})


def judged(tries: list[DeedTry], facts: list[dict[str, Any]]) -> ChaosLedger:
    ledger = ChaosLedger(CALM)
    deeds.judge(DEEDS, tries, facts, ledger)
    return ledger


def test_the_same_seed_plans_the_same_deeds_of_all_kinds() -> None:
    assert deeds.plan(CALM) == DEEDS
    assert {each.kind for each in DEEDS} == set(DeedKind)
    assert len({each.key for each in DEEDS}) == len(DEEDS) > 20
    assert any(each.repeats for each in DEEDS)
    assert all(each.body.get("recipient_id") != each.participant_id for each in DEEDS)
    assert all(each.body.get("referrer_id") != each.participant_id for each in DEEDS)


def test_what_is_done_once_or_refused_is_well() -> None:
    tries = [done(CLAIM), done(CLAIM), DeedTry(TRANSFER, PostOutcome.NO_ANSWER), DeedTry(TRANSFER, None)]
    for facts in (
        [fact_of(CLAIM)],
        [fact_of(CLAIM), fact_of(TRANSFER)],
    ):  # the one without an answer was done after all
        ledger = judged(tries, facts)
        assert ledger.findings == []
    assert (ledger.deeds, ledger.deeds_done, ledger.deeds_refused) == (2, 2, 0)
    assert "  deeds               2, of which 2 were done and 0 refused" in list(report.lines(ledger))


@pytest.mark.parametrize(
    ("tries", "facts", "counts"),
    [
        ([done(CLAIM)], [], {"lost": 1, "altered": 1}),
        ([done(TRANSFER)], [fact_of(TRANSFER), fact_of(TRANSFER)], {"doubled": 1}),
        ([done(CLAIM, fact_id="fact_other")], [fact_of(CLAIM)], {"altered": 1}),
        ([DeedTry(CLAIM, None)], [fact_of(CLAIM)], {"altered": 1}),
        ([done(TRANSFER)], [fact_of(TRANSFER, participant_id="somebody")], {"altered": 1}),
        ([done(TRANSFER)], [fact_of(TRANSFER, properties={"recipient_id": "x", "amount": 1})], {"altered": 1}),
        ([], [fact_of(CLAIM, idempotency_key="another")], {"foreign": 1}),
        ([], [fact_of(CLAIM, fact_type=str(DeedKind.TRANSFER))], {"foreign": 1}),
        ([DeedTry(CLAIM, PostOutcome.UNEXPECTED, "500 what")], [], {"unexpected": 1}),
    ],
)
def test_whatever_is_wrong_is_found(tries: list[DeedTry], facts: list[dict[str, Any]], counts: dict[str, int]) -> None:
    ledger = judged(tries, facts)
    assert {str(kind): count for kind, count in ledger.counts.items()} == counts
    assert not ledger.passed


def test_a_reward_given_more_often_than_there_is_and_a_code_of_two_are_found() -> None:
    claim = {"fact_type": str(DeedKind.CLAIM)}
    mugs = [{**claim, "properties": {"reward_code": game.STOCKED}} for _ in range(game.STOCK)]
    codes = [{**claim, "properties": {"reward_code": game.CODED, "code_value": code}} for code in game.CODES]
    assert list(deeds.oversold([*mugs, *codes])) == []
    told = list(deeds.oversold([*mugs, mugs[0], *codes, codes[0]]))
    assert told == ["26 of 25 mug were claimed", "16 of 15 coupon were claimed", "code-00 was given 2 times"]


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {"claim_id": "fact_1"}, PostOutcome.ACKNOWLEDGED),
        (200, {"other": "fact_1"}, PostOutcome.UNEXPECTED),
        (400, {"code": "insufficient_points"}, None),
        (409, {"code": "reward_unavailable"}, None),
        (409, {"code": "idempotency_conflict"}, PostOutcome.UNEXPECTED),
        (503, {"code": "overloaded"}, PostOutcome.UNAVAILABLE),
        (500, {"code": "internal"}, PostOutcome.UNEXPECTED),
    ],
)
def test_an_answer_is_done_refused_to_be_tried_again_or_unexpected(
    status: int, body: dict[str, str], outcome: PostOutcome | None
) -> None:
    assert read_answer(CLAIM, status, json.dumps(body)).outcome is outcome
    assert read_answer(CLAIM, status, "<html>").outcome is PostOutcome.UNEXPECTED


CIRCLE = {"code": "validation_failed", "errors": [{"field": "referred_session_id", "code": "circle"}]}


@pytest.mark.parametrize(
    ("status", "body", "outcome", "fact_id"),
    [
        (200, {"converted": True, "conversion_id": "fact_1"}, PostOutcome.ACKNOWLEDGED, "fact_1"),
        (200, {"converted": False, "conversion_id": "fact_2"}, None, "fact_2"),
        (200, {"code": "k1"}, PostOutcome.UNEXPECTED, ""),
        (422, CIRCLE, None, ""),
        (422, {**CIRCLE, "errors": [{"field": "code", "code": "missing"}]}, PostOutcome.UNEXPECTED, ""),
        (404, {"code": "not_found"}, PostOutcome.UNEXPECTED, ""),
        (503, {"code": "overloaded"}, PostOutcome.UNAVAILABLE, ""),
    ],
)
def test_a_referral_is_done_refused_for_another_or_for_a_circle(
    status: int, body: dict[str, Any], outcome: PostOutcome | None, fact_id: str
) -> None:
    read = read_answer(REFERRAL, status, json.dumps(body))
    assert (read.outcome, read.fact_id) == (outcome, fact_id)


def test_who_is_referred_once_by_whoever_was_first_is_well() -> None:
    facts = [code_of("ada"), code_of("bob"), code_of("cyd"), referral("bob", "ada"), referral("cyd", "bob")]
    refused = referred("bob", "cyd", outcome=None, fact_id="fact_bob by ada")
    circle = referred("ada", "cyd", outcome=None, fact_id="")
    again = referred("bob", "ada")
    assert judged_referrals([referred("bob", "ada"), again, referred("cyd", "bob"), refused, circle], facts) == []
    lost = replace(referred("bob", "ada"), outcome=PostOutcome.NO_ANSWER, fact_id="", code="")
    assert judged_referrals([lost], [code_of("ada")]) == []
    assert judged_referrals([lost], [code_of("ada"), referral("bob", "ada")]) == []


@pytest.mark.parametrize(
    ("tries", "facts", "found"),
    [
        (
            [referred("bob", "ada", fact_id="fact_bob by ada")],
            [code_of("ada")],
            [
                ("lost", "it was acknowledged, and there is no fact"),
                ("altered", "it was acknowledged as fact_bob by ada"),
            ],
        ),
        (
            [referred("bob", "ada")],
            [code_of("ada"), referral("bob", "ada"), {**referral("bob", "ada"), "fact_id": "fact_again"}],
            [("doubled", "it is more than one fact"), ("doubled", str(referral("bob", "ada")))],
        ),
        (
            [referred("bob", "ada"), referred("bob", "cyd")],
            [code_of("ada"), code_of("cyd"), referral("bob", "ada"), referral("bob", "cyd")],
            [("doubled", str(referral("bob", "ada")))],
        ),
        (
            [referred("bob", "ada", outcome=None, fact_id="fact_gone")],
            [code_of("ada")],
            [("altered", "it was refused, and fact_gone is no referral by another")],
        ),
        (
            [referred("bob", "ada", outcome=None, fact_id="")],
            [code_of("ada"), code_of("cyd"), referral("ada", "cyd")],
            [
                ("foreign", str(referral("ada", "cyd"))),
                ("altered", "it was refused, and it would have closed no circle"),
                ("foreign", "nobody was told ['code-cyd']"),
            ],
        ),
        (
            [referred("bob", "ada"), referred("ada", "bob")],
            [code_of("ada"), code_of("bob"), referral("bob", "ada"), referral("ada", "bob")],
            [("altered", "it is one of a circle"), ("altered", "it is one of a circle")],
        ),
        (
            [referred("bob", "ada")],
            [code_of("ada"), code_of("ada", properties={"code": "other"}), referral("bob", "ada")],
            [("doubled", "there are ['code-ada', 'other']")],
        ),
        (
            [referred("bob", "ada", outcome=PostOutcome.NO_ANSWER)],
            [],
            [("lost", "told was ['code-ada'], and there are []")],
        ),
        (
            [referred("bob", "ada")],
            [code_of("ada", properties={"code": "other"}), referral("bob", "ada")],
            [("lost", "told was ['code-ada'], and there are ['other']"), ("altered", "the code isn't the referrer's")],
        ),
        ([], [code_of("eve")], [("foreign", "nobody was told ['code-eve']")]),
    ],
)
def test_whatever_is_wrong_with_referrals_is_found(
    tries: list[DeedTry], facts: list[dict[str, Any]], found: list[tuple[str, str]]
) -> None:
    assert judged_referrals(tries, facts) == found
