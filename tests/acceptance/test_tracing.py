"""A trace leads from a caller's request across the stream to the fact, and costs nothing where nobody asks for it."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bq_server.events import Event, Scope
from bq_server.tracing.tracer import Tracer
from tests.support.client import Json, event
from tests.support.process import ServerProcess, until
from tests.support.store import no_new_facts

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@contextmanager
def collector() -> Iterator[tuple[str, list[Json]]]:
    """A collector, and the spans that it got."""
    spans: list[Json] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/traces"
            for resource in sent["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    spans.extend(scope["spans"])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", spans
        finally:
            server.shutdown()
            thread.join()


def attributes(span: Json) -> dict[str, Any]:
    return {each["key"]: each["value"]["stringValue"] for each in span["attributes"]}


def test_a_trace_goes_across_the_stream_and_a_restart(data_dir: Path) -> None:
    with collector() as (url, spans), ServerProcess(data_dir, "--otlp-endpoint", url) as server:
        with no_new_facts(data_dir), server.client(**CALLER) as client:
            accepted = client.post("/ingest/events", json=event(properties={"secret": "s3cret"}))
            until("the first span is there", lambda: spans)
            server.kill()
        message_id = accepted.json()["message_id"]
        server.start()
        until("the second span is there", lambda: len(spans) >= 2)
        with server.client(**CALLER) as client:
            client.post("/ingest/events/sync", json=event())
            client.post("/ingest/events/batch", json={"events": [event(), event()]})
        until("all spans are there", lambda: len(spans) >= 7)
        assert server.stop() == 0
    ingest, process = spans[0], next(each for each in spans if each["name"] == "process")
    assert (ingest["name"], ingest["traceId"], ingest["parentSpanId"]) == ("ingest", TRACE, PARENT)
    assert (process["traceId"], process["parentSpanId"]) == (TRACE, ingest["spanId"])
    assert attributes(process)["messaging.message.id"] == message_id
    assert attributes(process)["bq.event_id"] == attributes(ingest)["bq.event_id"]
    assert int(ingest["startTimeUnixNano"]) <= int(ingest["endTimeUnixNano"]) <= int(process["endTimeUnixNano"])
    assert sorted(each["name"] for each in spans) == ["ingest"] * 4 + ["process"] * 3
    assert len({each["spanId"] for each in spans}) == 7
    assert not any(word in json.dumps(spans) for word in ("user_123", "s3cret"))


def test_a_collector_that_is_away_is_said_once_and_stops_nothing(data_dir: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as taken:
        url = f"http://127.0.0.1:{taken.server_port}"
    with ServerProcess(data_dir, "--otlp-endpoint", url) as server:
        for _ in range(2):
            server.request("POST", "/ingest/events", json=event())
            until("it is said", lambda: "traces.not_sent" in server.log)
        assert server.request("POST", "/sandbox/drain", json={}).json()["facts"] == 2
        assert server.stop() == 0
        assert server.log.count("traces.not_sent") == 1
        assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("header", "trace", "parent"),
    [
        (None, None, ""),
        ("nonsense", None, ""),
        (f"00-{'0' * 32}-{PARENT}-01", None, ""),
        (f"00-{TRACE}-{'0' * 16}-01", None, ""),
        (f"00-{TRACE}-{PARENT}-01", TRACE, PARENT),
        (f"cc-{TRACE}-{PARENT}-03-more", TRACE, PARENT),
    ],
)
def test_what_a_caller_says_is_taken_up_if_it_is_a_context(header: str | None, trace: str | None, parent: str) -> None:
    tracer = Tracer(iter(range(100)).__next__, lambda size: b"\x01" * size)
    begun = tracer.begin(Event("evt_1", Scope("p", "test"), "e", "u", "{}", 1, 1), header)
    assert Event.from_payload(begun.to_payload(), "1-0").traceparent == begun.traceparent
    tracer.accepted([begun])
    (span,) = tracer.take(9)
    assert (span.trace_id, span.parent_id) == (trace or "01" * 16, parent)
    assert tracer.take(9) == []


def test_what_is_not_sampled_is_not_traced() -> None:
    tracer = Tracer(lambda: 0, lambda size: b"\x01" * size)
    plain = Event("evt_1", Scope("p", "test"), "e", "u", "{}", 1, 1)
    assert tracer.begin(plain, f"00-{TRACE}-{PARENT}-00") is plain
    tracer.accepted([plain])
    tracer.processed(plain, 0)
    assert tracer.take(9) == []


def test_nothing_of_it_is_loaded_where_nobody_asks_for_it() -> None:
    script = "import sys, bq_server.server.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not any(name.startswith("bq_server.tracing") for name in loaded)
