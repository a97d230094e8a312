"""The process: Hypercorn on uvloop, signals, and an orderly shutdown."""

import asyncio
import errno
import logging
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import anyio._backends._asyncio  # noqa: F401 - see below
import structlog
import uvloop
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError, wrap_app

from bq_server.api.resources import metrics
from bq_server.connections.acceptor import Acceptor
from bq_server.connections.early_refusals import EarlyRefusals
from bq_server.connections.hypercorn import HypercornConnection
from bq_server.connections.listener import SWEEP_SECONDS, ConnectionLimits, ConnectionStatus, Listener, Serve
from bq_server.connections.tls import Certificate, CertificateUnusable
from bq_server.delivery.addresses import is_loopback
from bq_server.lane.connection import LaneConnection
from bq_server.runtime import collector, descriptors
from bq_server.runtime.data_directory import DataDirectory, DataDirectoryUnusable
from bq_server.runtime.systemd import notify
from bq_server.server import last_resort
from bq_server.server.app import create_app
from bq_server.server.server_state import ServerState
from bq_server.server.shutdown import Shutdown
from bq_server.settings import Settings

# What is imported only when it is first used would be looked for in an executable that may have been replaced by then:
# anyio's backend, which answers that are streamed need, is imported with this module.

BACKLOG = 1024
KEEP_ALIVE_SECONDS = 75.0
"""Above the idle time of common clients and proxies, so that they, not we, close a connection."""

STARTUP_SECONDS = 600.0
"""Loading a long queue from the stream server's file takes a while."""

HEADER_BYTES = 16 << 10
"""Of one HTTP/2 request; the limit of an HTTP/1 request's head."""

REQUESTS_PER_CONNECTION = 2**31
"""Hypercorn's default of 1000 looks like random disconnects under load."""

THREADS = 6
"""For calls that would hold the loop. One waits for the stream server to end, one may search the store for damage."""

SWITCH_SECONDS = 0.001
"""How long the game thread may hold the interpreter lock while requests wait; Python's default is 5 ms."""

IN_CLEAR_ADVICE = (
    "keys can be read in transit: give --tls-cert and --tls-key, "
    "or put a proxy with TLS in front and set --behind-proxy"
)

log = structlog.get_logger("bq_server")

Announce = Callable[[Settings, socket.socket, ServerState], None]


class StartFailed(Exception):
    """The server can't start. The message is for the person who started it."""


def run(settings: Settings, announce: Announce) -> None:
    """Serve until SIGINT, SIGTERM or what the settings add, then finish what is under way.

    `announce` is called once requests are accepted.

    A second signal ends the process at once. Raises `StartFailed`.
    """
    if (most := descriptors.attainable()) < descriptors.FEWEST:
        raise StartFailed(
            f"{most} files may be open at a time, and {descriptors.FEWEST} is the least it starts with; "
            f"raise the limit with `ulimit -n`"
        )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(last_resort.report)
            runner.run(_serve(settings, announce))
    except (MemoryError, SystemError) as error:
        last_resort.end_after(error)  # threads that wait for somebody would hold the process up, with its port open


def _start_threads() -> None:
    """Start the threads that calls are handed to, all of them and now, while there is memory.

    Python waits for a new thread, on the event loop as well, and for one that finds no memory to begin with for ever.
    """
    threads = ThreadPoolExecutor(THREADS, "calls")
    together = threading.Barrier(THREADS + 1)
    for _ in range(THREADS):
        threads.submit(together.wait)
    together.wait()
    asyncio.get_running_loop().set_default_executor(threads)


