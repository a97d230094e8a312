"""Builds the rooms, each on the previous ones; each registers its cleanup, so that the last is stopped first."""

import secrets
from functools import partial
from typing import TYPE_CHECKING

from bq_server import __version__
from bq_server.api.bodies import PLAIN, BodyLimits
from bq_server.api.feed_events import feed_event
from bq_server.api.request_parser import RequestParser
from bq_server.clock import Clocks
from bq_server.delivery.addresses import is_loopback
from bq_server.delivery.delivery_progress import DeliveryProgress
from bq_server.delivery.dispatcher import Dispatcher
from bq_server.delivery.endpoints import Endpoints
from bq_server.delivery.feeds import Feeds
from bq_server.delivery.sender import Sender
from bq_server.events import Scope
from bq_server.ingest.async_intake import AsyncIntake
from bq_server.ingest.dead_letters import ScopedDeadLetters
from bq_server.ingest.drafts import Drafter
from bq_server.ingest.known_facts import KnownFacts
from bq_server.ingest.message_status import Messages
from bq_server.ingest.stream_account import StreamAccount
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.ingest.validation import Limits
from bq_server.metrics.counts import IntakeCounts
from bq_server.privacy.eraser import Eraser
from bq_server.processing.available_workers import AvailableWorkers
from bq_server.processing.broken_streaks import StreakWatch
from bq_server.processing.catalog_index_job import CatalogIndexJob
from bq_server.processing.compiled_games import Games
from bq_server.processing.contest_freezer import ContestFreezer
from bq_server.processing.dead_messages import DeadMessages
from bq_server.processing.game_changes import GameChanges
from bq_server.processing.game_file import GameFile
from bq_server.processing.group_rewarder import GroupRewarder
from bq_server.processing.message_batch import MessageProcessor
from bq_server.processing.permits import Permits
from bq_server.processing.points_expiry import PointsExpirer
from bq_server.processing.processor import Processor
from bq_server.processing.recipient_refold import RecipientRefold
from bq_server.processing.refold_job import RefoldJob
from bq_server.processing.share_worker import ShareWorker
from bq_server.processing.shared_batch import SharedMessages
from bq_server.runtime.streams_used import place_of
from bq_server.sandbox.clocks import SandboxClocks
from bq_server.sandbox.drain import LOOK_SECONDS, Drain
from bq_server.sandbox.exporter import Exporter
from bq_server.sandbox.importer import Importer
from bq_server.sandbox.resetter import Resetter
from bq_server.server.lifecycle import accounting, background, consuming, whereabouts, working
from bq_server.server.peers import LEASE, POLL_SECONDS, Peers, in_charge, place_of_process
from bq_server.server.rooms import (
    DeliveryRoom,
    IntakeRoom,
    PrivacyRoom,
    ProcessingRoom,
    SandboxRoom,
    Site,
    StoreRoom,
    StreamRoom,
)
from bq_server.store import environments, installation
from bq_server.store import keys as api_keys
from bq_server.store.catalog import CatalogCaps
from bq_server.store.damage import DamageWatch
from bq_server.store.database import Database
from bq_server.stream.backlog import Backlog
from bq_server.stream.charge import Charge
from bq_server.stream.claims import EventClaims, SyncClaims
from bq_server.stream.cluster import keys_at
from bq_server.stream.connection import READ_TIMEOUT, connect, inspect, take_ownership
from bq_server.stream.consumer import Consumer
from bq_server.stream.consumer_group import ConsumerGroup
from bq_server.stream.counts import StreamCounts, Totals
from bq_server.stream.dead_letters import DeadLetters
from bq_server.stream.embedded import EmbeddedValkey
from bq_server.stream.erasure import StreamErasure
from bq_server.stream.guarded_pipe import GuardedPipe
from bq_server.stream.lookup import MessageLookup
from bq_server.stream.replicas import Replicas, require_use
from bq_server.stream.shares import Shares
from bq_server.stream.store_note import note_of
from bq_server.stream.writer import Writer

if TYPE_CHECKING:
    from bq_server.tracing.tracer import Tracer


class GameUnusable(Exception):
    """The game given by the settings can't be applied."""


