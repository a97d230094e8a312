"""Connections that would take the server down: many, slow, greedy, malicious. It stays up, small and reachable."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from bq_server.refusals import Code
from bq_server.runtime.descriptors import RESERVE
from tests.lane.corpus import BATCH, encoded
from tests.support.client import event
from tests.support.http2 import Http2Wire
from tests.support.problems import check
from tests.support.process import ServerProcess, until
from tests.support.wire import LAST, Wire, request

MiB = 1 << 20
FRAME = 16_384
"""Of an HTTP/2 body."""

OPENAPI = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
ENHANCE_YOUR_CALM = 11


@pytest.fixture(params=["on", "off"])
def lane(request: pytest.FixtureRequest) -> str:
    """Whether the lane answers; what a client can't do must not depend on it."""
    return str(request.param)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    flags = ["--read-timeout-seconds", "0.5", "--write-timeout-seconds", "2", "--max-inflight-bytes", str(16 * MiB)]
    with ServerProcess(tmp_path_factory.mktemp("faults") / "data", *flags) as server:
        yield server
        assert "Traceback" not in server.log
        assert "exc_type" not in server.log
        assert server.stop() == 0


def sent(server: ServerProcess, body: bytes, **parts: bytes) -> bytes:
    return request(body, key=server.key.encode(), **parts)


def test_20000_connections_one_after_the_other_need_no_more_than_256_descriptors(data_dir: Path) -> None:
    with ServerProcess(data_dir, open_files=256) as server:
        before = server.descriptors
        good = sent(server, encoded(event()))
        elsewhere = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        address = ("127.0.0.1", httpx.URL(server.url).port)
        kinds = [good, b"", b"POST /api", b"", elsewhere, b"", b"POST /api", good[:-1]]
        for number in range(20_000):
            data = kinds[number % len(kinds)]
            with socket.socket() as connection:  # by hand: it is the server's time that is to be spent here
                connection.connect(address)
                connection.sendall(data)
                if data in (good, elsewhere):
                    # A busy machine's stream server may be late: that is answered, too.
                    assert connection.recv(4096)[9:12] in (b"200", b"202", b"503")
        until("the last ones are released", lambda: server.descriptors <= before + 5)
        assert "connections.full" not in server.log
        assert server.stop() == 0


def test_a_closed_connection_is_released_at_once(data_dir: Path, lane: str) -> None:
    with ServerProcess(data_dir, "--http-lane", lane) as server:
        before = server.descriptors
        with ExitStack() as stack:
            wires = [stack.enter_context(Wire(server.url)) for _ in range(60)]
            for number, wire in enumerate(wires):
                wire.send([sent(server, encoded(event())), OPENAPI, b"", b"POST /api"][number % 4])
                if number % 4 < 2:
                    wire.answer()
            # The connection that looked whether the server is ready may have been among those before.
            until("they are all let in", lambda: server.descriptors >= before + 59)
        until("they are released", lambda: server.descriptors <= before + 2, seconds=10)
        assert server.stop() == 0


