"""The composition root: builds every part; the ASGI lifespan starts and stops them all.

Any ASGI server can run it: `hypercorn 'bq_server.server.app:create_app()'`.
"""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from bq_server import __version__
from bq_server.api.auth import Keyring
from bq_server.api.bodies import PLAIN, BodyLimits
from bq_server.api.middleware.cors import Cors
from bq_server.api.middleware.envelope import Envelope
from bq_server.api.middleware.gate import Gate
from bq_server.api.operations import routes
from bq_server.api.problems import problem_response
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources import (
    awards,
    catalog,
    challenges,
    dead_letters,
    docs_page,
    events,
    facts,
    game,
    gamify,
    health,
    leaderboards,
    metrics,
    participant_state,
    participants,
    sandbox,
    webhooks,
)
from bq_server.clock import Clock, Clocks, system_clock
from bq_server.concurrency.byte_budget import ByteBudget
from bq_server.delivery.addresses import is_loopback
from bq_server.delivery.dispatcher import Dispatcher
from bq_server.delivery.endpoints import Endpoints
from bq_server.delivery.sender import Sender
from bq_server.events import Scope
from bq_server.ids import IdSource
from bq_server.ingest.acceptance import Intake
from bq_server.ingest.accounting import Accounting
from bq_server.ingest.dead_letters import GivenUpMessages
from bq_server.ingest.drafts import Drafter
from bq_server.ingest.message_status import Messages
from bq_server.ingest.validation import Limits
from bq_server.lane.lane import Lane
from bq_server.metrics.counts import ConnectionCounts, IntakeCounts, RequestCounts, milliseconds_of
from bq_server.metrics.families import Sources, Waiting
from bq_server.metrics.loop_delay import LoopDelay
from bq_server.processing.compiled_games import Games
from bq_server.processing.game_changes import Applying
from bq_server.processing.game_file import GameFile
from bq_server.processing.message_batch import MessageProcessor
from bq_server.processing.processor import Processor
from bq_server.processing.refold_job import Refolding
from bq_server.refusals import Code, Refusal
from bq_server.runtime.data_directory import OPEN_ADVICE, DataDirectory
from bq_server.runtime.sampled_log import SampledLog
from bq_server.runtime.streams_used import place_of
from bq_server.sandbox.clocks import Timekeeping
from bq_server.sandbox.drain import Settling
from bq_server.sandbox.export import Exporting
from bq_server.sandbox.reset import Resetting
from bq_server.sandbox.story_import import Importing
from bq_server.settings import Settings, origins_of
from bq_server.store import environments, installation, sqlite
from bq_server.store import keys as api_keys
from bq_server.store.damage import DamageWatch
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.stream.backlog import Backlog
from bq_server.stream.connection import (
    READ_TIMEOUT,
    Durability,
    StreamUnavailable,
    connect,
    inspect,
    take_ownership,
)
from bq_server.stream.consumer import Consumer
from bq_server.stream.counts import StreamCounts, Totals
from bq_server.stream.dead_letters import DeadLetters
from bq_server.stream.embedded import EmbeddedValkey
from bq_server.stream.keys import StreamKeys
from bq_server.stream.lookup import MessageLookup
from bq_server.stream.writer import Writer

log = structlog.get_logger("bq_server")


FULL_BYTES = 4 << 20
"""With less room than that on its disk the server may refuse any event."""


class GameUnusable(Exception):
    """The game that the server was to start with can't be applied."""