async def open_store(site: Site) -> StoreRoom:
    """Open the database; a new one gets its identity."""
    settings, stack = site.settings, site.stack
    address = site.directory.store(settings.store_url)
    database = await stack.enter_async_context(Database.open(address))
    await database.hold(shared=settings.role != "all")
    site.running.store = database.name if database.file is None else None
    peers = None
    if settings.role != "all":
        place = place_of_process(str(site.directory.path.resolve()))
        peers = await Peers.join(database, site.ids.new("process"), place, settings.role)
        stack.push_async_callback(peers.leave)
    async with database.transaction() as connection:
        installation_id = await installation.identify(connection, site.ids, site.clock())
        known = await environments.every(connection)
    clocks = Clocks(site.clock, {scope: each.clock for scope, each in known.items() if each.clock is not None})
    resets = {scope: each.resets for scope, each in known.items()}
    if peers is not None:
        peers.remember(clocks, resets)
        await stack.enter_async_context(background(peers.listen))
    return StoreRoom(database, installation_id, clocks, resets, peers)


async def open_stream(site: Site, store: StoreRoom) -> StreamRoom:
    """Start the embedded stream server or connect to the given one; claim it for the database; account for its past."""
    settings, directory, stack = site.settings, site.directory, site.stack
    chosen = None if settings.redis_url is None else settings.redis_url.get_secret_value()
    valkey = EmbeddedValkey(directory.stream) if chosen is None else None
    if valkey is not None:
        stack.push_async_callback(valkey.stop)
        await valkey.start()
    url = valkey.url if valkey is not None else str(chosen)
    writing = await stack.enter_async_context(connect(url))
    reading = await stack.enter_async_context(connect(url, timeout=READ_TIMEOUT))
    asking = await stack.enter_async_context(connect(url))
    keys = keys_at(chosen, settings.redis_prefix)
    backlog = Backlog(asking, keys)
    stack.callback(backlog.close)
    replicas = Replicas(asking, keys) if settings.durability == "replica" else None
    site.running.durability = await inspect(writing, chosen, replicated=replicas is not None)
    if replicas is not None:
        await require_use(replicas)
    lost = directory.lost_facts(store.database.name) if chosen is None else None
    owned = await take_ownership(writing, keys, store.installation_id, lost)
    place = place_of(chosen, settings.redis_prefix)
    site.running.elsewhere = await stack.enter_async_context(whereabouts(directory, place, backlog))
    totals, counts = Totals(), StreamCounts(asking, keys, note_of(store.installation_id))
    account = StreamAccount(
        store.database, counts, totals, store.installation_id, place=place, ids=site.ids, clock=site.clock
    )
    alone = settings.role == "all"
    await site.sole.start(partial(accounting, account, owned=owned, alone=alone))
    if not alone:
        await stack.enter_async_context(background(account.follow))
    letters, lookup = DeadLetters(asking, keys), MessageLookup(asking, keys)
    return StreamRoom(
        valkey, writing, reading, asking, keys, totals, counts.note, backlog, letters, lookup, account, replicas
    )


async def start_tracing(site: Site) -> "Tracer | None":
    """Start sending traces if there is an endpoint; otherwise nothing is loaded."""
    endpoint = site.settings.otlp_endpoint
    if endpoint is None:
        return None
    from bq_server.tracing.exporter import SpanExporter
    from bq_server.tracing.tracer import Tracer

    tracer = Tracer(site.clock, secrets.token_bytes)
    await site.stack.enter_async_context(background(SpanExporter(tracer, endpoint, __version__).run))
    return tracer


