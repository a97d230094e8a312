"""Schemas of `/api/v1/gamify/challenges`: definitions, rankings, enrolment."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Query
from bq_server.game.challenge_states import ChallengeState


class EnrolmentIn(BaseModel):
    """Who is enrolled."""

    model_config = ConfigDict(extra="forbid", strict=True)

    participant_id: str = Field(min_length=1, max_length=255)


class EnrolmentAnswer(BaseModel):
    """The participant is enrolled."""

    participant_id: str
    challenge: ChallengeState


class ChallengesListAnswer(BaseModel):
    """The challenges of the game, as defined."""

    challenges: list[dict[str, Any]]
    total: int


class ChallengeRankingEntry(BaseModel):
    """A place in a challenge's ranking."""

    rank: int
    participant_id: str
    progress: float = Field(description="0 to 1.")


class ChallengeRankingAnswer(BaseModel):
    """A challenge's ranking; ties go to whoever got there first."""

    challenge_code: str
    entries: list[ChallengeRankingEntry]
    total_participants: int


class LimitQuery(Query):
    """How many."""

    limit: int = Field(20, ge=1, le=100)


ENROL_BODY: dict[str, Any] = {"participant_id": "user_123"}
