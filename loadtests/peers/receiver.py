"""A cheap receiver of webhooks in its own process: it responds 204 to everything."""

import asyncio
import contextlib
import multiprocessing
import multiprocessing.connection
from collections.abc import Iterator

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class _Receiver(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
            whole = end + len(_HEAD_END) + length
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            if self._transport is not None:
                self._transport.write(_ANSWER)


async def _serve(told: "multiprocessing.connection.Connection") -> None:
    server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", 0)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _run(told: "multiprocessing.connection.Connection") -> None:
    asyncio.run(_serve(told))


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """One on a free port of this machine; its address."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_run, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/hook"
    finally:
        process.kill()
        process.join()