@dataclass(slots=True)
class Running:
    """What the lifespan found out, for the banner and for whoever started the app. Filled in while it starts."""

    new_key: str | None = None
    """A key made because there was none at all; shown once and kept nowhere."""
    durability: Durability | None = None
    origins: frozenset[str] = frozenset()
    """Whose pages may call the API from a browser."""
    elsewhere: Sequence[str] = ()
    """What to say of streams in which events may wait, while this server uses another."""
    stopping: bool = False
    """Set by whoever is about to end the server."""
    failure: Exception | None = None
    """Why the start failed."""
    budget: ByteBudget = field(default_factory=lambda: ByteBudget(Settings().max_inflight_bytes))
    requests: RequestCounts = field(default_factory=RequestCounts)
    log_of_requests: SampledLog = field(default_factory=lambda: SampledLog("bq_server.api"))
    connection_counts: ConnectionCounts = field(default_factory=ConnectionCounts)
    lane: Lane | None = None
    """What a lean protocol needs to answer the hot routes."""
    connections: Callable[[], str | None] = lambda: None
    """What is wrong with the connections, where whoever runs the app can tell."""

    def promise(self) -> str:
        """What a 202 means."""
        return "unknown" if self.durability is None else self.durability.promise

    def log(self, directory: DataDirectory) -> None:
        """Say what this server stands on."""
        if self.durability is not None:
            log.info(
                "server.ready",
                version=__version__,
                sqlite=sqlite.VERSION,
                sqlite_from=sqlite.ORIGIN,
                stream=self.durability.server,
                durability=self.durability.promise,
                data_dir=str(directory.path),
            )
            if self.durability.may_evict:
                log.warning("stream.may_evict", maxmemory_policy=self.durability.maxmemory_policy)
        for said in self.elsewhere:
            log.warning("stream.elsewhere", reason=said)
        if found := directory.open_to_others():
            log.warning("data.open_to_others", paths=[str(path) for path in found], advice=OPEN_ADVICE)


def create_app(
    settings: Settings | None = None, *, clock: Clock = system_clock, ids: IdSource | None = None
) -> Starlette:
    """The application; its `state.running` is a `Running`. Its routes are there once the lifespan has started."""
    source = ids or IdSource(clock)
    running = Running()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                app.router.routes[:] = await _start(stack, settings or Settings.load({}), clock, source, running)
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
    gate = Middleware(Gate, budget=running.budget)
    cors = Middleware(Cors, origins=lambda: running.origins)
    app = Starlette(lifespan=lifespan, middleware=[envelope, cors, gate], exception_handlers={HTTPException: _no_route})
    app.router.redirect_slashes = False
    app.state.running = running
    return app


