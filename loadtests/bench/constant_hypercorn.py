"""A limit: Hypercorn on uvloop, with a constant response. Prints its port."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvloop
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from loadtests.bench.constant_protocol import BODY

HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
REQUESTS_PER_CONNECTION = 2**31


async def constant(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """The ASGI application: reads the body, as a server must, and forgets it."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 202, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def serve() -> None:
    """Serve until the process is terminated."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = Config()
    config.bind = [f"fd://{os.dup(listening.fileno())}"]
    config.keep_alive_max_requests = REQUESTS_PER_CONNECTION
    config.errorlog = None
    application: Any = constant  # Hypercorn has types of its own for what ASGI defines
    print(f"listening {listening.getsockname()[1]}", flush=True)
    await hypercorn_serve(application, config, shutdown_trigger=asyncio.Event().wait, mode="asgi")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())
