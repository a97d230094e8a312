"""What each room of a started server holds, for those that are built on it."""

from contextlib import AsyncExitStack

import redis.asyncio as redis
from msgspec import Struct

from bq_server.api.feed_events import FeedEvent
from bq_server.api.request_parser import RequestParser
from bq_server.clock import Clock, Clocks
from bq_server.delivery.dispatcher import Dispatcher
from bq_server.delivery.endpoints import Endpoints
from bq_server.delivery.feeds import Feeds
from bq_server.events import Scope
from bq_server.ids import IdSource
from bq_server.ingest.async_intake import AsyncIntake
from bq_server.ingest.dead_letters import ScopedDeadLetters
from bq_server.ingest.message_status import Messages
from bq_server.ingest.stream_account import StreamAccount
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.metrics.counts import IntakeCounts
from bq_server.privacy.eraser import Eraser
from bq_server.processing.broken_streaks import StreakWatch
from bq_server.processing.catalog_index_job import CatalogIndexJob
from bq_server.processing.compiled_games import Games
from bq_server.processing.contest_freezer import ContestFreezer
from bq_server.processing.dead_messages import DeadMessages
from bq_server.processing.game_changes import GameChanges
from bq_server.processing.group_rewarder import GroupRewarder
from bq_server.processing.points_expiry import PointsExpirer
from bq_server.processing.processor import Processor
from bq_server.processing.refold_job import RefoldJob
from bq_server.runtime.data_directory import DataDirectory
from bq_server.sandbox.clocks import SandboxClocks
from bq_server.sandbox.drain import Drain
from bq_server.sandbox.exporter import Exporter
from bq_server.sandbox.importer import Importer
from bq_server.sandbox.resetter import Resetter
from bq_server.server.lifecycle import SoleWork
from bq_server.server.peers import Peers
from bq_server.server.server_state import ServerState
from bq_server.settings import Settings
from bq_server.store.damage import DamageWatch
from bq_server.store.database import Database
from bq_server.stream.backlog import Backlog
from bq_server.stream.consumer import Consumer
from bq_server.stream.counts import Totals
from bq_server.stream.dead_letters import DeadLetters
from bq_server.stream.embedded import EmbeddedValkey
from bq_server.stream.keys import StreamKeys
from bq_server.stream.lookup import MessageLookup
from bq_server.stream.replicas import Replicas
from bq_server.stream.store_note import StoreNote
from bq_server.stream.writer import Writer


class Site(Struct, frozen=True):
    """What every room is built with."""

    stack: AsyncExitStack
    settings: Settings
    directory: DataDirectory
    clock: Clock
    ids: IdSource
    running: ServerState
    sole: SoleWork


class StoreRoom(Struct, frozen=True):
    """The database, and what is kept in memory about its environments."""

    database: Database
    installation_id: str
    clocks: Clocks
    resets: dict[Scope, int]
    """How often each environment was reset."""
    peers: Peers | None
    """This process among others, unless it serves alone."""


class StreamRoom(Struct, frozen=True):
    """The connections to the stream server, one for each kind of traffic, and what uses them."""

    embedded: EmbeddedValkey | None
    writing: redis.Redis
    reading: redis.Redis
    asking: redis.Redis
    keys: StreamKeys
    totals: Totals
    note: StoreNote
    backlog: Backlog
    letters: DeadLetters
    lookup: MessageLookup
    account: StreamAccount
    replicas: Replicas | None
    """If what is accepted must be on the disk of one."""


class ProcessingRoom(Struct, frozen=True):
    """From messages to facts, and from facts to state."""

    games: Games
    processor: Processor
    consumer: Consumer
    refold_job: RefoldJob
    game_changes: GameChanges
    indexing: CatalogIndexJob
    streaks: StreakWatch
    expirer: PointsExpirer
    freezer: ContestFreezer
    rewarder: GroupRewarder
    dead: DeadMessages


class IntakeRoom(Struct, frozen=True):
    """From a request to an accepted event."""

    counts: IntakeCounts
    parser: RequestParser
    writer: Writer
    async_intake: AsyncIntake
    sync_intake: SyncIntake
    messages: Messages
    damage: DamageWatch


class SandboxRoom(Struct, frozen=True):
    """What only test environments can do."""

    drain: Drain
    sandbox_clocks: SandboxClocks
    resetter: Resetter
    exporter: Exporter
    importer: Importer


class PrivacyRoom(Struct, frozen=True):
    """A person's rights."""

    dead_letters: ScopedDeadLetters
    eraser: Eraser


class DeliveryRoom(Struct, frozen=True):
    """Webhook endpoints and their dispatcher."""

    endpoints: Endpoints
    dispatcher: Dispatcher
    feeds: Feeds[FeedEvent]


class Rooms(Struct, frozen=True):
    """All rooms of a started server."""

    store: StoreRoom
    stream: StreamRoom
    processing: ProcessingRoom
    intake: IntakeRoom
    sandbox: SandboxRoom
    privacy: PrivacyRoom
    delivery: DeliveryRoom
