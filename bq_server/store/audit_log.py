"""The audit log: administrative actions, by whom and when, recorded in the transaction that carries them out."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import structlog
from msgspec import Struct

from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.facts import EARLIEST, LATEST, StoredFact
from bq_server.store.queries import load

log = structlog.get_logger("bq_server.admin")
trouble = structlog.get_logger("bq_server.store")

FOLLOW_SECONDS = 1.0

Action = Literal[
    "backup_restored",
    "badge_awarded",
    "claim_cancelled",
    "claim_fulfilled",
    "clock_advanced",
    "clock_given_back",
    "clock_set",
    "console_link_created",
    "dead_letter_dropped",
    "dead_letter_handling_begun",
    "dead_letter_retried",
    "dead_letters_dropped",
    "dead_letters_retried",
    "environment_imported",
    "environment_reset",
    "erasures_cleaned_up",
    "fact_voided",
    "game_applied",
    "key_created",
    "key_limited",
    "key_revoked",
    "key_rotated",
    "losses_acknowledged",
    "participant_aliased",
    "participant_erased",
    "participant_hidden",
    "participant_shown",
    "participant_token_created",
    "participant_tokens_revoked",
    "points_awarded",
    "points_deducted",
    "points_transferred",
    "reward_claimed",
    "state_replay_begun",
    "state_replayed",
    "streak_freeze_bought",
    "token_secret_rotated",
    "webhook_endpoint_changed",
    "webhook_endpoint_created",
    "webhook_endpoint_removed",
    "webhook_retried",
    "webhook_secret_rotated",
    "webhooks_replayed",
]
"""What an entry records. docs/operations.md has a row for each."""

_queries = load("audit_log")
_writing = load("audit_log", "sqlite3")
"""The same, on the connection's own thread."""


class Actor(Struct, frozen=True):
    """Who acts: a key over HTTP, or a command on the data directory."""

    key_id: str | None = None
    command: str | None = None
    """Its name, without arguments: `keys create`."""
    address: str | None = None
    request_id: str | None = None


class AuditEntry(Struct, frozen=True):
    """What was done. Times are microseconds since the epoch, UTC, by the server's clock."""

    position: int
    at: int
    scope: Scope | None
    """None if it concerns all environments."""
    action: str
    actor: Actor
    about: Mapping[str, Any]


class AuditFilter(Struct, frozen=True):
    """Which entries."""

    action: str | None = None
    key_id: str | None = None
    since: int = EARLIEST
    until: int = LATEST
    before: int = LATEST
    """The position of an entry; only older ones are listed."""


class Act(Struct, frozen=True):
    """An action about to be taken on somebody's behalf; whatever carries it out records it in the same transaction."""

    action: Action
    scope: Scope | None
    actor: Actor
    clock: Clock

    async def keep(self, connection: Connection, **about: Any) -> None:
        """Record it in the transaction, with details `about` it as JSON values.

        What a key did is logged once the transaction is committed; what a command did is logged by the server, see
        `Follower`. `about` names no participant, because neither log can forget one; ids of facts lead to them.
        """
        await connection.run(lambda writing: self.write(writing, **about))
        if self.actor.command is None:
            connection.after_commit(partial(_tell, self.action, self.scope, self.actor, about))

    def of_fact(self, **about: Any) -> Callable[[Connection, StoredFact], Awaitable[None]]:
        """Records it with the id of a new fact, in the transaction that makes the fact."""

        async def keep(connection: Connection, fact: StoredFact) -> None:
            await self.keep(connection, **about, fact_id=fact.fact_id)

        return keep

    def write(self, connection: Any, **about: Any) -> None:
        """As `keep`, with a DB-API connection, for commands without any other."""
        project, environment = self.scope or (None, None)
        _writing.add_entry(
            connection,
            at=self.clock(),
            project=project,
            environment=environment,
            action=self.action,
            key_id=self.actor.key_id,
            command=self.actor.command,
            address=self.actor.address,
            request_id=self.actor.request_id,
            about=json.dumps(about, ensure_ascii=False, separators=(",", ":")),
        )


async def newest(connection: Connection, scope: Scope | None, wanted: AuditFilter, limit: int) -> list[AuditEntry]:
    """The newest entries: of one environment and those that concern all, or without a scope every one."""
    asked = {
        "action": wanted.action,
        "key_id": wanted.key_id,
        "since": wanted.since,
        "until": wanted.until,
        "before": wanted.before,
        "limit": limit,
    }
    if scope is None:
        rows = _queries.entries(connection, **asked)
    else:
        rows = _queries.entries_of(connection, **scope._asdict(), **asked)
    return [_entry(row) async for row in rows]


@dataclass(slots=True)
class Follower:
    """Logs what commands do, in the running server: commands have no log that an operator keeps."""

    database: Database
    _seen: int | None = field(default=None, init=False)

    async def run(self) -> None:
        """Check every second, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(FOLLOW_SECONDS)

    async def look(self) -> None:
        """Log what was done since the last check; the first one only finds where to start."""
        try:
            async with self.database.read() as connection:
                if self._seen is None:
                    self._seen = await _queries.newest_position(connection)
                rows = [row async for row in _queries.commands_after(connection, position=self._seen)]
        except StoreUnavailable as error:
            trouble.warning("audit_log.not_read", reason=str(error))
            return
        for entry in map(_entry, rows):
            self._seen = entry.position
            _tell(entry.action, entry.scope, entry.actor, entry.about)


def _entry(row: Any) -> AuditEntry:
    position, at, project, environment, action, key_id, command, address, request_id, about = row
    scope = None if project is None else Scope(project, environment)
    return AuditEntry(position, at, scope, action, Actor(key_id, command, address, request_id), json.loads(about))


def _tell(action: str, scope: Scope | None, actor: Actor, about: Mapping[str, Any]) -> None:
    who = {"key_id": actor.key_id, "command": actor.command, "address": actor.address, "request_id": actor.request_id}
    known = {name: value for name, value in who.items() if value is not None}
    log.info("admin.done", action=action, environment=None if scope is None else scope.environment, **known, **about)
