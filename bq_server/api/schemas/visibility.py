"""Schemas of `/api/v1/admin/participants/visibility`: who is kept off leaderboards."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment


class VisibilityIn(BaseModel):
    """Whom to hide, or to show again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    participant_id: str = Field(min_length=1, max_length=255)
    hidden: bool
    reason: str | None = Field(None, max_length=500)


class VisibilityAnswer(BaseModel):
    """Whether a participant has places on leaderboards."""

    participant_id: str
    hidden: bool
    since: Moment | None = Field(description="Null for one who was never hidden.")


VISIBILITY_BODY: dict[str, Any] = {"participant_id": "user_123", "hidden": True, "reason": "a bot"}
