"""Authentication: API key required; pass it in the `X-API-Key` header; keys have a prefix."""

import hashlib
from collections.abc import Callable

from harness.conformance.conversation import RecordedExchange
from harness.conformance.facts import ReportedFact
from harness.conformance.outcomes import Failed, Unseen
from harness.conformance.single import example
from harness.conformance.statements import BATCH, SINGLE, SYNC, Examination, Remark, Section, observation

PREFIXES = ("bq_live_", "bq_test_")

AUTHENTICATION = Section("Authentication")


def _is_refusal(exchange: RecordedExchange, why: str) -> None:
    exchange.must(exchange.status in (401, 403), f"a refusal (401 or 403): {why}")


def _attempt(run: Examination, path: str, key: str | None, note: str) -> RecordedExchange:
    event = run.event("unknown")
    return run.conversation.post(path, {"events": [event]} if path == BATCH else event, key=key, note=note)


def _unknown_key(run: Examination) -> str:
    """A key that is well-formed and that nobody was given."""
    return "bq_test_" + hashlib.sha256(run.prefix.encode()).hexdigest()[:32]


def _without_key(path: str) -> Callable[[Examination], RecordedExchange]:
    return lambda run: _attempt(run, path, None, "without X-API-Key")


def _with_unknown_key(path: str) -> Callable[[Examination], RecordedExchange]:
    return lambda run: _attempt(run, path, _unknown_key(run), "with an X-API-Key that was never given out")


KEYLESS = {path: observation()(_without_key(path)) for path in (SINGLE, BATCH, SYNC)}
UNKNOWN = {path: observation()(_with_unknown_key(path)) for path in (SINGLE, BATCH, SYNC)}

for _name, _path in (("single", SINGLE), ("batch", BATCH), ("sync", SYNC)):

    @AUTHENTICATION.says(f"auth.required.{_name}", f"An API key is required by POST {_path}.", KEYLESS[_path])
    def _required(exchange: RecordedExchange) -> Remark:
        _is_refusal(exchange, "the request has no key")
        return None


for _name, _path in (("single", SINGLE), ("batch", BATCH), ("sync", SYNC)):

    @AUTHENTICATION.says(
        f"auth.unknown.{_name}", f"A key that was never given out is none to POST {_path}.", UNKNOWN[_path]
    )
    def _unknown(exchange: RecordedExchange) -> Remark:
        _is_refusal(exchange, "the key was never given out")
        return None


@observation()
def nothing_written(run: Examination) -> list[ReportedFact]:
    """The facts of the requests above, which must not have been let in."""
    for refused in (*KEYLESS.values(), *UNKNOWN.values()):
        run.see(refused)
    return run.facts.of(run.participant("unknown"))


@AUTHENTICATION.says("auth.no_effect", "A request refused for its key has no effect.", nothing_written)
def _no_effect(facts: list[ReportedFact]) -> Remark:
    if facts:
        raise Failed("the requests without a valid key", "no fact", f"{len(facts)} facts made of them")
    return None


@AUTHENTICATION.says("auth.header", "The key is passed in the header X-API-Key.", example)
def _header(exchange: RecordedExchange) -> Remark:
    exchange.must(exchange.status not in (401, 403), "the key accepted from this header")
    return None


@observation()
def own_key(run: Examination) -> str:
    """The key of this run."""
    return run.key


@AUTHENTICATION.says("auth.prefix", "Keys have the prefix bq_live_ or bq_test_.", own_key)
def _prefix(key: str) -> Remark:
    if not key.startswith(PREFIXES):
        raise Failed("the key of this run", "bq_live_ or bq_test_ before it", "a key that begins otherwise")
    return None


@observation()
def key_without_prefix(run: Examination) -> RecordedExchange:
    """The key of this run, but for its prefix."""
    for prefix in PREFIXES:
        if run.key.startswith(prefix):
            bare = run.key.removeprefix(prefix)
            return _attempt(run, SINGLE, bare, "with the key without its prefix")
    raise Unseen("the key has no prefix: see auth.prefix")


@AUTHENTICATION.says("auth.prefix.part", "The prefix is a part of the key.", key_without_prefix)
def _prefix_is_part(exchange: RecordedExchange) -> Remark:
    _is_refusal(exchange, "the key lacks its prefix")
    return None
