"""Trouble that must stay small: many at once, a frozen stream, a locked store, secrets in tracebacks, HTTP/2."""

import json
import logging
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import structlog

from bq_server.refusals import Code
from bq_server.runtime.logs import configure
from tests.support.client import Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess, until
from tests.support.store import no_new_facts


def test_hundreds_of_keyed_sync_events_at_once_are_all_facts(bq: Project, server: ServerProcess) -> None:
    def send(number: int) -> httpx.Response:
        sent = event(idempotency_key=f"k{number}")
        return server.request("POST", "/ingest/events/sync", key=bq.keys["test"], json=sent)

    with ThreadPoolExecutor(150) as pool:
        answers = list(pool.map(send, range(300)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(bq.facts()) == 300


def test_a_sync_batch_is_carried_out_whole(bq: Project, server: ServerProcess) -> None:
    def send(number: int) -> httpx.Response:
        sent = {"events": [event(f"batch_{number}")] * 90}
        return server.request("POST", "/gamify/events/batch", key=bq.keys["test"], json=sent)

    with ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(send, range(80)))
    for number, answer in enumerate(answers):
        entry = bq.get(f"/events/catalog/batch_{number}")
        assert (answer.status_code, entry.status_code) in ((200, 200), (503, 404))
        if answer.status_code == 200:
            assert entry.json()["count"] == 90


def test_a_frozen_stream_server_costs_one_request_a_second_and_then_nobody(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server, server.client() as client:
        (pid,) = server.valkey_pids
        os.kill(pid, signal.SIGSTOP)
        try:
            check(client.post("/ingest/events", json=event()), Code.STREAM_UNAVAILABLE)
            started = time.monotonic()
            for _ in range(20):
                check(client.post("/ingest/events", json=event()), Code.STREAM_UNAVAILABLE)
            assert time.monotonic() - started < 10, "twenty refusals are quicker than ten time-outs"
            check(httpx.get(f"{server.url}/readyz", timeout=30), Code.NOT_READY)
        finally:
            os.kill(pid, signal.SIGCONT)
        until("events are taken again", lambda: client.post("/ingest/events", json=event()).status_code == 202)


def test_restarts_while_the_store_is_away_cost_no_message(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        key = server.key
        with no_new_facts(data_dir):
            accepted = [server.request("POST", "/ingest/events", json=event()).json()["message_id"] for _ in range(5)]
        # As if so many starts had each been ended in order while the disk was full: the store is locked at each.
        for _ in range(3):
            with no_new_facts(data_dir):
                late = server.request("POST", "/ingest/events", key=key, json=event()).json()["message_id"]
                accepted.append(late)
                until("the consumer waits", lambda: "consumer.stalled" in server.log, seconds=30)
                server.stop()
            server.start()
        for message_id in accepted:
            until(
                "the event is a fact",
                lambda each=message_id: (
                    server.request("GET", f"/ingest/messages/{each}", key=key).json()["status"] == "processed"
                ),
            )
        assert server.stop() == 0


def test_a_locked_store_is_said_within_seconds_and_nothing_is_kept_of_it(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        with no_new_facts(data_dir):
            sent = event(idempotency_key="k")
            with ThreadPoolExecutor(6) as pool:
                started = time.monotonic()
                refused = list(pool.map(lambda _: server.request("POST", "/ingest/events/sync", json=sent), range(6)))
                assert time.monotonic() - started < 20
            for answer in refused:
                check(answer, Code.STORE_UNAVAILABLE)
        other = server.request("POST", "/ingest/events/sync", json=sent | {"participant_id": "another"})
        assert other.status_code == 200, "a refused event has no claim on its key"
        server.stop()


def test_http2_survives_a_refusal_before_the_body_was_read(bq: Project, server: ServerProcess) -> None:
    with httpx.Client(http1=False, http2=True, base_url=server.url, timeout=30) as client:
        key = {"X-API-Key": bq.keys["test"]}
        large = event(properties={"a": "x" * 60_000, "b": "y" * 200_000})
        check(client.post("/api/v1/ingest/events", json=large), Code.UNAUTHENTICATED)
        check(client.post("/api/v1/ingest/events", json=large, headers=key), Code.VALIDATION_FAILED)
        check(
            client.post(
                "/api/v1/ingest/events", content=b" " * (2 << 20), headers={**key, "Content-Type": "application/json"}
            ),
            Code.BODY_TOO_LARGE,
        )
        answer = client.post("/api/v1/ingest/events/sync", json=event(), headers=key)
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_in_the_log_shows_no_values(
    log_format: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure("json" if log_format == "json" else "console", "info")
        try:
            presented = "bq_test_" + "0" * 32
            raise RuntimeError("broke")
        except RuntimeError:
            structlog.get_logger("test").exception("request.broke")
        shown = capsys.readouterr().err
        assert "RuntimeError" in shown
        assert presented not in shown
        assert sys.exc_info() == (None, None, None)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


def test_what_should_not_have_been_sent_is_kept_in_small(bq: Project) -> None:
    bq.send_sync(event() | {f"{'x' * 500}{number}": number for number in range(1000)})
    (fact,) = bq.facts()
    assert len(fact["warnings"]) == 21
    assert "980 more" in fact["warnings"][-1]["detail"]
    for value in ("\ud800", "a\0", float("nan")):
        content = json.dumps(event(extra=value)).encode()
        refused = bq.request("POST", "/ingest/events", content=content, headers={"Content-Type": "application/json"})
        check(refused, Code.VALIDATION_FAILED)


def test_a_page_of_large_facts_ends_early_and_goes_on(bq: Project) -> None:
    bq.post("/gamify/events/batch", {"events": [event(properties={"a": "x" * 50_000, "n": n}) for n in range(60)]})
    page = bq.get("/facts", limit=1000).json()
    assert 10 < len(page["facts"]) < 60
    assert page["next_cursor"]
    assert [fact["properties"]["n"] for fact in bq.facts(limit=1000)] == list(reversed(range(60)))
