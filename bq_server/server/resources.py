"""The resources of the API, over the rooms; in the order in which the OpenAPI document shows them."""

from functools import partial

from bq_server import __version__
from bq_server.api.auth import Keyring
from bq_server.api.resources.activity import ActivityResource
from bq_server.api.resources.aliases import AliasesResource
from bq_server.api.resources.audit_log import AuditLogResource
from bq_server.api.resources.awards import AwardsResource
from bq_server.api.resources.catalog import CatalogResource
from bq_server.api.resources.challenges import ChallengesResource
from bq_server.api.resources.console import ConsoleResource
from bq_server.api.resources.contests import ContestsResource
from bq_server.api.resources.dead_letters import DeadLettersResource
from bq_server.api.resources.events import EventsResource
from bq_server.api.resources.facts import FactsResource
from bq_server.api.resources.feed import FeedResource
from bq_server.api.resources.game import GameResource
from bq_server.api.resources.gamify import GamifyResource
from bq_server.api.resources.health import HealthResource
from bq_server.api.resources.keys import KeysResource
from bq_server.api.resources.leaderboards import LeaderboardsResource
from bq_server.api.resources.metrics import MetricsResource
from bq_server.api.resources.participant_state import ParticipantStateResource
from bq_server.api.resources.participant_tokens import ParticipantTokensResource
from bq_server.api.resources.participants import ParticipantsResource
from bq_server.api.resources.personal_data import PersonalDataResource
from bq_server.api.resources.referrals import ReferralsResource
from bq_server.api.resources.rewards import RewardsResource
from bq_server.api.resources.sandbox import SandboxResource
from bq_server.api.resources.streaks import StreaksResource
from bq_server.api.resources.transfers import TransfersResource
from bq_server.api.resources.visibility import VisibilityResource
from bq_server.api.resources.voids import VoidsResource
from bq_server.api.resources.webhooks import WebhookEndpointsResource
from bq_server.api.shared_sessions import SharedSessions
from bq_server.metrics.families import Sources
from bq_server.metrics.history import ActivityHistory
from bq_server.metrics.loop_delay import LoopDelay
from bq_server.sandbox.exclusive import Turns
from bq_server.server.health_checks import HealthChecks, waiting
from bq_server.server.lifecycle import background
from bq_server.server.rooms import Rooms, Site
from bq_server.store import sqlite


def resources(
    site: Site,
    rooms: Rooms,
    keyring: Keyring,
    health: HealthChecks,
    sources: Sources,
    history: ActivityHistory,
    shared_sessions: SharedSessions | None = None,
) -> list[object]:
    """Every resource whose operations are routed and documented; a worker has those about itself only.

    `shared_sessions`: if several processes serve.
    """
    peers = rooms.store.peers
    own: list[object] = [
        HealthResource(health.checks, health.cautions, site.running.promise, __version__),
        MetricsResource(
            sources, partial(waiting, rooms.stream, site.clock), rooms.delivery.endpoints.waiting, health.checks
        ),
    ]
    if site.settings.role == "worker":
        return own
    processing, intake, sandbox, privacy = rooms.processing, rooms.intake, rooms.sandbox, rooms.privacy
    database, clocks, games, parser = rooms.store.database, rooms.store.clocks, processing.games, intake.parser
    return [
        EventsResource(
            intake.async_intake,
            intake.sync_intake,
            processing.processor,
            intake.messages,
            sandbox.drain,
            database,
            parser,
        ),
        FactsResource(database),
        VoidsResource(intake.sync_intake, processing.processor, database, parser),
        FeedResource(
            rooms.delivery.feeds,
            keyring,
            clocks,
            heartbeat_seconds=site.settings.feed_heartbeat_seconds,
            write_timeout_seconds=site.settings.write_timeout_seconds,
        ),
        CatalogResource(database, processing.indexing),
        GamifyResource(intake.sync_intake, database, parser),
        ParticipantStateResource(database, games, clocks),
        StreaksResource(intake.sync_intake, database, games, processing.expirer, parser, clocks),
        ParticipantsResource(intake.sync_intake, database, games, parser, clocks),
        AliasesResource(intake.sync_intake, database, parser),
        ParticipantTokensResource(keyring, database, parser, site.ids, site.clock),
        ChallengesResource(intake.sync_intake, database, games, parser, clocks),
        LeaderboardsResource(database, games, clocks),
        ContestsResource(intake.sync_intake, database, games, parser, clocks),
        ReferralsResource(intake.sync_intake, database, parser, site.ids),
        VisibilityResource(intake.sync_intake, database, parser),
        AwardsResource(intake.sync_intake, database, games, processing.expirer, parser),
        TransfersResource(intake.sync_intake, database, games, processing.expirer, parser),
        RewardsResource(intake.sync_intake, database, games, processing.expirer, parser, clocks),
        GameResource(processing.game_changes, database, parser),
        SandboxResource(
            sandbox.drain,
            sandbox.sandbox_clocks,
            sandbox.resetter,
            sandbox.exporter,
            sandbox.importer,
            clocks,
            parser,
            Turns(None if peers is None else peers.turn),
        ),
        WebhookEndpointsResource(rooms.delivery.endpoints, database, parser),
        DeadLettersResource(privacy.dead_letters, database),
        AuditLogResource(database),
        PersonalDataResource(database, games, sandbox.drain, privacy.dead_letters, privacy.eraser, clocks, parser),
        KeysResource(keyring, database, parser, site.ids, site.clock),
        ConsoleResource(keyring, database, parser, site.clock, __version__, shared_sessions),
        *own,
        ActivityResource(history, site.settings.queue_limit),
    ]


async def share_sessions(site: Site, rooms: Rooms, keyring: Keyring) -> SharedSessions | None:
    """Know the sessions of the console that other processes have made, from now on."""
    peers = rooms.store.peers
    if peers is None or site.settings.role == "worker":
        return None
    shared = SharedSessions(keyring.sessions, rooms.store.database, site.clock)
    peers.learn_with(shared.learn)
    await shared.learn()
    return shared


async def metrics_sources(site: Site, rooms: Rooms) -> Sources:
    """Where the metrics read their counts; starts measuring the loop's delay."""
    running = site.running
    assert running.durability is not None, "the stream is open"  # noqa: S101
    loop_delay = LoopDelay()
    await site.stack.enter_async_context(background(loop_delay.watch))
    return Sources(
        running.requests,
        running.connection_counts,
        running.budget,
        rooms.intake.counts,
        rooms.intake.writer.counts,
        rooms.processing.consumer.counts,
        rooms.processing.processor.counts,
        rooms.delivery.dispatcher.counts,
        rooms.delivery.feeds.counts,
        loop_delay.seconds,
        rooms.store.database.file,
        site.settings.queue_limit,
        (__version__, sqlite.VERSION, running.durability.server),
        None if rooms.store.peers is None else rooms.store.peers.counted,
    )


async def keep_history(site: Site, rooms: Rooms, sources: Sources) -> ActivityHistory:
    """Start recording the recent history of the counts."""
    history = ActivityHistory(sources, partial(waiting, rooms.stream, site.clock), site.clock)
    await site.stack.enter_async_context(background(history.keep))
    return history
