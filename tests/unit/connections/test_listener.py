"""What the listener does between the protocols that a connection has."""

import asyncio
from typing import Any, cast

import pytest

from bq_server.connections.listener import STREAM_BYTES, Listener, Open

pytestmark = pytest.mark.anyio


class PausableTransport:
    paused = True
    closed = False

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> None:
        return None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class NothingServed:
    def __init__(self, *streams: object) -> None:
        self.streams = streams

    async def run(self) -> None:
        """Nothing reads."""


@pytest.mark.parametrize(("size", "paused"), [(100, False), (3 * STREAM_BYTES, True)])
async def test_what_was_read_before_a_hand_over_counts_for_the_reader_s_pause(size: int, paused: bool) -> None:
    """Otherwise a client whose requests wait fills the memory: nothing ever pauses it again."""
    transport = PausableTransport()
    tcp = cast("asyncio.Transport", transport)
    listener = Listener.__new__(Listener)
    listener._loop = asyncio.get_running_loop()
    listener._serve = cast("Any", NothingServed)
    listener._open = {tcp: Open(cast("Any", None), "")}
    listener._tasks = set()
    listener.hand_over(tcp, b"x" * size)
    assert transport.paused is paused
    await asyncio.gather(*listener._tasks)
    transport.closed = True