async def _start(
    stack: AsyncExitStack, settings: Settings, clock: Clock, ids: IdSource, running: Running
) -> Sequence[BaseRoute]:
    """Start every part, leave on the stack how each is stopped (the last one first), and answer the routes."""
    directory = DataDirectory(settings.data_dir)
    stack.enter_context(directory.locked(wait_seconds=0.5))
    directory.require_finished()
    directory.close_to_others()
    if settings.redis_url is None:
        directory.require_facts_of_stream()
    database = await stack.enter_async_context(Database.open(directory.database))
    async with database.transaction() as connection:
        installation_id = await installation.identify(connection, ids, clock())
        known = await environments.every(connection)
    clocks = Clocks(clock, {scope: each.clock for scope, each in known.items() if each.clock is not None})
    resets = {scope: each.resets for scope, each in known.items()}

    chosen = None if settings.redis_url is None else settings.redis_url.get_secret_value()
    valkey = EmbeddedValkey(directory.stream) if chosen is None else None
    if valkey is not None:
        stack.push_async_callback(valkey.stop)
        await valkey.start()
    url = valkey.url if valkey is not None else str(chosen)
    writing = await stack.enter_async_context(connect(url))
    reading = await stack.enter_async_context(connect(url, timeout=READ_TIMEOUT))
    asking = await stack.enter_async_context(connect(url))
    names = StreamKeys(settings.redis_prefix)
    backlog = Backlog(asking, names)
    running.durability = await inspect(writing, chosen)
    owned = await take_ownership(writing, names, installation_id, directory.lost_facts() if chosen is None else None)
    place = place_of(chosen, settings.redis_prefix)
    running.elsewhere = await stack.enter_async_context(_whereabouts(directory, place, backlog))

    totals = Totals()
    counts = StreamCounts(asking, names)
    accounting = Accounting(database, counts, totals, installation_id, place=place, ids=ids, clock=clock)
    await accounting.start(owned=owned)
    stack.push_async_callback(accounting.finish)

    games = Games()
    processor = Processor(database, ids, clocks, games)
    handler = MessageProcessor(processor, clock).process
    consumer = Consumer(reading, names, handler, name=ids.new("consumer"), clock=clock, totals=totals)
    await stack.enter_async_context(_running(consumer))
    refolding = Refolding(database, games, ids, clocks)
    await stack.enter_async_context(_background(refolding.run()))
    await stack.enter_async_context(_background(accounting.run()))
    damage = DamageWatch(directory.database, lambda: (totals.appended, totals.settled))
    await stack.enter_async_context(_background(damage.run()))
    window = settings.idempotency_window_hours
    writer = Writer(writing, names, queue_limit=settings.queue_limit, window_hours=window, totals=totals)
    stack.push_async_callback(writer.close)
    accepting = IntakeCounts()
    lookup = MessageLookup(asking, names)
    intake = Intake(database, writer, names, processor, resets, lookup, accepting)
    stack.push_async_callback(intake.close)
    how = RequestParser(
        Drafter(ids, clocks),
        Limits(settings.max_properties_bytes, settings.max_nesting, settings.max_batch_events),
        BodyLimits(
            settings.max_body_bytes,
            settings.max_batch_body_bytes,
            settings.read_timeout_seconds,
            PLAIN if settings.text_plain_events else frozenset(),
        ),
        accepting,
    )
    letters = DeadLetters(asking, names)
    messages = Messages(database, lookup, accounting)
    settling = Settling(database, backlog, consumer.progress, refolding.progress)
    resetting = Resetting(database, backlog, settling, clocks, resets)
    applying = Applying(database, games, refolding, ids, clocks)
    if settings.game is not None:
        file = GameFile(settings.game, Scope(api_keys.PROJECT, "test"), applying)
        if not await file.apply():
            raise GameUnusable(f"the game {settings.game} can't be applied: `bq-server game check` tells why")
        await stack.enter_async_context(_background(file.watch()))
    # Last of what can fail: a key that is shown only once must not be made by a start that comes to nothing.
    async with database.transaction() as connection:
        running.new_key = await _first_key(connection, settings, clock, ids)
    dev_key = settings.dev_key and api_keys.of_setting(settings.dev_key.get_secret_value(), clock())
    keyring = Keyring(database, [dev_key] if dev_key else [])
    await keyring.refresh()
    await stack.enter_async_context(_background(keyring.keep_fresh()))

    running.origins = origins_of(settings.cors_origins)
    running.budget.limit = settings.max_inflight_bytes
    running.lane = Lane(
        keyring,
        intake,
        how,
        clocks,
        ids,
        running.budget,
        lambda: running.stopping,
        running.requests,
        running.log_of_requests,
    )
    setting = settings.webhook_addresses
    private = setting == "any" or (setting == "auto" and is_loopback(settings.host))
    endpoints = Endpoints(database, ids, clocks, secrets.token_bytes, private=private)
    sender = await stack.enter_async_context(Sender(clock, private=private))
    dispatcher = Dispatcher(database, endpoints, sender, clock, settings.webhook_retry_seconds)
    await stack.enter_async_context(_background(dispatcher.run()))
    await database.serve()
    loop_delay = LoopDelay()
    await stack.enter_async_context(_background(loop_delay.watch()))
    checks = _checks(asking, database, consumer, games, accounting, damage, valkey, running)
    sources = Sources(
        running.requests,
        running.connection_counts,
        running.budget,
        accepting,
        writer.counts,
        consumer.counts,
        processor.counts,
        dispatcher.counts,
        loop_delay.seconds,
        database.path,
        settings.queue_limit,
        (__version__, sqlite.VERSION, running.durability.server),
    )
    running.log(directory)
    operations = [
        *events.operations(intake, processor, messages, settling, database, how),
        *facts.operations(database),
        *catalog.operations(database),
        *gamify.operations(intake, database, how),
        *participant_state.operations(database, games, clocks),
        *participants.operations(intake, database, games, how, clocks),
        *challenges.operations(intake, database, games, how, clocks),
        *leaderboards.operations(database, games, clocks),
        *awards.operations(intake, database, games, how),
        *game.operations(applying, database, how),
        *sandbox.operations(
            settling,
            Timekeeping(database, clocks),
            resetting,
            Exporting(database, clocks, __version__),
            Importing(database, processor, applying, resetting, ids),
            clocks,
            how,
        ),
        *webhooks.operations(endpoints, database, how),
        *dead_letters.operations(GivenUpMessages(letters)),
        *health.operations(checks, _cautions(consumer, letters), running.promise, __version__),
        *metrics.operations(sources, partial(_waiting, backlog, clock), checks),
    ]
    return [*routes(operations, keyring, clocks), *docs_page.routes(operations, __version__)]


