"""Schemas of `/api/v1/gamify/participants/{id}/...`: what a participant's facts add up to."""

from datetime import date
from datetime import date as Day  # noqa: N812 - a field is called date
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from bq_server.api.schemas.rewards import ParticipantReward
from bq_server.api.schemas.values import Moment, Query
from bq_server.game.challenge_states import ChallengeState
from bq_server.game.effects import Sometimes
from bq_server.game.read_calendar import StreakPeriodState
from bq_server.game.read_models import BadgeState, CurrencyState, NextTier, PointsState, TierHeld, TierState
from bq_server.game.streak_states import FreezesState, StreakState

Section = Literal["points", "tier", "badges", "streaks", "challenges", "leaderboards", "rewards"]


class RankState(BaseModel):
    """A place on a leaderboard, in the current period."""

    leaderboard_code: str
    period: str
    team: Sometimes[str] = Field(
        None, description="On a leaderboard of teams the team of the participant, whose score and rank these are."
    )
    score: float | int
    rank: int


class StateAnswer(BaseModel):
    """A participant's state; sections by `include`."""

    participant_id: str
    total_events: int
    clock: Moment | None = Field(None, description="The environment's clock, if it has its own.")
    points: PointsState | None = None
    tier: TierState | None = None
    badges: list[BadgeState] | None = None
    streaks: list[StreakState] | None = None
    challenges: list[ChallengeState] | None = None
    leaderboards: list[RankState] | None = None
    rewards: list[ParticipantReward] | None = Field(None, description="What was claimed, the newest first.")


class PointsAnswer(BaseModel):
    """The totals of the ledger."""

    participant_id: str
    balance: int
    total_earned: int
    total_spent: int
    total_expired: int
    owed: int = Field(description="What voids took back beyond the balance; later points pay it off first.")
    total_received: Sometimes[int] = Field(None, description="What others gave, which isn't earned; if anybody did.")
    currencies: Sometimes[list[CurrencyState]] = Field(None, description="Of a game that has several.")


class PointsToExpire(BaseModel):
    """Points that are left, and when they expire."""

    amount: int
    expires_at: Moment
    currency: Sometimes[str] = Field(None, description="If it isn't the default.")


class ExpiringAnswer(BaseModel):
    """What expires next, the earliest first."""

    participant_id: str
    balance: int
    expiring: list[PointsToExpire]


class TransactionAnswer(BaseModel):
    """An entry of the points ledger."""

    transaction_id: str
    type: Literal["award", "deduction", "expiry", "void"]
    amount: int = Field(description="With its sign.")
    balance: int = Field(description="The sum after this entry; below zero it is owed, or an overdraft.")
    cause: str = Field(description="The rule and fact, challenge, milestone or manual award that caused it.")
    fact_id: str
    occurred_at: Moment
    created_at: Moment
    currency: Sometimes[str] = Field(None, description="If it isn't the default; the balance is of it.")


class TransactionsAnswer(BaseModel):
    """One page of the ledger, newest entry first."""

    participant_id: str
    transactions: list[TransactionAnswer]
    total: int
    page: int
    page_size: int


class BadgesAnswer(BaseModel):
    """The badges of the game, earned or not."""

    participant_id: str
    badges: list[BadgeState]
    total: int
    earned_count: int


class StreaksAnswer(BaseModel):
    """Every streak the participant has started."""

    participant_id: str
    streaks: list[StreakState]


class CalendarQuery(Query):
    """Between which dates, both included, in the streak's time zone."""

    start: date | None = Field(
        None, description="By default the first day of this month; today for hours; 1 January for longer periods."
    )
    end: date | None = Field(None, description="By default the last day of that month, day or year.")

    @field_validator("end")
    @classmethod
    def _after_the_start(cls, value: date | None, info: ValidationInfo) -> date | None:
        start = info.data.get("start")
        if value is not None and start is not None and value < start:
            raise ValueError("must not be before start")
        return value


class CalendarAnswer(BaseModel):
    """The periods of a streak, in order, each with its status."""

    participant_id: str
    streak_code: str
    period: str
    timezone: str
    required: int = Field(description="How many events a period takes.")
    start: str
    end: str
    periods: list[StreakPeriodState]


class FreezeIn(BaseModel):
    """A freeze to buy; the path says of which streak."""

    model_config = ConfigDict(extra="forbid", strict=True)

    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


class FreezeUseIn(BaseModel):
    """Which period to cover."""

    model_config = ConfigDict(extra="forbid", strict=True)

    date: Day | None = Field(
        None,
        strict=False,
        description="A date in the period, in the streak's zone. By default the first that would end the streak.",
    )


class FreezeAnswer(BaseModel):
    """The streak, with the freezes that are left."""

    participant_id: str
    streak_code: str
    freezes: FreezesState


BUY_FREEZE_BODY: dict[str, Any] = {}
USE_FREEZE_BODY: dict[str, Any] = {"date": "2026-04-03"}


class TierAnswer(BaseModel):
    """The participant's tier and tier history."""

    participant_id: str
    current_tier: TierHeld | None
    next_tier: NextTier | None
    tier_history: list[TierHeld]


class ChallengesAnswer(BaseModel):
    """The participant's progress in each challenge."""

    participant_id: str
    challenges: list[ChallengeState]


class StateQuery(Query):
    """Which sections."""

    include: str | None = Field(None, description=f"Sections, separated by commas: {', '.join(get_args(Section))}.")

    @field_validator("include")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        unknown = set((value or "points").split(",")) - set(get_args(Section))
        if unknown:
            raise ValueError(f"has no section {', '.join(sorted(unknown))}: there are {', '.join(get_args(Section))}")
        return value


class BadgesQuery(Query):
    """Which badges."""

    earned_only: bool = False
    badge_codes: str | None = Field(None, description="Codes, separated by commas.")
