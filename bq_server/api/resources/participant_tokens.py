"""`/api/v1/gamify/participants/{id}/tokens`: tokens with which a browser reads what belongs to one participant."""

import secrets

from starlette.responses import Response

from bq_server.api.auth import Keyring
from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.participant_tokens import ParticipantToken, signed
from bq_server.api.participant_view import known_participant
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.participant_tokens import (
    TOKEN_BODY,
    TOKEN_SECRET_BODY,
    TokenAnswer,
    TokenIn,
    TokenSecretAnswer,
    TokenSecretIn,
    TokensRevokedAnswer,
)
from bq_server.clock import Clock
from bq_server.ids import IdSource
from bq_server.moments import SECOND, format_timestamp
from bq_server.refusals import Code
from bq_server.store import participant_tokens
from bq_server.store.database import Database

TOKENS = "/api/v1/gamify/participants/{participant_id}/tokens"
SECRET = "/api/v1/admin/token-secret"  # noqa: S105 - a path
TAG = "Participants"


class ParticipantTokensResource:
    """Creates and revokes tokens, and rotates the secret that signs them."""

    def __init__(
        self, keyring: Keyring, database: Database, parser: RequestParser, ids: IdSource, clock: Clock
    ) -> None:
        self._keyring = keyring
        self._database = database
        self._parser = parser
        self._ids = ids
        self._clock = clock

    @operation(
        "createParticipantToken",
        "POST",
        TOKENS,
        TAG,
        {201: DocumentedAnswer(TokenAnswer, "The token; it is shown only now.")},
        scope="read",
        body=TokenIn,
        body_example=TOKEN_BODY,
        codes=(Code.NOT_FOUND,),
    )
    async def create(self, call: Call) -> Response:
        """Create a token with which a browser can read what belongs to this participant, and nothing else."""
        sent, _ = await self._parser.model(call, TokenIn)
        assert call.key is not None, "the operation needs a scope"  # noqa: S101
        now = self._clock()
        async with self._database.transaction() as connection:
            known = await known_participant(connection, call)
            secret = await participant_tokens.signing_secret(
                connection, call.scope, self._ids, secrets.token_bytes, now
            )
            token = ParticipantToken(
                self._ids.new("tok"),
                call.scope,
                secret.secret_id,
                call.key.key_id,
                known.participant_id,
                await participant_tokens.begin_series(
                    connection, call.scope, known.participant_id, secrets.token_bytes
                ),
                now // SECOND + sent.ttl_seconds,
            )
            until = format_timestamp(token.expires_at * SECOND)
            await call.act("participant_token_created").keep(connection, token=token.token_id, expires_at=until)
        if not self._keyring.tokens.knows(secret.secret_id):
            await self._keyring.refresh()
        answer = TokenAnswer(
            token=signed(token, secret),
            token_id=token.token_id,
            participant_id=token.participant_id,
            expires_at=until,
        )
        return json_response(answer, 201)

    @operation(
        "revokeParticipantTokens",
        "DELETE",
        TOKENS,
        TAG,
        {200: DocumentedAnswer(TokensRevokedAnswer, "They are refused from now on.")},
        scope="read",
        codes=(Code.NOT_FOUND,),
    )
    async def revoke(self, call: Call) -> Response:
        """Revoke all tokens of a participant; a repeat changes nothing."""
        async with self._database.transaction() as connection:
            known = await known_participant(connection, call)
            if await participant_tokens.series_of(connection, call.scope, known.participant_id) is not None:
                await participant_tokens.end_series(connection, call.scope, known.participant_id)
                await call.act("participant_tokens_revoked").keep(connection)
        return json_response(TokensRevokedAnswer(participant_id=known.participant_id))

    @operation(
        "rotateTokenSecret",
        "POST",
        f"{SECRET}/rotate",
        TAG,
        {200: DocumentedAnswer(TokenSecretAnswer, "New tokens are signed with another secret.")},
        scope="admin",
        body=TokenSecretIn,
        body_example=TOKEN_SECRET_BODY,
    )
    async def rotate(self, call: Call) -> Response:
        """Sign the environment's participant tokens with a new secret."""
        sent, _ = await self._parser.model(call, TokenSecretIn)
        now, overlap = self._clock(), sent.overlap_seconds * SECOND
        async with self._database.transaction() as connection:
            made = await participant_tokens.rotate_secret(
                connection, call.scope, self._ids, secrets.token_bytes, now, overlap
            )
            previous_until = format_timestamp(now + overlap)
            act = call.act("token_secret_rotated")
            await act.keep(connection, secret=made.secret_id, previous_until=previous_until)
        await self._keyring.refresh()
        answer = TokenSecretAnswer(
            secret_id=made.secret_id, created_at=format_timestamp(made.created_at), previous_until=previous_until
        )
        return json_response(answer)