async def _first_key(connection: Connection, settings: Settings, clock: Clock, ids: IdSource) -> str | None:
    """Make a key with every scope, and answer it, where there is none at all and the settings name none."""
    await api_keys.revoke_kept_dev_keys(connection, clock())
    kept = [key for key in await api_keys.every(connection) if key.name != api_keys.DEV_KEY]
    if kept or settings.dev_key is not None:
        return None
    key = api_keys.generate("test", secrets.token_bytes)
    await api_keys.add(connection, key, api_keys.EVERY_SCOPE, "first key", ids, clock())
    return key


@asynccontextmanager
async def _whereabouts(directory: DataDirectory, place: str, backlog: Backlog) -> AsyncIterator[list[str]]:
    """Note where events wait while this server runs, and after it unless nothing does; what to say of other places."""
    whereabouts = directory.whereabouts
    with _noting(place):
        whereabouts.add(place)
    yield [directory.waiting_elsewhere(other) for other in whereabouts.others(place)]
    with suppress(StreamUnavailable):
        if await backlog.is_empty():
            with _noting(place):
                whereabouts.remove(place)


@contextmanager
def _noting(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.warning("stream.not_noted", place=place, file=error.filename, reason=error.strerror)


@asynccontextmanager
async def _running(consumer: Consumer) -> AsyncIterator[None]:
    """Run the consumer; at the end let it finish its batch."""
    task = asyncio.create_task(consumer.run(), name="consumer")
    try:
        yield
    finally:
        consumer.stop()
        await task


@asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run what never ends by itself; at the end cancel it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _checks(
    client: redis.Redis,
    database: Database,
    consumer: Consumer,
    games: Games,
    accounting: Accounting,
    damage: DamageWatch,
    valkey: EmbeddedValkey | None,
    running: Running,
) -> dict[str, health.Check]:
    async def disk() -> str | None:
        free = shutil.disk_usage(database.path.parent).free
        return f"the disk of the data directory is full, {free} bytes are free" if free < FULL_BYTES else None

    async def stream() -> str | None:
        if valkey is not None and valkey.trouble is not None:
            return valkey.trouble
        try:
            await client.ping()
        except RedisError as error:
            return str(error)
        return None

    async def store() -> str | None:
        try:
            async with database.read_for_intake() as connection:
                await connection.execute("SELECT 1")
        except StoreUnavailable as error:
            return str(error)
        return None if database.path.exists() else "the database's file is gone"

    async def consuming() -> str | None:
        return consumer.status.problem(asyncio.get_running_loop().time())

    async def connections() -> str | None:
        return running.connections()

    async def damaged() -> str | None:
        return damage.problem

    async def game() -> str | None:
        return "; ".join(str(error) for error in games.unreadable.values()) or None

    return {
        "disk": disk,
        "stream": stream,
        "store": store,
        "consumer": consuming,
        "game": game,
        "losses": accounting.problem,
        "damage": damaged,
        "connections": connections,
    }


def _cautions(consumer: Consumer, letters: DeadLetters) -> dict[str, health.Check]:
    async def consuming() -> str | None:
        return consumer.status.caution

    async def dead() -> str | None:
        try:
            count = await letters.count()
        except StreamUnavailable as error:
            return str(error)
        given_up = "1 accepted message was" if count == 1 else f"{count} accepted messages were"
        return f"{given_up} given up: `bq-server dead list` tells why" if count else None

    return {"consumer": consuming, "dead_letters": dead}


async def _waiting(backlog: Backlog, clock: Clock) -> Waiting | None:
    """What waits in the stream, for the metrics; None while it can't be asked."""
    try:
        messages, oldest, dead = await backlog.extent()
    except StreamUnavailable:
        return None
    age = 0.0 if oldest is None else max(0.0, clock() / 1e6 - milliseconds_of(oldest) / 1000)
    return Waiting(messages, age, dead)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        detail = f"{request.method} is not allowed on {request.url.path}: use {allowed}."
        return problem_response(request, Refusal(Code.METHOD_NOT_ALLOWED, detail, headers={"Allow": allowed}))
    detail = f"There is nothing at {request.url.path}; /docs lists every route."
    return problem_response(request, Refusal(Code.NOT_FOUND, detail))