def test_an_http2_client_that_goes_away_unread_is_released_at_once(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        before = server.descriptors
        for _ in range(10):
            wire = Http2Wire(server.url, window=0)
            for _ in range(5):
                wire.begin("GET", "/openapi.json")
            wire.flush()
            while not wire.statuses:
                wire.read()
            wire.close()
        until("they are released", lambda: server.descriptors <= before + 2, seconds=10)
        assert server.stop() == 0


def test_past_the_cap_the_answer_says_so_and_readyz_too(data_dir: Path, lane: str) -> None:
    most = 256 - RESERVE
    with ServerProcess(data_dir, "--http-lane", lane, open_files=256) as server, ExitStack() as stack:
        kept = stack.enter_context(httpx.Client(base_url=server.url, verify=False))
        assert kept.get("/readyz").status_code == 200
        wires = [stack.enter_context(Wire(server.url)) for _ in range(most)]
        turned_away = [stack.enter_context(Wire(server.url)) for _ in range(20)]
        answers = [wire.rest() for wire in turned_away]
        for answer in answers:
            assert answer.startswith(b"HTTP/1.1 503 \r\n")
            assert b"\r\nretry-after: 1\r\n" in answer
            assert b"\r\nconnection: close\r\n" in answer
            assert b'"code":"overloaded"' in answer
        detail = check(kept.get("/readyz"), Code.NOT_READY)["detail"]
        assert f"the limit of {most} open connections is reached" in detail
        assert server.log.count("connections.full") == 1
        for wire in wires[:40]:
            wire.close()
        until("it is ready again", lambda: kept.get("/readyz").status_code == 200)
        assert server.request("POST", "/ingest/events", json=event()).status_code == 202


def test_one_address_may_have_so_many_and_others_are_not_kept_out(data_dir: Path, lane: str) -> None:
    flags = ("--http-lane", lane, "--max-connections-per-address", "5", "--host", "0.0.0.0")
    with ServerProcess(data_dir, *flags) as server, ExitStack() as stack:

        def let_in() -> bool:
            # The connection that looked whether the server is ready may not be gone yet.
            wire = stack.enter_context(Wire(server.url))
            wire.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            return wire.answer().startswith(b"HTTP/1.1 200")

        for _ in range(5):
            until("a connection is let in", let_in)
        port = httpx.URL(server.url).port
        refused = stack.enter_context(Wire(server.url)).rest()
        assert b"127.0.0.1 has reached the limit of 5 open connections from one address" in refused
        with socket.create_connection(("127.0.0.1", port or 0), source_address=("127.0.0.2", 0)) as other:
            other.sendall(LAST)
            assert other.recv(100).startswith(b"HTTP/1.1 200")


def test_a_head_that_does_not_arrive_ends_the_connection(server: ServerProcess) -> None:
    for begun in (b"P", b"POST /api/v1/ingest/events HTTP/1.1\r\nHost: x\r\n", b"GET /facts HTTP/1.1\r\nHos"):
        with Wire(server.url) as wire:
            wire.send(begun)
            assert wire.rest() == b""


def test_a_body_that_does_not_arrive_is_told_and_ends_the_connection(server: ServerProcess) -> None:
    for path in (b"/api/v1/ingest/events", BATCH, b"/api/v1/ingest/events/sync"):
        whole = sent(server, encoded(event()), path=path)
        with Wire(server.url) as wire:
            wire.send(whole[:-5])
            answer = wire.rest()
            assert answer.startswith(b"HTTP/1.1 408 \r\n")
            assert answer.endswith(b"}")


def test_a_client_that_does_not_read_is_not_buffered_for_and_cut_off(server: ServerProcess) -> None:
    good = sent(server, encoded(event()))
    before = server.resident_bytes
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.url)) for _ in range(20)]
        for wire, asked in zip(wires, [good, OPENAPI] * 10, strict=True):
            wire._socket.settimeout(0.3)
            for _ in range(10_000):  # more than the kernel holds of any connection
                wire.send(asked * 50)
                if wire.ended:
                    break
        assert all(wire.ended for wire in wires), "the server reads no more from them"
        assert server.resident_bytes - before < 64 * MiB
        assert httpx.get(f"{server.url}/livez", verify=False).status_code == 200
        until("they are cut off", lambda: server.descriptors < 60, seconds=20)


@pytest.mark.parametrize("path", [b"/api/v1/ingest/events", BATCH, b"/api/v1/ingest/events/sync"])
def test_a_body_framed_in_two_ways_is_refused(server: ServerProcess, path: bytes) -> None:
    with Wire(server.url) as wire:
        wire.send(
            sent(server, b"0\r\n\r\n" + LAST, path=path).replace(
                b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n", 1
            )
        )
        answer = wire.rest()
        assert answer.startswith(b"HTTP/1.1 400 \r\n")
        assert b"200" not in answer, "what is smuggled behind it is not answered"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET /livez HTTP/1.1\r\n\r\n", Code.MALFORMED_REQUEST),
        (b"GET  /livez\r\n\r\n", Code.MALFORMED_REQUEST),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", Code.MALFORMED_REQUEST),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", Code.MALFORMED_REQUEST),
        (b"POST /facts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", Code.MALFORMED_REQUEST),
        (b"HEAD /livez HTTP/1.1\r\nContent-Length: x\r\nHost: x\r\n\r\n", Code.MALFORMED_REQUEST),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"x" * 20_000), Code.HEAD_TOO_LARGE),
    ],
)
def test_what_is_no_request_gets_the_document_of_every_refusal(server: ServerProcess, sent: bytes, code: Code) -> None:
    with Wire(server.url) as wire:
        wire.send(sent)
        head, _, body = wire.rest().partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    answer = httpx.Response(int(status.split()[1]), headers=headers, content=body)
    request_id = check(answer, code)["request_id"]
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"
    until("it is logged", lambda: request_id in server.log)


def test_a_handshake_for_web_sockets_is_an_ordinary_request(server: ServerProcess) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
    with Wire(server.url) as wire:
        for path, status in ((b"/livez", b"200"), (b"/nothing", b"404")) * 2:
            wire.send(b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path, upgrade))
            answer = wire.answer()
            assert answer.startswith(b"HTTP/1.1 %s " % status)
            assert b"\r\nx-request-id: req_" in answer


@pytest.mark.parametrize(
    "fields",
    [
        {":method": "CONNECT", ":authority": "x"},
        {":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/livez", ":authority": "x"},
        {":method": "GET", ":scheme": "http", ":path": "/\xff", ":authority": "x"},
        {":method": "G\xcbT", ":scheme": "http", ":path": "/livez", ":authority": "x"},
        {":method": "GET", ":scheme": "http", ":path": "", ":authority": "x"},
        {":method": "GET", ":scheme": "http", ":path": "*", ":authority": "x"},
        {":method": "GET", ":scheme": "http", ":path": "/livez"},
    ],
)
def test_no_request_of_http2_breaks_a_connection(server: ServerProcess, fields: dict[str, str]) -> None:
    wire = Http2Wire(server.url)
    stream = wire.connection.get_next_available_stream_id()
    encoded_fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    wire.connection.send_headers(stream, encoded_fields, end_stream=True)
    wire.begin("GET", "/livez")
    wire.flush()
    while not wire.statuses["200"] and wire.read():
        pass
    wire.close()
    assert wire.statuses["200"] or wire.error is not None, "it goes on, or is told why not"
    assert "connection.broke" not in server.log


