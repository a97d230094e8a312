"""The game document: every definition of one environment, as its author writes it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    model_validator,
)

from bq_server.game.expressions.conditions import compile_expression
from bq_server.game.facts import TimezoneName
from bq_server.game.mechanics.amounts import MAX_AMOUNT
from bq_server.moments import is_duration

_MOST_HOURLY_GRACE = 23

MAX_INLINE_MEMBERS = 1000
"""Largest target of a `distinct` objective in a challenge whose outcome depends on order, and of one limited `by`."""


def _without_slash(code: str) -> str:
    if code != code.strip() or "/" in code or not code.isprintable():
        raise ValueError("must not contain slashes or control characters, or start or end with a space")
    return code


def _utc(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be an ISO 8601 date and time such as 2026-04-01T00:00:00Z") from None
    if not isinstance(value, datetime):
        return value
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time between the years 1 and 9999 in UTC") from None


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


def _formula(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _written(expression: str) -> str:
    compile_expression(expression)
    return expression


def _duration(value: Any) -> Any:
    if not isinstance(value, timedelta) and not (isinstance(value, str) and is_duration(value)):
        raise ValueError("must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, such as P365D")
    return value


def _pause(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= timedelta(days=366):
        raise ValueError("must be longer than nothing, and at most P366D")
    return value


def _is_none(value: Any) -> bool:
    return value is None


Code = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_without_slash)]
EventName = Annotated[str, Field(min_length=1, max_length=100)]
On = Annotated[
    list[EventName],
    BeforeValidator(_one_or_many, json_schema_input_type=EventName | list[EventName]),
    Field(min_length=1, max_length=100, description="An event name, or a list of them"),
]
Expression = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_written)]
When = Annotated[Expression | None, Field(description="CEL; sees event_name, participant_id, properties, occurred_at")]
# A time without an offset is UTC, as in an event.
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_utc, json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "date-time"})]),
    PlainSerializer(lambda moment: moment.astimezone(UTC).isoformat().replace("+00:00", "Z"), return_type=str),
]
Aggregate = Literal["count", "sum", "max", "min", "distinct", "days"]
Rarity = Literal["common", "rare", "epic", "legendary"]
Period = Literal["daily", "weekly", "monthly"]
StreakPeriod = Literal["hourly", "daily", "weekly", "monthly"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
RewardType = Literal["coupon", "voucher", "physical", "digital", "points_multiplier"]
Window = Literal["daily", "weekly", "monthly", "yearly", "all_time"]
WindowName = Window | Literal["season"]
Per = Literal["day", "week", "month", "ever"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Definition(_Part):
    """What every definition has: a code, unique within its kind, and bounds on the event times that it counts."""

    code: Code
    starts_at: Instant | None = Field(default=None, description="Counts no fact with an earlier occurred_at")
    ends_at: Instant | None = Field(default=None, description="Counts no fact at or after this occurred_at")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            raise ValueError("starts_at must be before ends_at")
        return self


Cooldown = Annotated[
    timedelta,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "duration"})]),
    AfterValidator(_pause),
]


class Limit(_Part):
    """How many events count in a calendar period: the first by event time."""

    times: int = Field(ge=1, le=1_000_000)
    per: Per
    by: Expression | None = Field(default=None, description="CEL: every value of it has a limit of its own")
    timezone: Literal["participant"] | TimezoneName = "participant"


class _Limited(_Part):
    """What may count some of the matching events only. Neither field is told where it isn't given: revisions stay."""

    limit: Limit | None = Field(default=None, exclude_if=_is_none)
    cooldown: Cooldown | None = Field(
        default=None, exclude_if=_is_none, description="ISO 8601: after an event that counts, none does for so long"
    )

    @property
    def is_limited(self) -> bool:
        """Whether matching isn't enough to count."""
        return self.limit is not None or self.cooldown is not None


class PointsRule(Definition, _Limited):
    """Points for every matching event."""

    name: str | None = Field(default=None, max_length=255)
    on: On
    when: When = None
    award: Annotated[
        Expression,
        BeforeValidator(_formula, json_schema_input_type=str | int),
        Field(description="CEL giving a number of points; fractions round down"),
    ]


