"""API keys at the door: 401 without a valid one, 403 without the scope."""

import asyncio
import hmac
import itertools
from collections.abc import Sequence

import structlog
from starlette.requests import Request

from bq_server.clock import Clock
from bq_server.refusals import Code, Refusal
from bq_server.store import keys
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.keys import ApiKey, KeyScope

log = structlog.get_logger("bq_server.api.auth")
admin = structlog.get_logger("bq_server.admin")

REFRESH_SECONDS = 1.0
"""How old the known keys may be: a new or revoked key is honoured within this and a read."""

NOTE_SECONDS = 60
"""How often it is kept when keys were used."""


class Keyring:
    """The valid keys, read anew every second so that the hot path asks no database."""

    def __init__(self, database: Database, clock: Clock, always: Sequence[ApiKey] = ()) -> None:
        """`always` are valid beside those that are kept, as long as this process runs."""
        self._database = database
        self._clock = clock
        self._always = always
        self._used: set[str] = set()
        """The ids of those that opened something since it was last noted."""
        self._by_prefix: dict[str, list[ApiKey]] = {}
        self._known: dict[str, ApiKey] | None = None
        """By id; None before the first look."""

    async def refresh(self) -> None:
        """Read the keys. Raises `StoreUnavailable`."""
        async with self._database.read_for_intake() as connection:
            found = await keys.every(connection)
        by_prefix: dict[str, list[ApiKey]] = {}
        now = self._clock()
        for key in (*self._always, *found):
            if key.is_valid(now):
                by_prefix.setdefault(key.sha256[:8], []).append(key)
        self._by_prefix = by_prefix
        self._tell_changes({key.key_id: key for keys in by_prefix.values() for key in keys})

    def _tell_changes(self, valid: dict[str, ApiKey]) -> None:
        """Log which keys a command has made or revoked: it writes to no log that an operator keeps."""
        known, self._known = self._known, valid
        if known is not None:
            for key_id in valid.keys() - known.keys():
                _log_change("key_created", valid[key_id])
            now = self._clock()
            for key_id in known.keys() - valid.keys():
                _log_change("key_revoked" if known[key_id].is_valid(now) else "key_expired", known[key_id])

    async def keep_fresh(self) -> None:
        """Refresh until cancelled; while the store can't be read, the keys known last stay valid."""
        for seconds in itertools.count(1):
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
                if seconds % NOTE_SECONDS == 0:
                    await self.note_used()
            except StoreUnavailable as error:
                log.warning("keys.not_refreshed", reason=str(error))

    async def note_used(self) -> None:
        """Keep which keys were used, as of now. Raises `StoreUnavailable`, and keeps them another time."""
        used, now = self._used, self._clock()
        if used:
            self._used = set()
            try:
                async with self._database.transaction() as connection:
                    await keys.note_used(connection, dict.fromkeys(used, now))
            except StoreUnavailable:
                self._used |= used
                raise

    def is_valid(self, key: ApiKey) -> bool:
        """Whether a key that was found is neither revoked since nor past its end."""
        return self._known is not None and key.key_id in self._known and key.is_valid(self._clock())

    def find(self, presented: str) -> ApiKey | None:
        """The valid key that was presented. Hashes are compared in constant time."""
        return self.holder(keys.digest(presented))

    def holder(self, digest: str) -> ApiKey | None:
        """As `find`, of the digest of what was presented."""
        for key in self._by_prefix.get(digest[:8], ()):
            if hmac.compare_digest(key.sha256, digest) and (key.expires_at is None or key.is_valid(self._clock())):
                self._used.add(key.key_id)
                return key
        return None


def authenticate(request: Request, keyring: Keyring, needed: KeyScope) -> ApiKey:
    """The key of the request. Raises `Refusal`: unauthenticated, without telling why, or forbidden."""
    presented = _presented(request, needed)
    key = None if presented is None else keyring.find(presented)
    if key is None:
        detail = "Send a valid API key in the X-API-Key header; `bq-server keys create` makes one."
        raise Refusal(Code.UNAUTHENTICATED, detail)
    request.scope["bq.key_id"] = key.key_id
    if not key.allows(needed):
        held = ", ".join(sorted(key.scopes))
        detail = f"This needs the scope {needed}, and the key has {held}: make one with --scope {needed}."
        raise Refusal(Code.FORBIDDEN, detail)
    return key


def _presented(request: Request, needed: KeyScope) -> str | None:
    key = request.headers.get("x-api-key")
    if key is None and needed == "metrics":
        # Prometheus before 2.55 can send no header of ours, but a bearer token.
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None
    return key


def _log_change(action: str, key: ApiKey) -> None:
    environment, scopes = key.scope.environment, " ".join(sorted(key.scopes))
    admin.info("admin.done", action=action, environment=environment, key_id=key.key_id, scopes=scopes, name=key.name)
