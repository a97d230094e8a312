"""`/api/v1/console`: signing in to the console, with a link that works once or with a key."""

from typing import get_args

from starlette.responses import Response

from bq_server.api.auth import Keyring
from bq_server.api.call import Call
from bq_server.api.console_sessions import LINK_SECONDS, ConsoleSessions, cookie
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.console import (
    LINK_BODY,
    SIGN_IN_BODY,
    ConsoleEndAnswer,
    ConsoleLinkAnswer,
    ConsoleLinkIn,
    ConsoleSessionAnswer,
    ConsoleSignIn,
)
from bq_server.api.shared_sessions import SharedSessions
from bq_server.clock import Clock
from bq_server.moments import SECOND, format_timestamp
from bq_server.refusals import Code, Refusal
from bq_server.store.database import Database
from bq_server.store.keys import EVERY_SCOPE, ApiKey, Environment

PREFIX = "/api/v1/console"
TAG = "Console"


class ConsoleResource:
    """Creates links, exchanges them for sessions, and reports who is signed in."""

    def __init__(
        self,
        keyring: Keyring,
        database: Database,
        parser: RequestParser,
        clock: Clock,
        version: str,
        shared: SharedSessions | None = None,
    ) -> None:
        """`shared`: if several processes serve."""
        self._keyring = keyring
        self._shared = shared
        self._sessions: ConsoleSessions = keyring.sessions
        self._database = database
        self._parser = parser
        self._clock = clock
        self._version = version

    @operation(
        "createConsoleLink",
        "POST",
        f"{PREFIX}/links",
        TAG,
        {201: DocumentedAnswer(ConsoleLinkAnswer, "A link to a session that may do what this key may.")},
        scope="read",
        body=ConsoleLinkIn,
        body_example=LINK_BODY,
    )
    async def create_link(self, call: Call) -> Response:
        """Create a link that signs in to the console once."""
        sent, _ = await self._parser.model(call, ConsoleLinkIn)
        assert call.key is not None, "the operation needs a scope"  # noqa: S101
        secret = self._sessions.link(call.key.key_id, sent.lasts_seconds)
        async with self._database.transaction() as connection:
            if self._shared is not None:
                await self._shared.put_link(connection, secret)
            await call.act("console_link_created").keep(connection)
        until = format_timestamp(self._clock() + LINK_SECONDS * SECOND)
        return json_response(ConsoleLinkAnswer(path=f"/console#link={secret}", expires_at=until), 201)

    @operation(
        "openConsoleSession",
        "POST",
        f"{PREFIX}/session",
        TAG,
        {200: DocumentedAnswer(ConsoleSessionAnswer, "Signed in. The cookie is for this browser only.")},
        body=ConsoleSignIn,
        body_example=SIGN_IN_BODY,
        codes=(Code.UNAUTHENTICATED, Code.VALIDATION_FAILED),
    )
    async def sign_in(self, call: Call) -> Response:
        """Exchange a link for a session."""
        sent, _ = await self._parser.model(call, ConsoleSignIn)
        shared = self._shared
        opened = self._sessions.open(sent.link) if shared is None else await shared.open(sent.link)
        key = None if opened is None else self._keyring.by_id(opened[1].key_id)
        if opened is None or key is None:
            detail = "The link was used or is too old: `bq-server console` prints a new one."
            raise Refusal(Code.UNAUTHENTICATED, detail)
        secret, session = opened
        answer = self._answer(key, session.ends_at)
        return json_response(answer, headers={"Set-Cookie": cookie(call.request, secret, session.lasts // SECOND)})

    @operation(
        "getConsoleSession",
        "GET",
        f"{PREFIX}/session",
        TAG,
        {200: DocumentedAnswer(ConsoleSessionAnswer, "Signed in.")},
        scope="read",
    )
    async def get_session(self, call: Call) -> Response:
        """Who is signed in, and what they may do."""
        assert call.key is not None, "the operation needs a scope"  # noqa: S101
        session = self._sessions.find(call.request)
        return json_response(self._answer(call.key, None if session is None else session.ends_at))

    @operation(
        "closeConsoleSession",
        "DELETE",
        f"{PREFIX}/session",
        TAG,
        {200: DocumentedAnswer(ConsoleEndAnswer, "Signed out. Keys are not affected.")},
        scope="read",
    )
    async def sign_out(self, call: Call) -> Response:
        """End the session of this browser."""
        self._sessions.close(call.request)
        if self._shared is not None:
            await self._shared.close(call.request)
        return json_response(ConsoleEndAnswer(), headers={"Set-Cookie": cookie(call.request, "", 0)})

    def _answer(self, key: ApiKey, session_ends_at: int | None) -> ConsoleSessionAnswer:
        ends = [each for each in (session_ends_at, key.expires_at) if each is not None]
        environments: tuple[Environment, ...] = get_args(Environment)
        return ConsoleSessionAnswer(
            environment=next(each for each in environments if each == key.scope.environment),
            scopes=[scope for scope in EVERY_SCOPE if key.allows(scope)],
            key_id=key.key_id,
            key_name=key.name,
            ends_at=format_timestamp(min(ends)) if ends else None,
            version=self._version,
        )
