"""Refusals: the page is silent on them; this is what the rest of the vendor's documentation says of every route."""

from harness.conformance.authentication import KEYLESS, UNKNOWN
from harness.conformance.conversation import RecordedExchange
from harness.conformance.statements import SINGLE, Examination, Remark, Section, observation

REFUSALS = Section("Refusals (from the wider documentation; the page is silent)")


@REFUSALS.says("refusal.keyless", "A request without a key is answered with 401.", KEYLESS[SINGLE])
def _keyless(exchange: RecordedExchange) -> Remark:
    exchange.needs(exchange.refused, "the request was not refused: see auth.required.single")
    exchange.must(exchange.status == 401, "status 401")
    return None


@REFUSALS.says("refusal.unknown_key", "A request with an unknown key is answered with 401.", UNKNOWN[SINGLE])
def _unknown_key(exchange: RecordedExchange) -> Remark:
    exchange.needs(exchange.refused, "the request was not refused: see auth.unknown.single")
    exchange.must(exchange.status == 401, "status 401")
    return None


@observation()
def broken(run: Examination) -> RecordedExchange:
    """A body that ends too soon."""
    return run.conversation.post(SINGLE, b'{"event_name": "')


@REFUSALS.says("refusal.broken", "A body that is not JSON is refused, and is no error of the server.", broken)
def _broken(exchange: RecordedExchange) -> Remark:
    exchange.must(exchange.refused, "a refusal (4xx)")
    return None


@observation()
def nameless(run: Examination) -> RecordedExchange:
    """An event without its name."""
    return run.conversation.post(SINGLE, {"participant_id": run.participant("nameless")})


def _explained(exchange: RecordedExchange) -> Remark:
    exchange.needs(exchange.refused, "the request was not refused")
    # Where fields are wrong, some servers list them there.
    exchange.must(bool(exchange.body.get("detail")), 'a JSON object with the reason in "detail"')
    return None


REFUSALS.says("refusal.detail.key", "A refusal is JSON and tells its reason in detail: no key.", KEYLESS[SINGLE])(
    _explained
)
REFUSALS.says("refusal.detail.event", "A refusal is JSON and tells its reason in detail: an invalid event.", nameless)(
    _explained
)
REFUSALS.says("refusal.detail.body", "A refusal is JSON and tells its reason in detail: a broken body.", broken)(
    _explained
)
