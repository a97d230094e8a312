"""A limit: asyncio on uvloop with llhttp's parser, with a constant response. Prints its port."""

import asyncio
import contextlib
import socket
import sys
from typing import cast

import httptools
import uvloop

BODY = b'{"accepted":true,"message_id":"1775667600000-0"}'
ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Constant(asyncio.Protocol):
    """One connection. Headers and bodies are read, as a server must, and discarded."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one only in what it does

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Called by the parser, once for each piece."""
        self._body += body

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._headers, self._body = [], b""
        assert self._transport is not None
        self._transport.write(ANSWER)


async def serve() -> None:
    """Serve until the process is terminated."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = await asyncio.get_running_loop().create_server(Constant, sock=listening)
    print(f"listening {listening.getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())
    sys.exit(0)
