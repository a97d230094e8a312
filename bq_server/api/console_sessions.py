"""Sessions of the console: a link that works once, and the cookie it is exchanged for.

They are kept in memory, as hashes, and act as the key that asked for the link: when that key ends, so do they. Where
several processes serve, `shared_sessions.py` lets each know those of the others.
"""

import re
import secrets
from collections.abc import Mapping

from msgspec import Struct
from starlette.requests import Request

from bq_server.api.rate_limits import LocalCounts
from bq_server.clock import Clock
from bq_server.ids import RandomBytes
from bq_server.moments import SECOND
from bq_server.refusals import Code, Refusal
from bq_server.settings import RateLimit
from bq_server.store.keys import digest

LINK_SECONDS = 300
"""How long a link may wait to be opened."""

MOST = 50
"""Most waiting links, and most sessions, of one key; beyond it the key's oldest ones end, never another key's."""

LINKS = RateLimit(20, 300)
"""That may be made with a key: each is kept in the audit log, where nothing is ever removed."""

MARK = "x-console"
"""The header that every request of a session carries.

A page of another origin can't send it: `middleware/cors.py` lets none of them. It holds the id of the key that the page
believes it acts as, because tabs share the cookie: a tab opened for another environment must not change what this one
does.
"""

ANY_KEY = "1"
"""Sent instead by a page that asks which key it is."""

COOKIE_PATH = "/api/v1"


class ConsoleSession(Struct, frozen=True):
    """A session, or what a link will open. Times are microseconds since the epoch, UTC."""

    key_id: str
    lasts: int
    ends_at: int


class ConsoleSessions:
    """The links and the sessions of one server."""

    def __init__(self, clock: Clock, random_bytes: RandomBytes = secrets.token_bytes) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._made = LocalCounts()
        self._links: dict[str, ConsoleSession] = {}
        self._open: dict[str, ConsoleSession] = {}
        """Both by the hash of the secret."""

    def link(self, key_id: str, seconds: int) -> str:
        """A secret that opens a session of that many seconds, once and soon. Raises `Refusal` for one link too many."""
        span = self._clock() // (LINKS.seconds * SECOND)
        if self._made.count("key", key_id, span) > LINKS.requests:
            detail = (
                f"With one key {LINKS.requests} links may be made in {LINKS.seconds // 60} minutes: open one of them."
            )
            raise Refusal(Code.RATE_LIMITED, detail, retry_after=(span + 1) * LINKS.seconds - self._clock() // SECOND)
        lasts = seconds * SECOND
        return self._keep(self._links, ConsoleSession(key_id, lasts, self._clock() + LINK_SECONDS * SECOND))

    def open(self, link: str) -> tuple[str, ConsoleSession] | None:
        """A session and the secret of its cookie; None for a link that was used, is too old or never existed."""
        linked = self._links.pop(digest(link), None)
        if linked is None or linked.ends_at <= self._clock():
            return None
        session = ConsoleSession(linked.key_id, linked.lasts, self._clock() + linked.lasts)
        return self._keep(self._open, session), session

    def find(self, request: Request) -> ConsoleSession | None:
        """The session of a request that carries the cookie and the mark."""
        cookie = request.cookies.get(cookie_name(request))
        session = None if cookie is None else self._open.get(digest(cookie))
        if session is None or request.headers.get(MARK) not in (ANY_KEY, session.key_id):
            return None
        return session if self._clock() < session.ends_at else None

    def close(self, request: Request) -> None:
        """End the session of a request."""
        self._open.pop(cookie_hash(request), None)

    def waiting(self, link: str) -> ConsoleSession:
        """What a link that was just made will open."""
        return self._links[digest(link)]

    def know(self, links: Mapping[str, ConsoleSession], sessions: Mapping[str, ConsoleSession]) -> None:
        """Have these and no others, by the hashes of their secrets."""
        self._links, self._open = dict(links), dict(sessions)

    def _keep(self, kept: dict[str, ConsoleSession], session: ConsoleSession) -> str:
        now = self._clock()
        for hashed in [hashed for hashed, each in kept.items() if each.ends_at <= now]:
            del kept[hashed]
        of_the_key = [hashed for hashed, each in kept.items() if each.key_id == session.key_id]
        for hashed in of_the_key[: max(0, len(of_the_key) + 1 - MOST)]:
            del kept[hashed]
        secret = self._random_bytes(32).hex()
        kept[digest(secret)] = session
        return secret


def cookie_name(request: Request) -> str:
    """Of the session: browsers share cookies among the ports of a host, and each may be a server of its own."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"bq_console_{port if re.fullmatch('[0-9]{1,5}', port) else request.scope['scheme']}"


def cookie_hash(request: Request) -> str:
    """The hash of the secret in the cookie of a request."""
    return digest(request.cookies.get(cookie_name(request), ""))


def cookie(request: Request, secret: str, seconds: int) -> str:
    """The `Set-Cookie` of a session; with 0 seconds, of its end."""
    proxied = request.headers.get("x-forwarded-proto", request.scope["scheme"])
    secure = "; Secure" if proxied == "https" else ""
    return f"{cookie_name(request)}={secret}; Path={COOKIE_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
