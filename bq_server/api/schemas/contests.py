"""Schemas of `/api/v1/contests`: who scores most between two moments (vendor notes, 1.12)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment, Query

ContestStatus = Literal["scheduled", "active", "scoring", "completed"]
Consistency = Literal["realtime_estimated", "final_verified"]


class ContestAnswer(BaseModel):
    """A contest and its status."""

    id: str = Field(description="Its code.")
    name: str
    description: str | None
    status: ContestStatus = Field(description="`scoring`: it has ended, and its result is not frozen yet.")
    starts_at: Moment
    ends_at: Moment
    scoring_method: Literal["cumulative"] = "cumulative"
    entry_count: int


class ContestsAnswer(BaseModel):
    """The contests in progress."""

    contests: list[ContestAnswer]


class ContestEntryIn(BaseModel):
    """Who enters."""

    model_config = ConfigDict(extra="forbid", strict=True)

    participant_id: str = Field(min_length=1, max_length=255)
    display_name: str | None = Field(
        None, min_length=1, max_length=255, description="How the participant is called from now on, here and elsewhere."
    )


class ContestEntryAnswer(BaseModel):
    """An entry, with what it came to."""

    entry_id: str
    contest_id: str
    participant_id: str
    entered_at: Moment
    score: float | int
    rank: int | None = Field(description="Null before anything has counted, and for who is hidden.")


class ContestRankingEntry(BaseModel):
    """A place in a contest."""

    rank: int
    display_name: str = Field(description="The participant's id, if they have no name.")
    score: float | int
    last_scored_at: Moment | None = Field(description="When the score was reached; null for one that nothing changed.")


class ContestRankingAnswer(BaseModel):
    """The best of a contest. Among equal scores, whoever reached it first ranks first."""

    entries: list[ContestRankingEntry]
    total_entries: int
    updated_at: Moment
    consistency_label: Consistency = Field(description="`final_verified` once the result is frozen.")


class ContestPrize(BaseModel):
    """What each of some ranks wins."""

    rank_from: int
    rank_to: int
    points: int | None
    badge: str | None = Field(description="Its code.")


class ContestPrizesAnswer(BaseModel):
    """The prizes of a contest, those of the first ranks first."""

    contest_id: str
    prizes: list[ContestPrize]


class ContestRankingQuery(Query):
    """How many."""

    limit: int = Field(20, ge=1, le=100)


class ContestEntryQuery(Query):
    """Whose entry."""

    participant_id: str = Field(min_length=1, max_length=255)


ENTER_BODY: dict[str, Any] = {"participant_id": "user_123", "display_name": "Ada"}
ENTRY_ANSWER: dict[str, Any] = {
    "entry_id": "fact_01jr...",
    "contest_id": "spring",
    "participant_id": "user_123",
    "entered_at": "2026-04-01T09:00:00Z",
    "score": 0,
    "rank": None,
}
