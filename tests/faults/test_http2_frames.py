"""Frames of HTTP/2 that never come whole, from clients that need no key: little is kept of them, and not for long."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.http2 import Http2Wire
from tests.support.process import ServerProcess

MiB = 1 << 20
DATA, HEADERS, CONTINUATION = 0, 1, 9
END_STREAM = 1
FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM = 6, 11


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("frames") / "data", "--read-timeout-seconds", "0.5") as server:
        yield server
        assert "Traceback" not in server.log
        assert "exc_type" not in server.log
        assert server.stop() == 0


def frame(kind: int, length: int, flags: int = 0) -> bytes:
    """The head of a frame of the first stream."""
    return length.to_bytes(3, "big") + bytes([kind, flags]) + (1).to_bytes(4, "big")


def ended(wire: Http2Wire) -> None:
    while wire.read():
        pass
    wire.close()


@pytest.mark.parametrize("kind", [DATA, HEADERS, 0xBB])
def test_a_frame_that_is_too_long_is_refused_before_it_is_there(server: ServerProcess, kind: int) -> None:
    before = server.resident_bytes
    wires = [Http2Wire(server.url) for _ in range(8)]
    for wire in wires:
        wire.send(frame(kind, (1 << 24) - 1))
        for _ in range(8):
            wire.send(bytes(MiB))
    assert server.resident_bytes - before < 24 * MiB
    wires[0].close()
    wire = Http2Wire(server.url)
    wire.send(frame(kind, (1 << 24) - 1))
    ended(wire)
    assert wire.error == FRAME_SIZE_ERROR
    for wire in wires:
        wire.close()
    assert httpx.get(f"{server.url}/livez", verify=False).status_code == 200


def test_a_head_of_many_frames_is_refused(server: ServerProcess) -> None:
    wire = Http2Wire(server.url)
    wire.send(frame(HEADERS, 16_384, END_STREAM) + bytes(16_384))
    for _ in range(4):
        wire.send(frame(CONTINUATION, 16_384) + bytes(16_384))
    ended(wire)
    assert wire.error == ENHANCE_YOUR_CALM


def test_a_head_that_is_not_finished_ends_the_connection(server: ServerProcess) -> None:
    wire = Http2Wire(server.url)
    wire.send(frame(HEADERS, 1, END_STREAM) + b"\x82")
    ended(wire)
    assert wire.ended


def test_a_head_of_two_frames_is_answered(server: ServerProcess) -> None:
    wire = Http2Wire(server.url)
    stream = wire.begin("GET", "/livez", [("x-long", "a" * 8_000)])
    whole = wire.connection.data_to_send()
    begins = whole.index(frame(HEADERS, len(whole) - 9, 5)) + 9
    head = whole[begins:]
    wire.send(frame(HEADERS, 100, END_STREAM) + head[:100] + frame(CONTINUATION, len(head) - 100, 4) + head[100:])
    while not wire.finished and wire.read():
        pass
    wire.close()
    assert (stream, wire.statuses["200"]) == (1, 1)
