"""Schemas of `/api/v1/gamify/participants`: who they are (vendor notes, 1.3)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment, Query
from bq_server.game.facts import TimezoneName
from bq_server.game.read_models import BadgeState, PointsState, TierState
from bq_server.game.streak_states import StreakState


class ParticipantEdit(BaseModel):
    """The editable part of a participant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    display_name: str | None = Field(None, max_length=255)
    avatar_url: str | None = Field(None, max_length=500)
    attributes: dict[str, Any] | None = Field(
        None, description="Merged into the existing ones; null removes one (RFC 7396)."
    )
    timezone: TimezoneName | None = Field(
        None, description="IANA name; applies to streaks from now on, never to the past."
    )


class ParticipantIn(ParticipantEdit):
    """A participant to create, or to edit."""

    participant_id: str = Field(min_length=1, max_length=255)


class ParticipantPatch(ParticipantEdit):
    """What to edit; omitted fields stay."""


class ProfileAnswer(BaseModel):
    """A participant in short."""

    participant_id: str = Field(description="Of an alias, whom it stands for.")
    aliases: list[str] = Field(description="Other names under which facts are sent that are in this story.")
    display_name: str | None
    avatar_url: str | None
    attributes: dict[str, Any]
    points: PointsState
    tier: TierState
    badges: list[BadgeState] = Field(description="Those earned.")
    streaks: StreakState | None = Field(description="The longest current streak.")
    rewards_claimed: int = 0
    total_events: int
    is_active: bool = True
    is_hidden: bool = Field(description="Whether the participant is kept off leaderboards.")
    created_at: Moment


class ParticipantSummary(BaseModel):
    """A participant in a list."""

    participant_id: str
    display_name: str | None
    balance: int = Field(description="Points.")
    tier: str | None = Field(description="The name of the tier.")
    total_events: int
    created_at: Moment


class ParticipantsAnswer(BaseModel):
    """One page of participants, in the order of their ids."""

    participants: list[ParticipantSummary]
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null on the last page. A page of a search may contain few, "
        "or none, though more follow."
    )


class ParticipantsQuery(Query):
    """Which participants."""

    search: str = Field("", max_length=255, description="Only those whose id or display name contains this text.")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=2000, description="`next_cursor` of the previous page.")


CREATE_BODY: dict[str, Any] = {"participant_id": "user_123", "display_name": "Ada", "timezone": "Europe/Paris"}
EDIT_BODY: dict[str, Any] = {"attributes": {"team": "blue", "nickname": None}}
