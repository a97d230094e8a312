"""The ledger of webhooks sees what is wrong: each test spoils one thing."""

import json

import pytest

from harness.chaos import report, webhooks
from harness.chaos.ledger import ChaosLedger
from harness.chaos.webhooks import MOST_FAILURES, Told
from tests.harness.chaos_support import CALM

CAUSED = [("ada", "points", "points/pay/fact_1"), ("ada", "badge", "busy"), ("bea", "points", "points/pay/fact_2")]


def body(participant: str, kind: str, name: str) -> bytes:
    effect = {"type": kind, "cause" if kind == "points" else "code": name}
    return json.dumps({"data": {"participant_id": participant, "effect": effect}}).encode()


BODIES = {f"msg_{number}": body(*award) for number, award in enumerate(CAUSED)}


def taken(told: Told, delivery_id: str, raw: bytes) -> int:
    return told.take({"webhook-id": delivery_id}, raw)[0]


def judged(bodies: dict[str, bytes], *changed: str) -> ChaosLedger:
    ledger = ChaosLedger(CALM)
    webhooks.judge(CAUSED, bodies, changed, ledger)
    return ledger


def test_what_was_told_once_each_is_well() -> None:
    ledger = judged(BODIES)
    assert (ledger.webhooks_caused, ledger.webhooks_delivered) == (3, 3)
    assert not ledger.findings
    assert "  webhooks            3 caused, 3 delivered, 0 lost, 0 invented" in list(report.lines(ledger))


def test_an_award_that_nobody_was_told_of_is_lost() -> None:
    ledger = judged({name: each for name, each in BODIES.items() if name != "msg_1"})
    assert (ledger.webhooks_lost, ledger.webhooks_invented) == (1, 0)
    assert "1 awards were not told by a webhook" in ledger.problems


def test_an_award_that_nobody_was_told_of_comes_with_what_is_known_of_the_endpoint() -> None:
    ledger = ChaosLedger(CALM)
    webhooks.judge(CAUSED, {}, [], ledger, ["the endpoint is off: it answered 410: gone"])
    assert "    the endpoint is off: it answered 410: gone" in list(report.lines(ledger))


@pytest.mark.parametrize("award", [("ada", "badge", "other"), CAUSED[0]])
def test_what_did_not_happen_or_has_two_ids_is_invented(award: tuple[str, str, str]) -> None:
    ledger = judged({**BODIES, "msg_9": body(*award)})
    assert (ledger.webhooks_lost, ledger.webhooks_invented) == (0, 1)


def test_a_delivery_that_changes_between_two_tries_is_invented() -> None:
    told = Told()
    for number in range(40):
        for text in (b"one", b"other"):
            while taken(told, f"msg_{number}", text) != 204:
                pass
    assert told.changed == {f"msg_{number}" for number in range(40)}
    assert judged(BODIES, "msg_0").webhooks_invented == 1


def test_a_receiver_fails_half_of_the_time_and_never_for_good() -> None:
    told = Told()
    answers = [taken(told, f"msg_{number}", b"") for number in range(1000)]
    assert 400 < answers.count(500) < 600
    for number in range(1000):
        statuses = [taken(told, f"msg_{number}", b"") for _ in range(MOST_FAILURES)]
        assert statuses[-1] == 204


def test_a_try_that_failed_says_nothing_of_the_next() -> None:
    told = Told()
    failed = [name for name in map("msg_{}".format, range(1000)) if taken(told, name, b"") == 500]
    again = [taken(told, name, b"") for name in failed]
    assert 0.4 < again.count(500) / len(again) < 0.6
