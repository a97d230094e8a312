"""Schemas of participant tokens."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment

SHORTEST_SECONDS, USUAL_SECONDS, LONGEST_SECONDS = 60, 900, 86_400


class TokenIn(BaseModel):
    """How long the token lasts."""

    model_config = ConfigDict(extra="forbid")

    ttl_seconds: int = Field(
        USUAL_SECONDS, ge=SHORTEST_SECONDS, le=LONGEST_SECONDS, strict=True, description="Until it expires, in seconds."
    )


class TokenAnswer(BaseModel):
    """A token. It is shown only once, because it isn't stored."""

    token: str = Field(description="Sent as `Authorization: Bearer ...`.")
    token_id: str = Field(description="What the audit log calls it.")
    participant_id: str
    expires_at: Moment


class TokensRevokedAnswer(BaseModel):
    """All tokens of the participant have ended."""

    participant_id: str
    revoked: Literal[True] = True


class TokenSecretIn(BaseModel):
    """How long earlier tokens are still accepted."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: int = Field(
        LONGEST_SECONDS,
        ge=0,
        le=LONGEST_SECONDS,
        strict=True,
        description="0 ends all tokens of the environment at once.",
    )


class TokenSecretAnswer(BaseModel):
    """The secret that signs tokens from now on; it is never shown itself."""

    secret_id: str
    created_at: Moment
    previous_until: Moment = Field(description="Until when earlier tokens are accepted, unless they expire before.")


TOKEN_BODY: dict[str, Any] = {"ttl_seconds": 900}
TOKEN_SECRET_BODY: dict[str, Any] = {"overlap_seconds": 3600}