class Metric(_Part):
    """What is measured: an aggregate over the matching events."""

    on: On
    when: When = None
    aggregate: Aggregate = "count"
    of: Expression | None = Field(
        default=None, description="CEL: what to sum, take the maximum of, or count distinct values of"
    )

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.aggregate in ("sum", "max", "min", "distinct") and self.of is None:
            raise ValueError(f"{self.aggregate} needs `of`: an expression for the value")
        if self.aggregate in ("count", "days") and self.of is not None:
            raise ValueError(f"{self.aggregate} has no `of`")
        return self


class Criteria(Metric, _Limited):
    """A metric and the target at which it is met."""

    # What can only fall reaches nothing.
    aggregate: Literal["count", "sum", "max", "distinct", "days"] = "count"
    target: float = Field(gt=0, le=MAX_AMOUNT)

    @model_validator(mode="after")
    def _whole_count(self) -> Self:
        if self.aggregate in ("count", "distinct", "days") and self.target != int(self.target):
            raise ValueError(f"the target of {self.aggregate} must be a whole number")
        return self


class BadgeCriteria(Criteria):
    """The criteria of a badge: met at a target, or level by level."""

    target: float = Field(default=0, gt=0, le=MAX_AMOUNT, description="Left out where there are levels")
    levels: list[Annotated[float, Field(gt=0, le=MAX_AMOUNT)]] = Field(
        default=[],
        max_length=100,
        exclude_if=lambda value: not value,
        description="The targets of one level after another",
    )

    @model_validator(mode="after")
    def _target_or_levels(self) -> Self:
        if bool(self.target) == bool(self.levels):
            raise ValueError("needs target or levels, one of them")
        if any(later <= earlier for earlier, later in pairwise(self.levels)):
            raise ValueError("each of the levels must be above the one before")
        whole = self.aggregate in ("count", "distinct", "days")
        if whole and any(level != int(level) for level in self.levels):
            raise ValueError(f"the levels of {self.aggregate} must be whole numbers")
        return self


class Objective(Criteria):
    """One part of a challenge. It counts only facts after its prerequisites were met."""

    code: Code
    name: str | None = Field(default=None, max_length=255)
    prerequisites: list[Code] = Field(default=[], max_length=100)


class Reward(_Part):
    """Points or a badge."""

    points: int | None = Field(default=None, gt=0, le=1_000_000)
    badge: Code | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.points is None) == (self.badge is None):
            raise ValueError("give either points or a badge")
        return self


Rewards = Annotated[list[Reward], Field(max_length=20)]
Revocable = Annotated[bool, Field(description="Taken back when a void fact leaves it not reached")]


class Milestone(_Part):
    """Rewards at a fraction of a challenge."""

    at: float = Field(gt=0, lt=1)
    rewards: Rewards = Field(min_length=1)


class StreakMilestone(_Part):
    """Rewards at a length of a streak, in periods."""

    at: int = Field(gt=0, le=100_000)
    rewards: Rewards = Field(min_length=1)


class Badge(Definition):
    """A badge. Without criteria it is awarded by a reward or by hand."""

    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=2000)
    icon_url: str | None = Field(default=None, max_length=500)
    category: str | None = Field(default=None, max_length=100)
    rarity: Rarity = "common"
    display_order: int = 0
    criteria: BadgeCriteria | None = None
    repeatable: bool = Field(
        default=False,
        exclude_if=lambda value: not value,
        description="Earned each time the target is reached once more, and counted",
    )

    revocable: Revocable = False

    @property
    def is_counted(self) -> bool:
        """Whether it may be earned more than once, or has levels."""
        return self.repeatable or (self.criteria is not None and bool(self.criteria.levels))

    @model_validator(mode="after")
    def _can_repeat(self) -> Self:
        if self.is_counted and self.revocable:
            raise ValueError("what is counted only grows: give either revocable, or repeatable or levels")
        if self.is_counted and self.criteria is not None and self.criteria.is_limited:
            raise ValueError("a limit or a cooldown needs a badge that is earned once")
        if self.repeatable and self.criteria is not None:
            if self.criteria.levels:
                raise ValueError("give either repeatable or levels")
            if self.criteria.aggregate == "max":
                raise ValueError("a largest amount is reached once: a repeatable badge takes another aggregate")
        return self


class FixedDuration(_Part):
    """The same dates for everyone."""

    type: Literal["fixed"]
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.starts_at >= self.ends_at:
            raise ValueError("starts_at must be before ends_at")
        return self


