"""API keys: shown once, stored as SHA-256."""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from bq_server.events import Scope
from bq_server.ids import IdSource, RandomBytes
from bq_server.moments import format_timestamp
from bq_server.settings import NO_RATE_LIMIT, OFF, RateLimit, rate_limit_of
from bq_server.store.database import Connection
from bq_server.store.processes import MEMORY
from bq_server.store.queries import load

_queries = load("keys")

Environment = Literal["live", "test"]
KeyScope = Literal["ingest", "award", "read", "metrics", "webhooks", "admin"]
EVERY_SCOPE: tuple[KeyScope, ...] = get_args(KeyScope)

DRY_RUN = "dry_run"
"""The scope of keys created when `ingest` still allowed dry runs."""

DEV_KEY = "BQ_DEV_KEY"
"""The name of the key that a setting makes valid. Earlier releases stored it with the others."""

PROJECT = "default"
"""The only project today; rows carry it so that there can be more."""


class ApiKey(Struct, frozen=True):
    """A key as stored: never the key itself. Times are microseconds since the epoch, UTC."""

    key_id: str
    scope: Scope
    sha256: str
    """Lower-case hex."""
    scopes: frozenset[str]
    name: str
    created_at: int
    revoked_at: int | None = None
    expires_at: int | None = None
    last_used_at: int | None = None
    """Accurate to about a minute."""
    rate_limit: RateLimit | None = None
    """Of this key; None for that of the settings."""

    def allows(self, scope: KeyScope) -> bool:
        """Whether the key has that scope; `admin` includes the others."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def rehearses(self) -> bool:
        """Whether the key may do dry runs, which show the rules and the participant's state.

        Keys created before this needed `read` have a scope of their own for it, which no new key gets.
        """
        return self.allows("read") or DRY_RUN in self.scopes

    def is_valid(self, now: int) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def digest(key: str) -> str:
    """What is stored of a key: its SHA-256 as lower-case hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def generate(environment: Environment, random_bytes: RandomBytes) -> str:
    """A new key: `bq_live_` or `bq_test_` and 32 hex characters (Events API, Authentication)."""
    return f"bq_{environment}_{random_bytes(16).hex()}"


async def add(
    connection: Connection,
    key: str,
    scopes: tuple[KeyScope, ...],
    name: str,
    ids: IdSource,
    now: int,
    project: str = PROJECT,
    expires_at: int | None = None,
    rate_limit: RateLimit | None = None,
) -> ApiKey:
    """Store a key. An existing one is made valid again, with these scopes and this expiry."""
    scope = Scope(project, key.split("_")[1])
    kept = ApiKey(ids.new("key"), scope, digest(key), frozenset(scopes), name, now, None, expires_at, None, rate_limit)
    await _queries.insert_key(
        connection,
        key_id=kept.key_id,
        **scope._asdict(),
        sha256=kept.sha256,
        scopes=" ".join(scopes),
        name=name,
        created_at=now,
        expires_at=expires_at,
        rate_limit=None if rate_limit is None else str(rate_limit),
    )
    return kept


async def rotate(
    connection: Connection,
    old: ApiKey,
    successor: str,
    ids: IdSource,
    now: int,
    overlap: int,
    lasts: int | None = None,
) -> ApiKey | None:
    """Store a key with the scopes of another, which expires after the overlap in microseconds.

    The successor of a key that was made to end ends after so long, too, from now on, unless `lasts` says how long, in
    microseconds. None, and nothing done, for a key that is valid no more.
    """
    if not old.is_valid(now):
        return None
    if lasts is None and old.expires_at is not None:
        lasts = old.expires_at - old.created_at
    expires_at = None if lasts is None else now + lasts
    connection.wakes.add(MEMORY)
    await _queries.expire_key(connection, key_id=old.key_id, expires_at=now + overlap)
    scopes: tuple[KeyScope, ...] = tuple(scope for scope in EVERY_SCOPE if scope in old.scopes)
    return await add(connection, successor, scopes, old.name, ids, now, old.scope.project, expires_at, old.rate_limit)


async def note_used(connection: Connection, used_at: Mapping[str, int]) -> None:
    """Record when keys were last used, by id; keys that aren't stored are ignored."""
    await _queries.note_use(connection, [{"key_id": key_id, "used_at": at} for key_id, at in used_at.items()])


async def limit(connection: Connection, key_id: str, rate_limit: RateLimit | None) -> None:
    """Give the key its own limit, or with None that of the settings."""
    connection.wakes.add(MEMORY)
    await _queries.limit_key(connection, key_id=key_id, rate_limit=None if rate_limit is None else str(rate_limit))


async def revoke(connection: Connection, key_id: str, now: int) -> None:
    """Make the key invalid."""
    connection.wakes.add(MEMORY)
    await _queries.revoke_key(connection, key_id=key_id, revoked_at=now)


def described(key: ApiKey) -> dict[str, Any]:
    """What the audit log records about a key."""
    told = {"key": key.key_id, "scopes": " ".join(sorted(key.scopes)), "name": key.name}
    if key.expires_at is not None:
        told["expires_at"] = format_timestamp(key.expires_at)
    if key.rate_limit is not None:
        told["rate_limit"] = str(key.rate_limit)
    return told


def of_setting(key: str, now: int) -> ApiKey:
    """The key that a setting makes valid for as long as it is set, with every scope. It isn't stored."""
    return ApiKey("dev_key", Scope(PROJECT, "test"), digest(key), frozenset(EVERY_SCOPE), DEV_KEY, now)


async def revoke_kept_dev_keys(connection: Connection, now: int) -> list[ApiKey]:
    """Revoke the keys that an earlier release stored from that setting; returns which."""
    kept = [
        key
        for key in await every(connection)
        if key.name == DEV_KEY and key.scope.environment == "test" and key.revoked_at is None
    ]
    for key in kept:
        await revoke(connection, key.key_id, now)
    return kept


async def every(connection: Connection) -> list[ApiKey]:
    """All keys, revoked ones too, oldest first."""
    found = []
    async for key_id, project, environment, sha256, scopes, *rest, limit in _queries.all_keys(connection):
        own = frozenset(scopes.split())
        key = ApiKey(key_id, Scope(project, environment), sha256, own, *rest)
        found.append(key if limit is None else replace(key, rate_limit=_limit_of(limit)))
    return found


def _limit_of(text: str) -> RateLimit | None:
    return NO_RATE_LIMIT if text == OFF else rate_limit_of(text)
