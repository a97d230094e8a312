"""Schemas of `/api/v1/gamify/leaderboards`: rankings (vendor notes, 1.8). Ties: who reached the score first."""

from typing import Literal

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Query
from bq_server.game.document.leaderboards import WindowName
from bq_server.game.effects import Sometimes

GROUP_BY = "The attribute whose values are the teams, `attributes.team`. Left out where participants are ranked."
TOTAL = "How many are ranked: participants, or teams."
PERIOD_KEY = "Name of the period: `2026-04-10`, `2026-W15`, `2026-04`, `2026`, `all_time`, or the start of a season."


class RankingEntry(BaseModel):
    """A place in a ranking."""

    rank: int
    participant_id: str = Field(description="On a leaderboard of teams the name of the team.")
    score: float | int
    members: Sometimes[int] = Field(
        None, description="Of a team: how many of its members have a score. Left out where participants are ranked."
    )
    change: Literal["up", "same", "down", "new"] | None = Field(
        description="Compared with the rank in the period before; null if there is none."
    )


class RankingAnswer(BaseModel):
    """A page of a leaderboard."""

    leaderboard_code: str
    period: WindowName
    period_key: str = Field(description=PERIOD_KEY)
    entries: list[RankingEntry]
    total_participants: int = Field(description=TOTAL)
    group_by: Sometimes[str] = Field(None, description=GROUP_BY)
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")


class AroundAnswer(BaseModel):
    """A participant's place, and those next to it."""

    leaderboard_code: str
    period: WindowName
    period_key: str = Field(description=PERIOD_KEY)
    entries: list[RankingEntry]
    total_participants: int = Field(description=TOTAL)
    group_by: Sometimes[str] = Field(None, description=GROUP_BY)


class RankAnswer(BaseModel):
    """A participant's place, or that of their team."""

    participant_id: str
    team: Sometimes[str] = Field(
        None, description="On a leaderboard of teams the team of the participant, whose rank and score these are."
    )
    rank: int
    score: float | int
    total_participants: int = Field(description=TOTAL)
    percentile: float = Field(description="Percentage of those ranked who rank lower, truncated to one decimal.")


class PeriodQuery(Query):
    """Which window, and which of its periods."""

    period: str | None = Field(
        None,
        max_length=40,
        description="A window, for its current period (`weekly`), or a period by its name (`2026-W15`, the start of a "
        "season). By default the leaderboard's first window.",
    )


class RankingQuery(PeriodQuery):
    """Which entries, of which period."""

    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(
        None, max_length=2000, description="From `next_cursor` of the page before. It stays in that page's period."
    )


class AroundQuery(PeriodQuery):
    """How many entries, of which period."""

    n: int = Field(5, ge=0, le=50, description="How many above and below.")
