"""Schemas of `/api/v1/admin/keys`: the API keys of an environment."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from bq_server.api.schemas.values import Moment, RequestBody
from bq_server.sandbox.clocks import Duration
from bq_server.store.keys import KeyScope

MOST_LIFE = timedelta(days=36_500)


def _mortal(value: timedelta) -> timedelta:
    if value > MOST_LIFE:
        raise ValueError(f"must be at most {MOST_LIFE.days:,} days")
    return value


Life = Annotated[Duration, AfterValidator(_mortal)]
"""How long a key is valid."""


class KeyIn(RequestBody):
    """A new key."""

    scopes: list[KeyScope] = Field(min_length=1, max_length=10)
    name: str = Field("", max_length=100)
    expires_in: Life | None = Field(None, description="ISO 8601, such as P90D; for ever if left out.")


class KeyRotateIn(RequestBody):
    """How the new key takes over."""

    overlap: Life = Field(timedelta(days=1), description="How long the old key stays valid beside the new one.")
    expires_in: Life | None = Field(
        None, description="How long the new key is valid; as long as the old one was made to be when left out."
    )


class KeyAnswer(BaseModel):
    """A key, without its secret."""

    key_id: str
    environment: Literal["live", "test"]
    scopes: list[str]
    name: str
    created_at: Moment
    last_used_at: Moment | None = Field(description="Accurate to about a minute.")
    expires_at: Moment | None
    revoked_at: Moment | None
    valid: bool = Field(description="Whether it is neither revoked nor expired.")


class KeysAnswer(BaseModel):
    """The keys of the environment, newest first."""

    keys: list[KeyAnswer]


class NewKeyAnswer(BaseModel):
    """A key with its secret, which is shown only now."""

    key: str
    key_id: str
    expires_at: Moment | None = Field(description="When it ends; null for never.")


class KeyRevokedAnswer(BaseModel):
    """The key was revoked."""

    key_id: str
    revoked: Literal[True] = True


KEY_BODY: dict[str, Any] = {"scopes": ["ingest"], "name": "shop", "expires_in": "P90D"}
KEY_ROTATE_BODY: dict[str, Any] = {"overlap": "PT1H"}