async def start_processing(site: Site, store: StoreRoom, stream: StreamRoom, tracer: "Tracer | None") -> ProcessingRoom:
    """Start turning messages into facts, and finish refolds of earlier game changes."""
    games = Games()
    caps = CatalogCaps(site.settings.max_event_names, site.settings.max_event_properties)
    processor = Processor(store.database, site.ids, store.clocks, games, caps, stream.note)
    processor.start_thread()
    messages = MessageProcessor(processor, site.clock, tracer)
    dead = DeadMessages(store.database, stream.letters, store.clocks)
    sole = site.sole
    await sole.start(partial(background, dead.run))
    shared = await _share_batches(site, store, stream, messages, processor)
    consumer = await _start_consumer(site, store, stream, shared or messages, dead)
    streaks = StreakWatch(store.database, games, store.clocks)
    await sole.start(partial(background, streaks.run))
    expirer = PointsExpirer(store.database, games, store.clocks, processor, site.ids)
    await sole.start(partial(background, expirer.run))
    freezer = ContestFreezer(store.database, games, store.clocks, processor, site.ids)
    await sole.start(partial(background, freezer.run))
    rewarder = GroupRewarder(store.database, games, store.clocks, processor, site.ids)
    await sole.start(partial(background, rewarder.run))
    refold_job = RefoldJob(store.database, games, site.ids, store.clocks)
    await sole.start(partial(background, refold_job.run))
    game_changes = GameChanges(store.database, games, site.ids, store.clocks)
    indexing = CatalogIndexJob(store.database)
    await sole.start(partial(background, indexing.run))
    return ProcessingRoom(
        games, processor, consumer, refold_job, game_changes, indexing, streaks, expirer, freezer, rewarder, dead
    )


async def _share_batches(
    site: Site, store: StoreRoom, stream: StreamRoom, messages: MessageProcessor, processor: Processor
) -> SharedMessages | None:
    """Of several workers, have the one that leads share batches out, and the others process their parts."""
    peers, url = store.peers, site.settings.redis_url
    if peers is None or peers.role != "worker" or url is None:
        return None
    client = await site.stack.enter_async_context(connect(url.get_secret_value(), timeout=READ_TIMEOUT))
    shares = Shares(client, stream.keys, peers.process_id)
    permits = Permits(await store.database.connect_apart(), peers.process_id, LEASE)
    shared = SharedMessages(messages, processor, shares, permits, AvailableWorkers(peers.other_workers), stream.note)
    await site.sole.start(shared.leading)
    worker = ShareWorker(processor, shares, stream.note, lambda: peers.term is not None)
    await site.stack.enter_async_context(working(worker, "share worker"))
    return shared


async def _start_consumer(
    site: Site,
    store: StoreRoom,
    stream: StreamRoom,
    messages: MessageProcessor | SharedMessages,
    dead: DeadMessages,
) -> Consumer:
    name, peers = site.ids.new("consumer"), store.peers
    charge = None if peers is None else Charge(stream.reading, stream.keys, name)
    if charge is not None and peers is not None:
        await site.sole.start(partial(in_charge, charge, peers))
    group = ConsumerGroup(stream.reading, stream.keys, name, charge, stream.note)
    site.stack.callback(group.close)
    letters = DeadLetters(stream.reading, stream.keys, charge)
    consumer = Consumer(
        group,
        letters,
        messages.process,
        clock=site.clock,
        totals=stream.totals,
        announced=dead.announced,
        workers=lambda: messages.workers,
    )
    await site.sole.start(partial(consuming, consumer))
    return consumer


async def start_intake(
    site: Site, store: StoreRoom, stream: StreamRoom, processing: ProcessingRoom, tracer: "Tracer | None"
) -> IntakeRoom:
    """Start accepting events, and accounting for accepted ones."""
    stack, settings, totals = site.stack, site.settings, stream.totals
    await site.sole.start(partial(background, stream.account.run))
    damage = DamageWatch(store.database.file, lambda: totals.moved)
    await stack.enter_async_context(background(damage.run))
    window = settings.idempotency_window_hours
    pipe = GuardedPipe(stream.writing, stream.replicas)
    stack.push_async_callback(pipe.close)
    writer = Writer(pipe, stream.keys, queue_limit=settings.queue_limit, window_hours=window, totals=totals)
    stack.push_async_callback(writer.close)
    sync_claims = SyncClaims(pipe, stream.keys)
    stack.push_async_callback(sync_claims.close)
    known = KnownFacts(store.database)
    stack.push_async_callback(known.close)
    counts, claims = IntakeCounts(), EventClaims(stream.keys, store.resets)
    async_intake = AsyncIntake(known, writer, claims, stream.lookup, counts, tracer)
    sync_intake = SyncIntake(known, processing.processor, claims, sync_claims, stream.lookup, counts, tracer)
    stack.push_async_callback(sync_intake.close)
    messages = Messages(store.database, stream.lookup, stream.account)
    return IntakeRoom(counts, _parser(site, store, counts, tracer), writer, async_intake, sync_intake, messages, damage)


