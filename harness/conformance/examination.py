"""Examining a server: whether there is one, then statement by statement."""

import secrets
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct, field

from harness.conformance import authentication, batch, endpoints, idempotency, refusals, schema, single, sync
from harness.conformance.conversation import Conversation, RecordedExchange
from harness.conformance.outcomes import CannotRun, Failed, Unseen, printable
from harness.conformance.statements import SYNC, Examination, Section, Statement, left_by
from harness.selector import selector

SECTIONS: Sequence[Section] = (
    endpoints.ENDPOINTS,
    authentication.AUTHENTICATION,
    single.ASYNC,
    batch.BATCHES,
    sync.SYNCHRONOUS,
    schema.SCHEMA,
    idempotency.IDEMPOTENCY,
    refusals.REFUSALS,
)
"""In the order of the page, except that a route without any answer fails as an endpoint first."""

DEFAULT_TIMEOUT_SECONDS = 10.0


class ExaminationOutcome(StrEnum):
    """The outcome of one statement."""

    PASSED = "pass"
    FAILED = "FAIL"
    SKIPPED = "skipped"


class StatementResult(Struct, frozen=True):
    """One statement, examined."""

    statement: Statement
    outcome: ExaminationOutcome
    remark: str | None
    """Why it was skipped, or a remark on a pass."""
    failure: Failed | None
    seconds: float


class ExaminationPlan(Struct):
    """What will be done to which server."""

    url: str
    seed: int
    prefix: str
    statements: list[Statement]
    leaves: int
    """How many more facts a correct server will have."""
    results: list[StatementResult] = field(default_factory=list)

    def count(self, outcome: ExaminationOutcome) -> int:
        """How many statements had this outcome."""
        return sum(result.outcome is outcome for result in self.results)


class ExaminationListener(Protocol):
    """Is told how a run proceeds."""

    def planned(self, plan: ExaminationPlan) -> None:
        """Before anything is sent."""

    def judged(self, result: StatementResult) -> None:
        """After each statement."""


def every_statement() -> list[Statement]:
    """The whole contract, in the order of the page."""
    return [statement for section in SECTIONS for statement in section.statements]


def select(expression: str) -> list[Statement]:
    """The statements whose names match `-k`, all if it is empty. Raises `CannotRun` if there is none."""
    if not expression.strip():
        return every_statement()
    try:
        wanted = selector(expression)
    except ValueError as error:
        raise CannotRun(f"-k {expression!r} can't be read: {error}") from None
    found = [statement for statement in every_statement() if wanted(statement.name)]
    if not found:
        raise CannotRun(f"-k {expression!r} names no statement")
    return found


def examine(
    url: str,
    key: str,
    *,
    statements: Sequence[Statement],
    live: bool = False,
    seed: int | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    listener: ExaminationListener | None = None,
) -> ExaminationPlan:
    """Examine a server.

    `timeout` is in seconds: for each answer, and for an accepted event to become a fact. Raises `CannotRun`.
    """
    _check_key(key, live)
    seed = secrets.randbits(32) if seed is None else seed
    with Conversation(url, key, timeout) as conversation:
        run = Examination(conversation, key, seed)
        plan = ExaminationPlan(
            conversation.base, seed, run.prefix, list(statements), left_by(statements, besides=single.example)
        )
        if listener:
            listener.planned(plan)
        _greet(run, seed)
        for result in _judged(run, statements):
            plan.results.append(result)
            if listener:
                listener.judged(result)
    return plan


def _check_key(key: str, live: bool) -> None:
    if not key:
        raise CannotRun("give a key with --api-key or BQ_API_KEY: one of the test environment, with ingest and read")
    if not key.isascii() or not key.isprintable():
        raise CannotRun("--api-key has characters that no key has")
    if not key.startswith("bq_test_") and not live:
        raise CannotRun("the key isn't a bq_test_ key, and this writes facts that stay: say --live if you mean it")


def _greet(run: Examination, seed: int) -> None:
    """Find out whether there is anything to examine, by the first event of the page. Raises `CannotRun`."""
    url = run.conversation.base
    try:
        if run.facts.of(run.participant("single")):
            raise CannotRun(
                f"the server has facts of an earlier run with --seed {seed}, which this run would take for its own: "
                "leave --seed out, or reset the environment first"
            )
    except Unseen:
        pass  # Then no statement counts facts either.
    try:
        exchange = run.see(single.example)
        if exchange.status in (404, 405):
            # A server may lack one route, and is examined nevertheless.
            exchange = run.conversation.post(SYNC, run.event("greeting"))
    except Failed as failure:
        raise CannotRun(f"{url} gives no answer: {failure.came}{_advice(url, failure.came)}") from failure
    except Unseen as unseen:
        raise CannotRun(f"{url} can't be examined now: {unseen}") from unseen
    _check_greeting(url, exchange)


def _check_greeting(url: str, exchange: RecordedExchange) -> None:
    if exchange.status in (401, 403):
        detail = exchange.body.get("detail")
        raise CannotRun(f"{url} refuses the key ({exchange.status}){f': {detail}' if isinstance(detail, str) else ''}")
    if 300 <= exchange.status < 400:
        where = exchange.headers.get("location", "elsewhere")
        raise CannotRun(f"{url} redirects to {where}: give the URL that answers itself")
    if exchange.status in (404, 405):
        raise CannotRun(f"{url} has no Events API: it answers {exchange.status} to POST /ingest/events and .../sync")
    if exchange.status >= 500:
        raise CannotRun(f"{url} takes no events now: it answers {exchange.came}")
    if not exchange.body:
        raise CannotRun(f"{url} doesn't speak the Events API: it answers {exchange.status} without a JSON object")


def _advice(url: str, came: str) -> str:
    reason = came.lower()
    if "certificate" in reason:
        return ". SSL_CERT_FILE names the file of an authority of your own"
    if "ssl" in reason and url.startswith("https://"):
        return ". Is it plain HTTP there? Then the URL begins with http://"
    return ""


def _judged(run: Examination, statements: Sequence[Statement]) -> Iterator[StatementResult]:
    for statement in statements:
        began = time.monotonic()
        run.now = statement.name
        outcome, remark, failure = ExaminationOutcome.PASSED, None, None
        try:
            remark = printable(statement.check(run.see(statement.of)) or "") or None
        except Failed as failed:
            outcome, failure = ExaminationOutcome.FAILED, failed
        except Unseen as unseen:
            outcome, remark = ExaminationOutcome.SKIPPED, str(unseen)
        yield StatementResult(statement, outcome, remark, failure, time.monotonic() - began)
