"""Claims and transfers of a chaos run: each test spoils one thing, and the ledger says so."""

import json
from typing import Any

import pytest

from harness.chaos import deeds, game, report
from harness.chaos.clients import PostOutcome
from harness.chaos.deeds import Deed, DeedKind, DeedTry, read_answer
from harness.chaos.ledger import ChaosLedger
from tests.harness.chaos_support import CALM

DEEDS = deeds.plan(CALM)
CLAIM = next(each for each in DEEDS if each.kind is DeedKind.CLAIM)
TRANSFER = next(each for each in DEEDS if each.kind is DeedKind.TRANSFER)


def fact_of(deed: Deed, **changes: Any) -> dict[str, Any]:
    """The fact that a good server makes of a deed."""
    properties = {name: value for name, value in deed.body.items() if name != "participant_id"}
    if deed.kind is DeedKind.CLAIM:
        properties = {"reward_code": game.STOCKED, "cost": 20}
    fact = {"fact_id": f"fact_{deed.key}", "fact_type": str(deed.kind), "participant_id": deed.participant_id}
    return {**fact, "properties": properties, "idempotency_key": deed.key, **changes}


def done(deed: Deed, **more: Any) -> DeedTry:
    return DeedTry(deed, **{"outcome": PostOutcome.ACKNOWLEDGED, "fact_id": f"fact_{deed.key}", **more})


def judged(tries: list[DeedTry], facts: list[dict[str, Any]]) -> ChaosLedger:
    ledger = ChaosLedger(CALM)
    deeds.judge(DEEDS, tries, facts, ledger)
    return ledger


def test_the_same_seed_plans_the_same_deeds_of_both_kinds() -> None:
    assert deeds.plan(CALM) == DEEDS
    assert len({each.key for each in DEEDS}) == len(DEEDS) > 20
    assert any(each.repeats for each in DEEDS)
    assert all(each.body.get("recipient_id") != each.participant_id for each in DEEDS)


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