async def _serve(settings: Settings, announce: Announce) -> None:
    _start_threads()
    app = create_app(settings)
    running: ServerState = app.state.running
    shutdown = Shutdown(running)
    shutdown.heed_signals()
    certificate = _certificate(settings)
    if settings.stop_with_stdin:
        shutdown.heed_stdin()
    listening = _bind(settings)
    config = _config(settings)
    state: dict[str, Any] = {}
    served: Any = wrap_app(cast("Any", app), 0, "asgi")
    lifespan = Lifespan(served, config, asyncio.get_running_loop(), state)
    living = asyncio.create_task(lifespan.handle_lifespan())
    try:
        await lifespan.wait_for_startup()
        if living.done():
            await living
        context = WorkerContext(None)
        serve = partial(_connection, settings, running, served, config, context, state)
        listener = _listener(settings, running, serve)
        acceptor = Acceptor(listening, listener, certificate, settings.read_timeout_seconds)
        acceptor.start(BACKLOG)
        sys.setswitchinterval(SWITCH_SECONDS)
        collector.relax()
        announce(settings, listening, running)
        notify("READY=1")
        loading = asyncio.create_task(metrics.load())  # before the executable may be replaced; see above
        await shutdown.wait()
        running.end_feeds()
        await context.terminated.set()
        acceptor.close()
        loading.cancel()
        await listener.close(settings.shutdown_timeout_seconds)
        await lifespan.wait_for_shutdown()
    except (LifespanFailureError, LifespanTimeoutError) as error:
        raise StartFailed(str(running.failure or error)) from running.failure
    finally:
        listening.close()
        living.cancel()
        await asyncio.wait({living})


def _connection(
    settings: Settings,
    running: ServerState,
    app: Any,
    config: Config,
    context: WorkerContext,
    state: dict[str, Any],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> HypercornConnection:
    assert running.lane is not None, "the application has started"  # noqa: S101
    return HypercornConnection(
        app,
        config,
        context,
        state,
        reader,
        writer,
        early_refusals=EarlyRefusals(running.lane.ids, running.requests, running.log_of_requests),
        head_seconds=settings.read_timeout_seconds,
        write_seconds=settings.write_timeout_seconds,
    )


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_cert is None or settings.tls_key is None:
        if is_exposed(settings):
            log.warning("server.in_clear", host=settings.host, advice=IN_CLEAR_ADVICE)
        return None
    try:
        return Certificate(settings.tls_cert, settings.tls_key)
    except CertificateUnusable as error:
        raise StartFailed(str(error)) from error


def is_exposed(settings: Settings) -> bool:
    """Whether other machines may reach the server without TLS."""
    proxied = settings.behind_proxy or settings.trusted_proxies is not None
    return settings.tls_cert is None and not proxied and not is_loopback(settings.host)


def _listener(settings: Settings, running: ServerState, serve: Serve) -> Listener:
    """The listener, with the lane in front of Hypercorn if it is enabled."""
    lane = running.lane
    assert lane is not None, "the application has started"  # noqa: S101
    most = descriptors.raise_limit()
    limits = ConnectionLimits(settings.max_connections, settings.max_connections_per_address).within(most)
    status = ConnectionStatus(limits, most, running.connection_counts)
    running.connections = status.problem
    idle_sweeps = int(KEEP_ALIVE_SECONDS / SWEEP_SECONDS)
    # Tracing needs headers that the lane doesn't read.
    lean = settings.http_lane == "on" and settings.otlp_endpoint is None and settings.role != "worker"
    enter = partial(LaneConnection, lane, idle_sweeps=idle_sweeps) if lean else None
    return Listener(status, lane.ids, serve, enter, write_seconds=settings.write_timeout_seconds)


def _config(settings: Settings) -> Config:
    config = Config()
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.keep_alive_max_requests = REQUESTS_PER_CONNECTION
    config.graceful_timeout = settings.shutdown_timeout_seconds
    config.startup_timeout = STARTUP_SECONDS
    config.shutdown_timeout = settings.shutdown_timeout_seconds + 30
    config.include_server_header = False
    config.h2_max_header_list_size = HEADER_BYTES
    errors = logging.getLogger("bq_server.http")
    errors.setLevel(logging.WARNING)
    config.errorlog = errors
    return config


def _bind(settings: Settings) -> socket.socket:
    """The socket, bound before anything is started, so that nothing is started if the port is taken."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        try:
            # Most often the port is taken because this very directory is already being served: say that first.
            DataDirectory(settings.data_dir).require_unused()
        except DataDirectoryUnusable as unusable:
            raise StartFailed(str(unusable)) from error
        other = "port with --port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "address with --host"
        raise StartFailed(
            f"can't listen on {settings.host} port {settings.port}: {error.strerror}; choose another {other}"
        ) from error
    return bound
