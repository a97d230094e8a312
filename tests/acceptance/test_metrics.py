"""`/metrics` says what happened, whoever answered: the lane or the handlers."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bq_server.metrics.families import FAMILIES
from tests.support.client import Project, event
from tests.support.process import ServerProcess, until

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Numbers:
    """What a scrape told."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._series: Series = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self._series.get((name, frozenset(labels.items())), 0.0)

    def told(self, name: str) -> bool:
        """Whether there is a value of it."""
        return any(series == name for series, _ in self._series)

    def __len__(self) -> int:
        return len(self._series)


def scrape(server: ServerProcess) -> Numbers:
    answer = httpx.get(f"{server.url}/metrics", headers={"X-API-Key": server.key}, verify=False)
    assert answer.status_code == 200, answer.text
    return Numbers(answer.text)


@pytest.fixture(params=["on", "off"])
def counted(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir, "--http-lane", request.param) as server:
        yield server


def test_every_metric_of_the_table_is_told_and_no_other(counted: ServerProcess) -> None:
    found = scrape(counted)
    # The parser gives counters without their suffix.
    assert {name for name in found.families if name.startswith("bq_")} == {
        family.name.removesuffix("_total") for family in FAMILIES
    }
    assert {family.name: found.families[family.name.removesuffix("_total")].type for family in FAMILIES} == {
        family.name: family.kind for family in FAMILIES
    }
    assert found("process_resident_memory_bytes") > 0


def test_events_are_counted_by_what_became_of_them(counted: ServerProcess) -> None:
    route = "/api/v1/ingest/events"
    with counted.client() as client:
        for key in ("a", "b", "a"):
            assert client.post("/ingest/events", json=event(), headers={"Idempotency-Key": key}).status_code == 202
        client.post("/ingest/events", json=event())
        for _ in range(2):
            batch = {"events": [event(), {}, event(idempotency_key="c"), event(participant_id="")]}
            assert client.post("/ingest/events/batch", json=batch).status_code == 202
        client.post("/sandbox/drain", json={})
        for key in ("a", "s", "s"):
            assert client.post("/ingest/events/sync", json=event(), headers={"Idempotency-Key": key}).status_code == 200
        client.post("/ingest/events", json=event(), headers={"Idempotency-Key": "a"})
        assert client.post("/ingest/events", json=event("x"), headers={"Idempotency-Key": "a"}).status_code == 409
        assert client.post("/ingest/events", json={}).status_code == 422
        assert (
            client.post("/ingest/events", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
        )
        client.post("/sandbox/drain", json={})
        found = scrape(counted)
        facts = len(client.get("/facts").json()["facts"])
    assert found("bq_events_accepted_total", path="async") == 9
    assert found("bq_events_repeated_total", path="async") == 3
    assert found("bq_events_accepted_total", path="sync") == 3
    assert found("bq_events_repeated_total", path="sync") == 2
    assert found("bq_batch_events_rejected_total") == 4
    assert found("bq_facts_total") == facts == 7
    assert found("bq_accept_to_fact_seconds_count") == 6
    assert found("bq_stream_write_messages_sum") >= 6
    assert found("bq_batch_events_sum") >= 7
    for status, count in (("202", 5), ("400", 1), ("409", 1), ("422", 1)):
        assert found("bq_http_requests_total", method="POST", route=route, status=status) == count
    assert found("bq_http_request_duration_seconds_count", method="POST", route=route) == 8
    assert found("bq_http_requests_total", method="POST", route=f"{route}/batch", status="202") == 2
    assert found("bq_requests_refused_total", code="idempotency_conflict") == 1
    assert found("bq_requests_refused_total", code="validation_failed") == 1
    assert found("bq_requests_refused_total", code="invalid_json") == 1
    assert found("bq_requests_refused_total", code="overloaded") == 0
    assert found("bq_queue_messages") == found("bq_oldest_unfinished_seconds") == found("bq_dead_letters") == 0


def test_series_are_bounded_whatever_clients_send(counted: ServerProcess) -> None:
    with counted.client() as client:
        client.get("/nothing")
        client.get(f"{counted.url}/metrics", headers={"X-API-Key": "wrong"})
        client.request("FOO", "/facts")
        client.get("/facts/a")
        scrape(counted)  # a scrape is a request, too
        before = len(scrape(counted))
        for number in range(40):
            client.get(f"/nothing/{number}")
            client.request(f"M{number}", "/facts")
            client.get(f"/facts/{number}?x={number}")
            client.post("/ingest/events", json=event(f"name{number}", f"who{number}", properties={f"k{number}": 1}))
            client.get("/facts", headers={"X-API-Key": f"wrong{number}"})
        after = scrape(counted)
    # Of routes that nobody had asked before: ingest/events, and facts without a key.
    assert len(after) <= before + 2 * 20
    assert after("bq_requests_refused_total", code="unauthenticated") == 41
    assert after("bq_http_requests_total", method="GET", route="other", status="404") == 41


def test_warnings_of_rules_and_a_stopped_stream_are_seen(counted: ServerProcess) -> None:
    game = {"points": [{"code": "spend", "on": "bought", "award": "properties.amount"}]}
    with counted.client() as client:
        assert client.put("/gamify/admin/game", json=game).status_code == 200
        client.post("/ingest/events/sync", json=event("bought", properties={"amount": "much"}))
        client.post("/ingest/events/sync", json=event("bought", properties={"amount": 5}))
        assert scrape(counted)("bq_rule_warnings_total") == 1
        (pid,) = counted.valkey_pids
        os.kill(pid, signal.SIGSTOP)
        try:
            found = scrape(counted)
            assert not found.told("bq_queue_messages")
            assert found("bq_check_ok", check="stream") == 0
            assert found("bq_check_ok", check="store") == 1
            client.post("/ingest/events", json=event())
            assert scrape(counted)("bq_requests_refused_total", code="stream_unavailable") == 1
        finally:
            os.kill(pid, signal.SIGCONT)
        until("the stream is asked again", lambda: scrape(counted)("bq_check_ok", check="stream") == 1)
        assert scrape(counted).told("bq_queue_messages")


def test_connections_are_counted(counted: ServerProcess) -> None:
    before = scrape(counted)
    with httpx.Client(verify=False) as client:
        client.get(f"{counted.url}/livez")
        found = scrape(counted)
        assert found("bq_connections") == 2
    assert found("bq_connections_admitted_total") == before("bq_connections_admitted_total") + 2
    assert found("bq_connections_limit") > 0


def test_metrics_need_a_key_of_their_scope(bq: Project) -> None:
    def asked(**headers: str) -> int:
        return httpx.get(str(bq.http.base_url.join("/metrics")), headers=headers, verify=False).status_code

    keys = bq.keys
    assert asked() == asked(**{"X-API-Key": "bq_test_x"}) == asked(Authorization="Bearer x") == 401
    assert asked(**{"X-API-Key": keys["test:read"]}) == asked(Authorization=f"Bearer {keys['test:ingest']}") == 403
    assert asked(**{"X-API-Key": keys["test"]}) == asked(**{"X-API-Key": keys["test:admin"]}) == 200
    assert asked(Authorization=f"bearer {keys['live']}") == 200
    facts = str(bq.http.base_url.join("/api/v1/facts"))
    bearer = {"Authorization": f"Bearer {keys['test']}"}
    assert httpx.get(facts, headers=bearer, verify=False).status_code == 401, "elsewhere it is X-API-Key alone"