class RollingDuration(_Part):
    """A number of days, of 24 hours, from the participant's enrolment."""

    type: Literal["rolling"]
    days: int = Field(gt=0, le=36_500)


class RecurringDuration(_Part):
    """Anew each day, week or month; each round has its own progress and rewards."""

    type: Literal["recurring"]
    every: Literal["day", "week", "month"]
    timezone: TimezoneName = Field(default="UTC", description="Where days, weeks and months begin")


class PerpetualDuration(_Part):
    """No end."""

    type: Literal["perpetual"]


Duration = Annotated[
    FixedDuration | RollingDuration | RecurringDuration | PerpetualDuration, Field(discriminator="type")
]


class Challenge(Definition):
    """Objectives to meet, all of them, within a time."""

    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=2000)
    enrolment: Literal["automatic", "explicit"] = "automatic"
    duration: Duration = PerpetualDuration(type="perpetual")
    objectives: list[Objective] = Field(min_length=1, max_length=100)
    milestones: list[Milestone] = Field(default=[], max_length=20)
    rewards: Rewards = []
    revocable: Revocable = False

    @property
    def depends_on_order(self) -> bool:
        """Whether the order of facts decides the outcome, apart from sums that fall."""
        return (
            self.enrolment == "explicit"
            or self.duration.type in ("rolling", "recurring")
            or any(objective.prerequisites or objective.is_limited for objective in self.objectives)
        )


class Freezes(_Part):
    """What covers missed periods of a streak: some every month, others bought, up to the most that one can hold."""

    monthly: int = Field(default=0, ge=0, le=31, description="How many come with each calendar month")
    max: int = Field(ge=1, le=100, description="How many one can hold")
    automatic: bool = Field(default=True, description="Whether a missed period takes one of itself")
    price: int | None = Field(default=None, gt=0, le=1_000_000, description="In points; without it none can be bought")


class Streak(Definition):
    """Calendar periods in a row with enough matching events, by default one. Fields of later releases aren't told
    where they say what is so without them: revisions stay.
    """

    name: str | None = Field(default=None, max_length=255)
    description: str | None = Field(default=None, max_length=2000)
    on: On
    when: When = None
    period: StreakPeriod = "daily"
    grace_period_hours: int = Field(default=24, ge=0, le=720)
    timezone: Literal["participant"] | TimezoneName = "participant"
    day_starts_at: str = Field(
        default="00:00",
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        exclude_if=lambda value: value == "00:00",
        description="When a day begins, on the wall clock of the zone: 04:00",
    )
    required: int = Field(
        default=1, ge=1, le=1000, exclude_if=lambda value: value == 1, description="Events that a period takes"
    )
    on_days: list[Weekday] | None = Field(
        default=None, min_length=1, max_length=7, exclude_if=_is_none, description="The days that count; others rest"
    )
    freezes: Freezes | None = Field(default=None, exclude_if=_is_none)
    milestones: list[StreakMilestone] = Field(default=[], max_length=100)
    display_order: int = 0

    @model_validator(mode="after")
    def _calendar_agrees(self) -> Self:
        if self.on_days is not None and self.period != "daily":
            raise ValueError("on_days needs period: daily")
        if self.on_days is not None and len(set(self.on_days)) < len(self.on_days):
            raise ValueError("on_days names a day twice")
        if self.period == "hourly" and self.day_starts_at != "00:00":
            raise ValueError("an hourly streak has no day_starts_at")
        if self.period == "hourly" and self.grace_period_hours > _MOST_HOURLY_GRACE:
            raise ValueError(f"an hourly streak needs grace_period_hours of at most {_MOST_HOURLY_GRACE}, such as 0")
        return self


class Tier(_Part):
    """A rank by lifetime points; a participant never falls from one."""

    code: Code
    name: str = Field(min_length=1, max_length=255)
    level: int = Field(ge=0, le=1_000_000)
    min_points: int = Field(ge=0, le=10**15)
    color: str | None = Field(default=None, max_length=50)
    benefits: list[str] = Field(default=[], max_length=100)


class Season(_Part):
    """A window with dates of its own; several of a leaderboard follow one another."""

    type: Literal["season"]
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.starts_at >= self.ends_at:
            raise ValueError("starts_at must be before ends_at")
        return self


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than nothing")
    return value


