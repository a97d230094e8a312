"""The connection of scripts, at its beginning."""

from typing import Any

import pytest
from redis.asyncio import UnixDomainSocketConnection

from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.guarded_pipe import GuardedPipe
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
