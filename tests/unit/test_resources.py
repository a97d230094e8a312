"""Resources: what is declared above a handler becomes its route, its documentation and its refusals."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bq_server.api.call import Call
from bq_server.api.middleware.gate import Gate
from bq_server.api.openapi import document
from bq_server.api.operations import DocumentedAnswer, operation, operations_of
from bq_server.api.problems import PROBLEM_TYPES, HttpRefusal, problem_reply
from bq_server.api.resources.awards import AwardsResource
from bq_server.api.resources.events import EventsResource
from bq_server.api.resources.gamify import GamifyResource
from bq_server.api.schemas.health import LiveAnswer
from bq_server.api.schemas.values import PageQuery
from bq_server.clock import system_clock
from bq_server.concurrency.byte_budget import ByteBudget, Lease
from bq_server.events import Scope as Environment
from bq_server.ingest.outcomes import RecordedFact
from bq_server.ingest.validation import Limits
from bq_server.refusals import Code, Refusal
from bq_server.runtime.sampled_log import SampledLog
from bq_server.store.database import Database
from bq_server.store.facts import StoredFact
from bq_server.store.keys import ApiKey

pytestmark = pytest.mark.anyio

NOBODY: Any = None
ALIVE = {200: DocumentedAnswer(LiveAnswer, "Alive.")}


class Greetings:
    """A resource that knows whom it serves."""

    def __init__(self, greeting: str) -> None:
        self._greeting = greeting

    @operation("getGreeting", "GET", "/greetings", "Greetings", ALIVE, query=PageQuery)
    async def greet(self, call: Call[PageQuery]) -> Response:
        """Greet, page by page.

        Nobody is left out.
        """
        return Response(f"{self._greeting}, from {call.query.offset} on")

    async def helper(self, call: Call) -> Response:
        """No operation."""
        raise NotImplementedError

    @operation("endGreetings", "DELETE", "/greetings", "Greetings", ALIVE)
    async def fall_silent(self, _: Call) -> Response:
        """Fall silent."""
        raise NotImplementedError


async def test_a_handler_is_declared_named_and_summarized_where_it_stands() -> None:
    greet, fall_silent = operations_of(Greetings("Hello"))
    assert (greet.operation_id, greet.method, greet.path) == ("getGreeting", "GET", "/greetings")
    assert greet.summary == "Greet, page by page"
    assert (fall_silent.method, fall_silent.summary) == ("DELETE", "Fall silent")
    assert greet.query is PageQuery
    assert fall_silent.query().model_dump() == {}
    answer = await greet.handle(Call(Request({"type": "http"}), None, PageQuery(page=3), system_clock))
    assert answer.body == b"Hello, from 40 on"


def test_each_resource_is_bound_to_its_own_parts() -> None:
    one, other = [next(operations_of(Greetings(word))).handle for word in ("Hello", "Goodbye")]
    assert one != other


def test_the_openapi_document_tells_the_limits_of_this_server() -> None:
    events = EventsResource(NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY)
    operations = list(operations_of(events, GamifyResource(NOBODY, NOBODY, NOBODY)))
    found = document(operations, "1", Limits(65536, 32, max_batch_events=7))
    assert found["components"]["schemas"]["Batch"]["properties"]["events"]["maxItems"] == 7
    assert "at most 7 events" in found["components"]["schemas"]["Batch"]["description"]
    for path in ("/api/v1/ingest/events/batch", "/api/v1/gamify/events/batch"):
        assert "up to 7 events" in found["paths"][path]["post"]["summary"]


async def test_points_of_who_was_erased_before_the_answer_are_not_found(tmp_path: Path) -> None:
    what = ("system.points_awarded", "system.points_awarded", "ada", "{}")
    fact = StoredFact(1, "fact_1", "evt_1", None, "default", "test", *what, 1, 1, 1, None, None, "[]")
    async with Database.open(tmp_path / "facts") as database:
        awards = AwardsResource(NOBODY, database, NOBODY, NOBODY, NOBODY)
        key = ApiKey("key_1", Environment("default", "test"), "", frozenset(), "", 1)
        call = Call(Request({"type": "http"}), key, PageQuery(), system_clock)
        with pytest.raises(Refusal) as refused:
            await awards._what_came(call, RecordedFact(fact, repeated=False), None)
        assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("code", Code, ids=str)
def test_http_tells_of_every_refusal_as_one_table_says(code: Code) -> None:
    kind = PROBLEM_TYPES[code]
    reply = problem_reply(Refusal(code, "So."), "req")
    assert reply.status == kind.status
    # Whoever is refused for the server's state, or for too much of something, is told when to come again.
    assert ("Retry-After" in reply.headers) == (kind.status in (429, 503))
    assert problem_reply(Refusal(code, "So.", retry_after=600), "req").headers["Retry-After"] == "600"


def test_a_refusal_that_only_http_has_brings_headers_of_its_own() -> None:
    reply = problem_reply(HttpRefusal(Code.METHOD_NOT_ALLOWED, "So.", {"Allow": "GET"}), "req")
    assert (reply.status, reply.headers) == (405, {"Allow": "GET"})


async def test_the_gate_closes_the_connection_of_a_request_that_it_does_not_read() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise NotImplementedError

    budget = ByteBudget(1)
    lease = Lease(budget)
    lease.add(2)
    gate = Gate(app, budget, SampledLog("bq_server.api"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://test") as client:
        answer = await client.get("/api/v1/facts")
    assert answer.status_code == 503
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Retry-After"] == "1"
