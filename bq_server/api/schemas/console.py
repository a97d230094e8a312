"""Schemas of `/api/v1/console`: signing in to the console."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment
from bq_server.store.keys import KeyScope

DAY_SECONDS = 86_400


class ConsoleLinkIn(BaseModel):
    """How long the session opened by the link lasts."""

    model_config = ConfigDict(extra="forbid")

    lasts_seconds: int = Field(DAY_SECONDS // 2, ge=60, le=30 * DAY_SECONDS, strict=True)


class ConsoleLinkAnswer(BaseModel):
    """A link that signs in once."""

    path: str = Field(description="The link, after scheme, host and port. What follows the `#` never reaches a log.")
    expires_at: Moment = Field(description="When it expires.")


class ConsoleSignIn(BaseModel):
    """What follows `#link=` in a link."""

    model_config = ConfigDict(extra="forbid", strict=True)

    link: str = Field(min_length=1, max_length=200)


class ConsoleSessionAnswer(BaseModel):
    """Who is signed in: a key, or a session that acts as one."""

    environment: Literal["live", "test"]
    scopes: list[KeyScope] = Field(description="Everything that the key may do; `admin` includes the others.")
    key_id: str
    key_name: str
    ends_at: Moment | None = Field(description="When the session or the key expires.")
    version: str = Field(description="Of the server.")


class ConsoleEndAnswer(BaseModel):
    """The session is over."""

    signed_out: Literal[True] = True


LINK_BODY = {"lasts_seconds": 3600}
SIGN_IN_BODY = {"link": "9f2c..."}
