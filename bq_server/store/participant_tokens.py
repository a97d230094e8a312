"""The secrets that sign participant tokens, and which participants have tokens.

The tokens themselves are kept nowhere. Each is of a series of its participant, and ends with it; each is signed with a
secret of its environment. The secrets are in the store, so that every process that serves from it knows the same.
"""

from dataclasses import dataclass, field

from bq_server.events import Scope
from bq_server.ids import IdSource, RandomBytes
from bq_server.store.database import Connection
from bq_server.store.processes import MEMORY
from bq_server.store.queries import load

_queries = load("participant_tokens")

SECRET_BYTES = 32
SERIES_BYTES = 12


@dataclass(frozen=True, slots=True)
class TokenSecret:
    """A secret that signs an environment's tokens. Times are microseconds since the epoch, UTC."""

    secret_id: str
    scope: Scope
    secret: bytes = field(repr=False)
    created_at: int
    ends_at: int | None = None
    """From when on its tokens are refused; None for the one that signs now."""


async def secrets(connection: Connection) -> list[TokenSecret]:
    """Those of all environments, oldest first."""
    return [
        TokenSecret(secret_id, Scope(project, environment), bytes.fromhex(secret), created_at, ends_at)
        async for secret_id, project, environment, secret, created_at, ends_at in _queries.secrets(connection)
    ]


async def signing_secret(
    connection: Connection, scope: Scope, ids: IdSource, random_bytes: RandomBytes, now: int
) -> TokenSecret:
    """The one that signs an environment's tokens, created if there is none yet, in a transaction."""
    for each in reversed(await secrets(connection)):
        if each.scope == scope and each.ends_at is None:
            return each
    return await _add_secret(connection, scope, ids, random_bytes, now)


async def rotate_secret(
    connection: Connection, scope: Scope, ids: IdSource, random_bytes: RandomBytes, now: int, overlap: int
) -> TokenSecret:
    """Create a new one, in a transaction; tokens of the earlier ones are accepted for `overlap` microseconds more."""
    connection.wakes.add(MEMORY)
    await _queries.end_secrets(connection, **scope._asdict(), ends_at=now + overlap)
    await _queries.remove_ended_secrets(connection, now=now)
    return await _add_secret(connection, scope, ids, random_bytes, now)


async def _add_secret(
    connection: Connection, scope: Scope, ids: IdSource, random_bytes: RandomBytes, now: int
) -> TokenSecret:
    added = TokenSecret(ids.new("toksec"), scope, random_bytes(SECRET_BYTES), now)
    connection.wakes.add(MEMORY)
    await _queries.add_secret(
        connection, secret_id=added.secret_id, **scope._asdict(), secret=added.secret.hex(), created_at=now
    )
    return added


async def series_of(connection: Connection, scope: Scope, participant_id: str) -> str | None:
    """The series of a participant's tokens; None if they have none, or no longer any."""
    found: str | None = await _queries.series(connection, **scope._asdict(), participant_id=participant_id)
    return found


async def begin_series(connection: Connection, scope: Scope, participant_id: str, random_bytes: RandomBytes) -> str:
    """The series of a participant's tokens, begun if there is none, in a transaction."""
    own = scope._asdict() | {"participant_id": participant_id}
    await _queries.add_series(connection, **own, series=random_bytes(SERIES_BYTES).hex())
    series: str = await _queries.series(connection, **own)
    return series


async def end_series(connection: Connection, scope: Scope, participant_id: str) -> None:
    """End all tokens of a participant, in a transaction."""
    await _queries.remove_series(connection, **scope._asdict(), participant_id=participant_id)
