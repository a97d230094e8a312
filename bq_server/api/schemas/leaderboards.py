"""Schemas of `/api/v1/gamify/leaderboards`: rankings (vendor notes, 1.8). Ties: who reached the score first."""

from typing import Literal

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Query

Window = Literal["all_time", "yearly", "monthly", "weekly", "daily"]


class RankingEntry(BaseModel):
    """A place in a ranking."""

    rank: int
    participant_id: str
    score: float | int
    change: Literal["up", "same", "down", "new"] | None = Field(
        description="Compared with the rank in the previous window; null if there is none."
    )


class RankingAnswer(BaseModel):
    """The top of a leaderboard."""

    leaderboard_code: str
    period: Window
    entries: list[RankingEntry]
    total_participants: int


class RankAnswer(BaseModel):
    """A participant's place."""

    participant_id: str
    rank: int
    score: float | int
    total_participants: int
    percentile: float = Field(description="Percentage of participants who rank lower, truncated to one decimal.")


class PeriodQuery(Query):
    """Which window."""

    period: Window | None = Field(None, description="By default the leaderboard's first window.")


class RankingQuery(PeriodQuery):
    """How many entries, of which window."""

    limit: int = Field(20, ge=1, le=100)
