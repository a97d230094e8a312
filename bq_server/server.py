"""The process: Hypercorn on uvloop, signals, and an orderly end."""

import asyncio
import errno
import gc
import logging
import os
import socket
from collections.abc import Callable
from typing import Any

import anyio._backends._asyncio  # noqa: F401 - see below
import uvloop
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bq_server.asgi import Running, create_app
from bq_server.datadir import DataDirectory, DataDirectoryUnusable
from bq_server.notifying import notify
from bq_server.settings import Settings
from bq_server.stopping import Stopping

# What is imported only when it is first used would be looked for in an executable that may have been replaced by then:
# anyio's backend, which answers that are streamed need, is imported with this module.

BACKLOG = 1024
KEEP_ALIVE_SECONDS = 75.0
"""Above the idle time of common clients and proxies, so that they, not we, close a connection."""

STARTUP_SECONDS = 600.0
"""Loading a long queue from the stream server's file takes a while."""

REQUESTS_PER_CONNECTION = 2**31
"""Hypercorn's default of 1000 looks like random disconnects under load."""

Announce = Callable[[Settings, socket.socket, Running], None]


class StartFailed(Exception):
    """The server can't start. The message is for the person who started it."""


def run(settings: Settings, announce: Announce) -> None:
    """Serve until SIGINT, SIGTERM or what the settings add, then finish what is under way.

    `announce` is called when requests are taken.

    A second signal ends the process at once. Raises `StartFailed`.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, announce))


async def _serve(settings: Settings, announce: Announce) -> None:
    app = create_app(settings)
    running: Running = app.state.running
    stopping = Stopping(running)
    stopping.heed_signals()
    if settings.stop_with_stdin:
        stopping.heed_stdin()
    listening = _bind(settings)

    def started() -> None:
        gc.collect()
        gc.freeze()  # what the start has made lives for ever: the collector need not look at it again, which takes long
        listening.listen(BACKLOG)
        announce(settings, listening, running)
        notify("READY=1")

    # Hypercorn's own names for the types of an ASGI application are not Starlette's.
    hooked: Any = _with_start_hook(app, started)
    try:
        await hypercorn_serve(hooked, _config(settings, listening), shutdown_trigger=stopping.wait, mode="asgi")
    except (LifespanFailureError, LifespanTimeoutError) as error:
        raise StartFailed(str(running.failure or error)) from running.failure
    finally:
        listening.close()


def _config(settings: Settings, listening: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{os.dup(listening.fileno())}"]
    config.backlog = BACKLOG
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.keep_alive_max_requests = REQUESTS_PER_CONNECTION
    config.graceful_timeout = settings.shutdown_timeout_seconds
    config.startup_timeout = STARTUP_SECONDS
    config.shutdown_timeout = settings.shutdown_timeout_seconds + 30
    config.include_server_header = False
    errors = logging.getLogger("bq_server.http")
    errors.setLevel(logging.WARNING)
    config.errorlog = errors
    return config


def _bind(settings: Settings) -> socket.socket:
    """The socket, bound before anything is started, so that a taken port starts nothing."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        try:
            # Most often the port is taken because this very directory is being served: say that first.
            with DataDirectory(settings.data_dir).locked():
                pass
        except DataDirectoryUnusable as unusable:
            raise StartFailed(str(unusable)) from error
        other = "port with --port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "address with --host"
        raise StartFailed(
            f"can't listen on {settings.host} port {settings.port}: {error.strerror}; choose another {other}"
        ) from error
    return bound


def _with_start_hook(app: ASGIApp, started: Callable[[], None]) -> ASGIApp:
    async def hooked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return

        async def send_and_tell(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                started()

        await app(scope, receive, send_and_tell)

    return hooked
