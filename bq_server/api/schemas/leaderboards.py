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
        description="Against the rank in the window before; null where there is no window before."
    )


class RankingAnswer(BaseModel):
    """The best of a leaderboard."""

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
    percentile: float = Field(description="How many of a hundred stand behind, cut to one decimal.")


class PeriodQuery(Query):
    """Which window."""

    period: Window | None = Field(None, description="The leaderboard's own first window when left out.")


class RankingQuery(PeriodQuery):
    """How much of which window."""

    limit: int = Field(20, ge=1, le=100)
