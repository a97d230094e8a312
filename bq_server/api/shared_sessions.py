"""Sessions of the console that several processes know: a change is in the store, and learned before it is answered."""

from collections import defaultdict

from starlette.requests import Request

from bq_server.api.console_sessions import MOST, ConsoleSession, ConsoleSessions, cookie_hash
from bq_server.clock import Clock
from bq_server.store import console_sessions
from bq_server.store.console_sessions import KeptSession, SessionKind
from bq_server.store.database import Connection, Database
from bq_server.store.keys import digest


class SharedSessions:
    """Keeps what one process makes of links and sessions for the others. Raises `StoreUnavailable`."""

    def __init__(self, sessions: ConsoleSessions, database: Database, clock: Clock) -> None:
        self._sessions = sessions
        self._database = database
        self._clock = clock

    async def learn(self) -> None:
        """Know what is kept, and nothing else."""
        async with self._database.read_for_intake() as connection:
            kept = await console_sessions.every(connection)
        found: dict[SessionKind, dict[str, ConsoleSession]] = {"link": {}, "session": {}}
        of_key: defaultdict[tuple[SessionKind, str], int] = defaultdict(int)
        for each in reversed(kept):
            of_key[each.kind, each.key_id] += 1
            if of_key[each.kind, each.key_id] <= MOST:
                found[each.kind][each.secret_hash] = ConsoleSession(each.key_id, each.lasts, each.ends_at)
        self._sessions.know(found["link"], found["session"])

    async def put_link(self, connection: Connection, link: str) -> None:
        """Keep a link that this process has made, in a transaction."""
        await self._put(connection, "link", link, self._sessions.waiting(link))

    async def open(self, link: str) -> tuple[str, ConsoleSession] | None:
        """As `ConsoleSessions.open`: in one of all processes, once."""
        async with self._database.transaction() as connection:
            if not await console_sessions.remove(connection, digest(link)):
                return None
            opened = self._sessions.open(link)
            if opened is not None:
                await self._put(connection, "session", *opened)
        return opened

    async def close(self, request: Request) -> None:
        """End the session of a request."""
        async with self._database.transaction() as connection:
            await console_sessions.remove(connection, cookie_hash(request))

    async def _put(self, connection: Connection, kind: SessionKind, secret: str, session: ConsoleSession) -> None:
        kept = KeptSession(digest(secret), kind, session.key_id, session.lasts, session.ends_at)
        await console_sessions.put(connection, kept, self._clock())
