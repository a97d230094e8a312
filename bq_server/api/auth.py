"""API keys: which are valid, and which one a request carries."""

import asyncio
import hmac
import itertools
from collections.abc import Sequence
from contextlib import suppress

import structlog
from starlette.requests import Request

from bq_server.api.console_sessions import ConsoleSessions
from bq_server.api.participant_tokens import ParticipantTokens
from bq_server.clock import Clock
from bq_server.store import keys, participant_tokens
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.keys import ApiKey, KeyScope

log = structlog.get_logger("bq_server.api.auth")
admin = structlog.get_logger("bq_server.admin")

REFRESH_SECONDS = 1.0
"""How old the known keys may be: a revoked key is refused within this time and a read. A new one is found at once."""

UNKNOWN_SECONDS = 0.1
"""How soon after one look-up an unknown key may cause another: wrong keys must cost little."""

NOTE_SECONDS = 60
"""How often the times at which keys were used are stored."""


class Keyring:
    """The valid keys, refreshed every second, so that the hot path needs no database."""

    def __init__(self, database: Database, clock: Clock, always: Sequence[ApiKey] = ()) -> None:
        """`always` are valid beside the stored ones, as long as this process runs."""
        self._database = database
        self._clock = clock
        self._always = always
        self._used: set[str] = set()
        """The ids of keys used since the last time this was stored."""
        self._by_prefix: dict[str, list[ApiKey]] = {}
        self._known: dict[str, ApiKey] = {}
        """Those that were valid at the last look-up, by id."""
        self._looked_at = 0.0
        """By the event loop's clock."""
        self._looking = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        self.sessions = ConsoleSessions(clock)
        self.tokens = ParticipantTokens(database, clock)

    async def refresh(self) -> None:
        """Read the keys, and what signs tokens. Raises `StoreUnavailable`."""
        async with self._refreshing:  # one after another, so that the last one to read has the last word
            await self._refresh()

    async def _refresh(self) -> None:
        self._looked_at = asyncio.get_running_loop().time()
        async with self._database.read_for_intake() as connection:
            found = await keys.every(connection)
            secrets = await participant_tokens.secrets(connection)
        self.tokens.know(secrets)
        by_prefix: dict[str, list[ApiKey]] = {}
        now = self._clock()
        for key in (*self._always, *found):
            if key.is_valid(now):
                by_prefix.setdefault(key.sha256[:8], []).append(key)
        self._by_prefix = by_prefix
        self._tell_ends({key.key_id: key for keys in by_prefix.values() for key in keys})

    def _tell_ends(self, valid: dict[str, ApiKey]) -> None:
        """Log which keys have expired: nobody did that, so it isn't in the audit log."""
        known, self._known = self._known, valid
        now = self._clock()
        for key_id in known.keys() - valid.keys():
            key = known[key_id]
            if not key.is_valid(now):
                admin.info("admin.done", action="key_expired", environment=key.scope.environment, **keys.described(key))

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
            except Exception:
                log.exception("keys.not_refreshed")

    async def expect(self, presented: str | None) -> ApiKey | None:
        """As `find`, but reads the keys again if this one is unknown: a command may have just created it."""
        if presented is None:
            return None
        digest = keys.digest(presented)
        if (known := self.holder(digest)) is not None:
            return known
        came = asyncio.get_running_loop().time()
        async with self._looking:
            if self._looked_at <= came:  # else another has looked since
                await asyncio.sleep(self._looked_at + UNKNOWN_SECONDS - came)
                with suppress(StoreUnavailable):
                    await self.refresh()
        return self.holder(digest)

    async def note_used(self) -> None:
        """Store which keys were used, as of now. Raises `StoreUnavailable`; the next call tries again."""
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
        """Whether a key that was found is neither revoked since nor expired."""
        return key.key_id in self._known and key.is_valid(self._clock())

    def still_admits(self, request: Request, key: ApiKey) -> bool:
        """Whether a request that was let in as this key would be now, if nothing else forbids it."""
        if presented_key(request, "read") is None and self.sessions.find(request) is None:
            return False
        return self.is_valid(key)

    def find(self, presented: str) -> ApiKey | None:
        """The valid key that was presented. Hashes are compared in constant time."""
        return self.holder(keys.digest(presented))

    def holder(self, digest: str) -> ApiKey | None:
        """As `find`, given the digest of what was presented."""
        for key in self._by_prefix.get(digest[:8], ()):
            if hmac.compare_digest(key.sha256, digest) and (key.expires_at is None or key.is_valid(self._clock())):
                self._used.add(key.key_id)
                return key
        return None

    def by_id(self, key_id: str) -> ApiKey | None:
        """The valid key of that id."""
        key = self._known.get(key_id)
        if key is None or not key.is_valid(self._clock()):
            return None
        self._used.add(key_id)
        return key

    def of_session(self, request: Request) -> ApiKey | None:
        """The valid key that the session of a request of the console acts as."""
        session = self.sessions.find(request)
        return None if session is None else self.by_id(session.key_id)


def presented_key(request: Request, needed: KeyScope) -> str | None:
    """The key that a request carries, valid or not."""
    key = request.headers.get("x-api-key")
    if key is None and needed == "metrics":
        # Prometheus before 2.55 can't send custom headers, but it can send a bearer token.
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None
    return key
