"""Connections that the stream server closes at an unlucky moment, as when it is killed."""

from typing import Any

import pytest
from redis.asyncio import UnixDomainSocketConnection

from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.guarded_pipe import GuardedPipe
from bq_server.stream.keys import StreamKeys
from bq_server.stream.lookup import MessageLookup
from bq_server.stream.scripts import load

pytestmark = pytest.mark.anyio


async def test_one_that_is_closed_while_it_opens_is_no_mistake_of_the_server(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a stream server that is killed then: uvloop says so as of a mistake."""

    async def connect(_: UnixDomainSocketConnection) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    pipe = GuardedPipe(client)
    with monkeypatch.context() as patch:
        patch.setattr(UnixDomainSocketConnection, "connect", connect)
        with pytest.raises(StreamUnavailable, match="the connection was closed"):
            await pipe.run(load("remove_idle"), ["bq:events"], ["bq", "c"])
    await pipe.close()


async def test_nor_is_one_that_is_closed_while_it_is_written_to(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(_: UnixDomainSocketConnection, *__: Any, **___: Any) -> None:
        raise RuntimeError("unable to perform operation on <UnixTransport closed=True>; the handler is closed")

    with monkeypatch.context() as patch:
        patch.setattr(UnixDomainSocketConnection, "send_packed_command", send)
        with pytest.raises(StreamUnavailable, match="the handler is closed"):
            await MessageLookup(client, StreamKeys("bq")).dead("1-0")