def test_http2_with_a_window_of_0_takes_little_memory_and_is_cut_off(server: ServerProcess) -> None:
    before = server.resident_bytes
    wires = [Http2Wire(server.url, window=0) for _ in range(20)]
    for wire in wires:
        for _ in range(100):
            wire.begin("GET", "/openapi.json")
        wire.flush()
    for wire in wires:
        while not wire.statuses and wire.read():
            pass
    assert server.resident_bytes - before < 96 * MiB
    until("others are served", lambda: httpx.get(f"{server.url}/livez", verify=False).status_code == 200)
    for wire in wires:
        while wire.read():
            pass
        wire.close()
    until("nothing is held", lambda: server.request("GET", "/facts").status_code == 200)
    assert server.resident_bytes - before < 96 * MiB


def test_answers_that_are_not_read_shut_out_nobody(data_dir: Path) -> None:
    """2,400 of 24 connections, and without a key; bodies that are withheld are in tests/unit/test_gate.py."""
    with ServerProcess(data_dir) as server, ExitStack() as stack:
        for _ in range(24):
            wire = Http2Wire(server.url, window=0)
            stack.callback(wire.close)
            for _ in range(100):
                wire.begin("GET", "/openapi.json")
            wire.flush()
            while not wire.statuses and wire.read():
                pass
            assert server.request("GET", "/facts").status_code == 200
            assert server.request("POST", "/ingest/events/sync", json=event()).status_code == 200


def test_unfinished_uploads_have_one_budget(data_dir: Path) -> None:
    with ServerProcess(data_dir, "--max-inflight-bytes", str(16 * MiB)) as server, ExitStack() as stack:
        headers = [("x-api-key", server.key), ("content-type", "application/json"), ("content-length", str(8 * MiB))]
        before = server.resident_bytes
        wires = [Http2Wire(server.url) for _ in range(4)]
        for wire in wires:
            stack.callback(wire.close)
        streams = [(wire, wire.begin("POST", BATCH.decode(), headers, ends=False)) for wire in wires for _ in range(12)]
        waiting = list(streams)
        for wire, stream in (waiting.pop(0) for _ in range(20_000) if waiting):
            while wire.connection.local_flow_control_window(stream) < FRAME and wire.read():
                pass
            if not wire.ended and not wire.statuses["503"]:
                wire.connection.send_data(stream, b" " * FRAME)
                wire.flush()
                waiting.append((wire, stream))
        assert all(wire.ended or wire.statuses["503"] for wire in wires)
        assert server.resident_bytes - before < 96 * MiB
        for wire in wires:
            wire.close()
        until("events are taken", lambda: server.request("POST", "/ingest/events", json=event()).status_code == 202)
        assert server.stop() == 0


def test_streams_that_are_only_cancelled_end_the_connection(server: ServerProcess) -> None:
    wire = Http2Wire(server.url)
    for _ in range(2_000):
        stream = wire.begin("GET", "/openapi.json")
        wire.connection.reset_stream(stream)
        if stream % 64 == 1:
            wire.flush()
        if wire.ended:
            break
    wire.flush()
    while wire.read():
        pass
    wire.close()
    assert wire.error == ENHANCE_YOUR_CALM or wire.ended
    assert httpx.get(f"{server.url}/livez", verify=False).status_code == 200


def test_data_after_a_stream_was_cancelled_harms_no_other(server: ServerProcess) -> None:
    wire = Http2Wire(server.url)
    headers = [("x-api-key", "none"), ("content-type", "application/json")]
    for _ in range(30):
        stream = wire.begin("POST", "/api/v1/ingest/events", headers, ends=False)
        wire.connection.send_data(stream, b"{")
        wire.flush()
        wire.connection.reset_stream(stream)
    wire.begin("GET", "/livez")
    wire.flush()
    while not wire.statuses["200"] and wire.read():
        pass
    wire.close()
    assert wire.statuses["200"] == 1


def test_idle_connections_do_not_hold_up_the_end(data_dir: Path, lane: str) -> None:
    with ServerProcess(data_dir, "--http-lane", lane) as server, ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.url)) for _ in range(10)]
        for wire in wires[::2]:
            wire.send(sent(server, encoded(event())))
            assert wire.answer().startswith(b"HTTP/1.1 202")
        assert server.stop() == 0
        assert [wire.rest() for wire in wires] == [b""] * 10
        assert "server.stopped" in server.log