def _parser(site: Site, store: StoreRoom, counts: IntakeCounts, tracer: "Tracer | None") -> RequestParser:
    settings = site.settings
    return RequestParser(
        Drafter(site.ids, store.clocks),
        Limits(settings.max_properties_bytes, settings.max_nesting, settings.max_batch_events),
        BodyLimits(
            settings.max_body_bytes,
            settings.max_batch_body_bytes,
            settings.read_timeout_seconds,
            PLAIN if settings.text_plain_events else frozenset(),
        ),
        counts,
        tracer,
    )


def open_sandbox(
    site: Site, store: StoreRoom, stream: StreamRoom, processing: ProcessingRoom, delivery: DeliveryRoom
) -> SandboxRoom:
    """Set up what only test environments can do."""
    database, clocks = store.database, store.clocks
    progress = delivery.dispatcher.progress
    outgoing = DeliveryProgress(database, clocks, processing.streaks, progress)
    consumed, refolded = processing.consumer.progress, processing.refold_job.progress
    drain = Drain(
        database,
        stream.backlog,
        consumed,
        refolded,
        processing.dead,
        processing.expirer,
        outgoing,
        processing.freezer,
        clocks,
        processing.rewarder,
        look_seconds=LOOK_SECONDS if store.peers is None else POLL_SECONDS,
    )
    resetter = Resetter(database, stream.backlog, drain, clocks, store.resets)
    return SandboxRoom(
        drain,
        SandboxClocks(database, clocks, processing.streaks, processing.expirer, processing.freezer),
        resetter,
        Exporter(database, clocks, __version__),
        Importer(database, processing.processor, processing.game_changes, resetter, site.ids),
    )


def open_privacy(
    site: Site, store: StoreRoom, stream: StreamRoom, processing: ProcessingRoom, sandbox: SandboxRoom
) -> PrivacyRoom:
    """Set up what serves a person's rights."""
    dead_letters, erasure = ScopedDeadLetters(stream.letters), StreamErasure(stream.asking, stream.keys)
    recipient_refold = RecipientRefold(processing.games, site.ids, store.clocks)
    eraser = Eraser(store.database, sandbox.drain, dead_letters, erasure, store.resets, site.clock, recipient_refold)
    return PrivacyRoom(dead_letters, eraser)


async def start_delivery(site: Site, store: StoreRoom, processing: ProcessingRoom) -> DeliveryRoom:
    """Start sending webhooks."""
    settings = site.settings
    setting = settings.webhook_addresses
    private = setting == "any" or (setting == "auto" and is_loopback(settings.host))
    endpoints = Endpoints(store.database, site.ids, store.clocks, secrets.token_bytes, private=private)
    sender = await site.stack.enter_async_context(Sender(site.clock, private=private))
    retry, counts = settings.webhook_retry_seconds, processing.processor.counts
    dispatcher = Dispatcher(store.database, endpoints, sender, store.clocks, site.ids, retry, counts)
    await site.sole.start(partial(background, dispatcher.run))
    feeds = Feeds(
        store.database,
        feed_event,
        store.resets,
        site.clock,
        most=settings.max_feeds,
        most_per_key=settings.max_feeds_per_key,
    )
    site.running.end_feeds = feeds.end
    return DeliveryRoom(endpoints, dispatcher, feeds)


async def follow_game_file(site: Site, processing: ProcessingRoom) -> None:
    """Apply the game that the settings name, and again whenever its file changes. Raises `GameUnusable`."""
    if site.settings.game is None:
        return
    file = GameFile(site.settings.game, Scope(api_keys.PROJECT, "test"), processing.game_changes, site.clock)
    if not await file.apply():
        raise GameUnusable(f"the game {site.settings.game} can't be applied: `bq-server game check` shows why")
    await site.stack.enter_async_context(background(file.watch))
