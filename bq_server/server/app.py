"""The composition root: the ASGI application, whose lifespan starts and stops every room.

Any ASGI server can run it: `hypercorn 'bq_server.server.app:create_app()'`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from bq_server import __version__
from bq_server.api.middleware.cors import Cors
from bq_server.api.middleware.envelope import Envelope, path_parameter
from bq_server.api.middleware.gate import Gate
from bq_server.api.operations import operations_of
from bq_server.api.problems import HttpRefusal, problem_response
from bq_server.api.resources.console_page import ConsolePageResource
from bq_server.api.resources.docs_page import DocsResource
from bq_server.api.routing import routes
from bq_server.clock import Clock, system_clock
from bq_server.ids import IdSource
from bq_server.lane.lane import Lane
from bq_server.refusals import Code, Refusal
from bq_server.runtime.data_directory import DataDirectory
from bq_server.server.composition import (
    follow_game_file,
    open_privacy,
    open_sandbox,
    open_store,
    open_stream,
    start_delivery,
    start_intake,
    start_processing,
    start_tracing,
)
from bq_server.server.door import open_door
from bq_server.server.health_checks import HealthChecks
from bq_server.server.lifecycle import SoleWork, background
from bq_server.server.resources import keep_history, metrics_sources, resources, share_sessions
from bq_server.server.rooms import Rooms, Site
from bq_server.server.server_state import ServerState
from bq_server.settings import Settings, origins_of

log = structlog.get_logger("bq_server")


def create_app(
    settings: Settings | None = None, *, clock: Clock = system_clock, ids: IdSource | None = None
) -> Starlette:
    """The application; its `state.running` is a `ServerState`. Its routes exist once the lifespan has started."""
    source = ids or IdSource(clock)
    running = ServerState()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                chosen = settings or Settings.load({})
                sole = SoleWork(stack, alone=chosen.role == "all")
                site = Site(stack, chosen, DataDirectory(chosen.data_dir), clock, source, running, sole)
                app.router.routes[:] = await _start(site)
            except Exception as error:
                running.failure = error
                raise
            yield
            log.info("server.stopping")
        running.log_of_requests.tell()
        log.info("server.stopped")

    envelope = Middleware(
        Envelope,
        ids=source,
        is_stopping=lambda: running.stopping,
        requests=running.requests,
        log=running.log_of_requests,
    )
    gate = Middleware(Gate, budget=running.budget, log=running.log_of_requests)
    cors = Middleware(Cors, origins=lambda: running.origins)
    app = Starlette(lifespan=lifespan, middleware=[envelope, cors, gate], exception_handlers={HTTPException: _no_route})
    app.router.redirect_slashes = False
    app.state.running = running
    return app


async def _start(site: Site) -> Sequence[BaseRoute]:
    """Start every room, each on top of the previous ones, and return the routes."""
    settings, running = site.settings, site.running
    _take(site)
    store = await open_store(site)
    stream = await open_stream(site, store)
    tracer = await start_tracing(site)
    processing = await start_processing(site, store, stream, tracer)
    intake = await start_intake(site, store, stream, processing, tracer)
    delivery = await start_delivery(site, store, processing)
    sandbox = open_sandbox(site, store, stream, processing, delivery)
    privacy = open_privacy(site, store, stream, processing, sandbox)
    await follow_game_file(site, processing)
    admission = await open_door(site, store)
    if store.peers is not None and settings.role == "worker":
        await site.stack.enter_async_context(background(partial(store.peers.lead, site.sole)))

    running.origins = origins_of(settings.cors_origins)
    running.budget.limit = settings.max_inflight_bytes
    running.lane = Lane(
        admission,
        intake.async_intake,
        intake.parser,
        store.clocks,
        site.ids,
        running.budget,
        running,
        processing.consumer,
        running.requests,
        running.log_of_requests,
    )
    await store.database.serve()
    rooms = Rooms(store, stream, processing, intake, sandbox, privacy, delivery)
    health = HealthChecks(rooms, running, site.directory.path)
    sources = await metrics_sources(site, rooms)
    history = await keep_history(site, rooms, sources)
    shared = await share_sessions(site, rooms, admission.keyring)
    operations = list(operations_of(*resources(site, rooms, admission.keyring, health, sources, history, shared)))
    running.log(site.directory)
    if settings.role == "worker":
        return routes(operations, admission, store.clocks)
    docs = DocsResource(operations, __version__, intake.parser.limits)
    return [*routes(operations, admission, store.clocks), *docs.routes, *ConsolePageResource().routes]


def _take(site: Site) -> None:
    """Take exclusive hold of the data directory."""
    directory = site.directory
    site.stack.enter_context(directory.locked(wait_seconds=0.5))
    directory.require_finished()
    directory.close_to_others()
    if site.settings.redis_url is None and site.settings.store_url is None:
        directory.require_facts_of_stream()


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    path = path_parameter(request.scope["path"])  # `request.url` fails on a Host that is none
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        detail = f"{request.method} is not allowed on {path}: use {allowed}."
        return problem_response(request, HttpRefusal(Code.METHOD_NOT_ALLOWED, detail, {"Allow": allowed}))
    detail = f"There is nothing at {path}; /docs lists every route."
    return problem_response(request, Refusal(Code.NOT_FOUND, detail))
