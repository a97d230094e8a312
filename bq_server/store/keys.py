"""API keys: shown once, stored as SHA-256."""

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

from bq_server.events import Scope
from bq_server.ids import IdSource, RandomBytes
from bq_server.store.database import Connection
from bq_server.store.queries import load

_queries = load("keys")

Environment = Literal["live", "test"]
KeyScope = Literal["ingest", "read", "metrics", "webhooks", "admin"]
EVERY_SCOPE: tuple[KeyScope, ...] = get_args(KeyScope)

DEV_KEY = "BQ_DEV_KEY"
"""The name of the key that a setting makes valid. Earlier releases kept it beside the others."""

PROJECT = "default"
"""The one project there is today; rows carry it so that there can be more."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: never the key itself. Times are microseconds since the epoch, UTC."""

    key_id: str
    scope: Scope
    sha256: str
    """Lower-case hex."""
    scopes: frozenset[str]
    name: str
    created_at: int
    revoked_at: int | None

    def allows(self, scope: KeyScope) -> bool:
        """Whether the key may do what needs that scope; `admin` includes the others."""
        return scope in self.scopes or "admin" in self.scopes


def digest(key: str) -> str:
    """What is kept of a key: its SHA-256 as lower-case hex."""
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
) -> str:
    """Keep a key and answer its id. A key that is kept already is made valid again, with these scopes."""
    key_id = ids.new("key")
    await _queries.insert_key(
        connection,
        key_id=key_id,
        project=project,
        environment=key.split("_")[1],
        sha256=digest(key),
        scopes=" ".join(scopes),
        name=name,
        created_at=now,
    )
    return key_id


async def revoke(connection: Connection, key_id: str, now: int) -> bool:
    """Make the key invalid; whether there is such a key."""
    return bool(await _queries.revoke_key(connection, key_id=key_id, revoked_at=now))


def of_setting(key: str, now: int) -> ApiKey:
    """The key that a setting makes valid for as long as it is set, with every scope. It is kept nowhere."""
    return ApiKey("dev_key", Scope(PROJECT, "test"), digest(key), frozenset(EVERY_SCOPE), DEV_KEY, now, None)


async def revoke_kept_dev_keys(connection: Connection, now: int) -> None:
    """Make the keys invalid that an earlier release kept because the setting held them once."""
    await _queries.revoke_test_keys_named(connection, name=DEV_KEY, revoked_at=now)


async def every(connection: Connection) -> list[ApiKey]:
    """All keys, revoked ones too, oldest first."""
    return [
        ApiKey(key_id, Scope(project, environment), sha256, frozenset(scopes.split()), name, created_at, revoked_at)
        async for key_id, project, environment, sha256, scopes, name, created_at, revoked_at in _queries.all_keys(
            connection
        )
    ]
