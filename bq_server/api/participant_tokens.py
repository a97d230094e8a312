"""Participant tokens: what they contain, how they are signed, and how one is verified.

A token is `bqp_`, its claims as a JSON array in base64url, a dot, and an HMAC-SHA256 of everything before it. Nothing
in it says how to check it, so there is nothing to talk the server into.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Struct
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.requests import Request

from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.moments import SECOND
from bq_server.store import participant_tokens
from bq_server.store.database import Database
from bq_server.store.participant_tokens import TokenSecret

PREFIX = "bqp_"
MOST_CHARACTERS = 4_096
"""A participant id of 255 characters of four bytes each makes a token of about 1,600."""

TokenUse = Literal["own", "shared"]
"""What a token may read by a route: what belongs to the participant asked about, or what everybody may see."""


class ParticipantToken(Struct, frozen=True):
    """The contents of a token."""

    token_id: str
    scope: Scope
    secret_id: str
    """Of the secret that signed it."""
    key_id: str
    """The key that it was made with, and with which it ends."""
    participant_id: str
    series: str
    expires_at: int
    """Seconds since the epoch."""


_Text = Annotated[str, Field(max_length=1_024)]
_CLAIMS = TypeAdapter(tuple[_Text, _Text, _Text, _Text, _Text, Annotated[int, Field(ge=0, lt=1 << 40)]])
"""Secret, token, key, participant, series, and when it expires."""


class ParticipantTokens:
    """Signs and verifies tokens."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._secrets: dict[str, TokenSecret] = {}

    def know(self, secrets: Iterable[TokenSecret]) -> None:
        """Accept tokens signed with these, all that the store has, and no others."""
        self._secrets = {each.secret_id: each for each in secrets}

    def knows(self, secret_id: str) -> bool:
        """Whether tokens signed with that secret are accepted."""
        return secret_id in self._secrets

    def read(self, text: str) -> ParticipantToken | None:
        """The contents of a token, expired or not; None for one that isn't signed with one of the secrets."""
        signed, dot, signature = text.rpartition(".")
        if not dot or len(text) > MOST_CHARACTERS or not signed.startswith(PREFIX):
            return None
        try:
            claims = _CLAIMS.validate_json(_decoded(signed.removeprefix(PREFIX)), strict=True)
            given = _decoded(signature)
        except (ValidationError, ValueError):
            return None
        secret_id, token_id, key_id, participant_id, series, expires_at = claims
        secret = self._secrets.get(secret_id)
        if secret is None or not hmac.compare_digest(_signature(secret, signed), given):
            return None
        if secret.ends_at is not None and secret.ends_at <= self._clock():
            return None
        return ParticipantToken(token_id, secret.scope, secret_id, key_id, participant_id, series, expires_at)

    def has_expired(self, token: ParticipantToken) -> bool:
        """Whether it has expired, by the server's clock, whatever clock the environment has."""
        return self._clock() >= token.expires_at * SECOND

    async def is_in_force(self, token: ParticipantToken) -> bool:
        """Whether its series is valid: not revoked, and the participant not erased. Raises `StoreUnavailable`."""
        async with self._database.read() as connection:
            series = await participant_tokens.series_of(connection, token.scope, token.participant_id)
        return series is not None and hmac.compare_digest(series.encode(), token.series.encode())


def signed(token: ParticipantToken, secret: TokenSecret) -> str:
    """The text of a token."""
    claims = (
        token.secret_id,
        token.token_id,
        token.key_id,
        token.participant_id,
        token.series,
        token.expires_at,
    )
    text = PREFIX + _encoded(to_json(claims))
    return f"{text}.{_encoded(_signature(secret, text))}"


def presented_token(request: Request) -> str | None:
    """The token that a request carries, valid or not."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip()
    return text if scheme.lower() == "bearer" and text.startswith(PREFIX) else None


def _signature(secret: TokenSecret, text: str) -> bytes:
    return hmac.digest(secret.secret, text.encode(), "sha256")


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    """Raises `ValueError` for what `_encoded` doesn't write: every token has one text."""
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if _encoded(value) != text:
        raise ValueError("is not the usual form")
    return value