def _day_of_each_year(text: str) -> str:
    try:
        datetime.strptime(f"2026-{text}", "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("must be a month and a day that every year has, such as 01-01") from None
    return text


class PointsExpiry(_Part):
    """When points expire: so long after they were given, or as a day of each year begins, in UTC."""

    after: (
        Annotated[
            timedelta,
            BeforeValidator(
                _duration, json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "duration"})]
            ),
            AfterValidator(_positive),
        ]
        | None
    ) = None
    each_year: Annotated[str, AfterValidator(_day_of_each_year)] | None = Field(
        default=None, description="A month and a day, such as 01-01"
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.after is None) == (self.each_year is None):
            raise ValueError("give either after or each_year")
        return self

    @property
    def day(self) -> tuple[int, int]:
        """The month and the day of each year."""
        month, _, day = (self.each_year or "01-01").partition("-")
        return int(month), int(day)


class Leaderboard(Definition):
    """Participants ranked by a metric within a window of time; weeks start on Monday."""

    name: str = Field(min_length=1, max_length=255)
    metric: Literal["points"] | Metric
    window: Annotated[
        list[Window | Season],
        BeforeValidator(_one_or_many, json_schema_input_type=Window | Season | list[Window | Season]),
        Field(min_length=1, max_length=50, description="A window, or a list of them; the first is the default"),
    ] = ["all_time"]
    # Fields of later releases aren't told where they say what is so without them: revisions stay.
    timezone: TimezoneName = Field(
        default="UTC",
        exclude_if=lambda value: value == "UTC",
        description="Where days, weeks, months and years begin",
    )
    order: Literal["descending", "ascending"] = Field(
        default="descending",
        exclude_if=lambda value: value == "descending",
        description="ascending: the lowest leads",
    )
    tie: Literal["first", "shared"] = Field(
        default="first",
        exclude_if=lambda value: value == "first",
        description="Among equal scores who reached it first ranks first, or they share the rank",
    )

    @property
    def window_names(self) -> list[WindowName]:
        """The windows by their names; all seasons are of one."""
        names: list[WindowName] = [each if isinstance(each, str) else each.type for each in self.window]
        return list(dict.fromkeys(names))

    @property
    def seasons(self) -> list[Season]:
        """The seasons, in the order of time."""
        found = [each for each in self.window if isinstance(each, Season)]
        return sorted(found, key=lambda each: each.starts_at)


class ClaimableReward(Definition):
    """Something that is claimed for points, from `starts_at` until `ends_at` by the environment's clock."""

    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=2000)
    type: RewardType = "digital"
    cost: int = Field(default=0, ge=0, le=10**9, description="Points")
    stock: int | None = Field(default=None, ge=0, le=10**9, description="How many there are; without it no end")
    limit: int | None = Field(default=1, ge=1, le=10**6, description="Claims of one participant; null for no limit")
    codes: list[Annotated[str, Field(min_length=1, max_length=255)]] = Field(
        default=[], max_length=10_000, description="Each claim gets one of them: they are the stock"
    )

    @model_validator(mode="after")
    def _one_stock(self) -> Self:
        if self.codes and self.stock is not None:
            raise ValueError("give either stock or codes, which are the stock")
        if len(set(self.codes)) < len(self.codes):
            raise ValueError("codes names one twice")
        return self

    @property
    def amount(self) -> int | None:
        """How many there are; None for no end."""
        return len(self.codes) if self.codes else self.stock


class Game(_Part):
    """All definitions of one environment."""

    points: list[PointsRule] = []
    badges: list[Badge] = []
    challenges: list[Challenge] = []
    streaks: list[Streak] = []
    tiers: list[Tier] = []
    leaderboards: list[Leaderboard] = []
    rewards: list[ClaimableReward] = []
    overdraft: Literal["owed", "allowed"] = Field(
        default="owed", description="Whether a void may make a balance negative, or what is missing is owed"
    )

    points_expire: PointsExpiry | None = Field(default=None, description="Without it, points never expire")

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        from bq_server.game.document.consistency import refuse_inconsistencies

        if not (info.context or {}).get("inconsistent"):
            refuse_inconsistencies(self)
        return self


def game_schema() -> dict[str, Any]:
    """The JSON Schema of the game document, for editors that complete it."""
    return Game.model_json_schema() | {
        "title": "bq-server game",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
    }
