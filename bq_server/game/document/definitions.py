"""The game document: every definition of one environment, as its author writes it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from bq_server.game.document.contests import Contest
from bq_server.game.document.criteria import BadgeCriteria, Limited, Metric, Objective
from bq_server.game.document.fields import (
    Code,
    Definition,
    DocumentPart,
    Expression,
    Instant,
    IsoDuration,
    OfCurrency,
    On,
    When,
    check_order,
    is_none,
    one_or_many,
)
from bq_server.game.facts import CurrencyCode, TimezoneName
from bq_server.game.recipients import MAX_RECIPIENTS, property_path

_MOST_HOURLY_GRACE = 23


def _property_path(path: str) -> str:
    property_path(path)
    return path


Rarity = Literal["common", "rare", "epic", "legendary"]
Period = Literal["daily", "weekly", "monthly"]
StreakPeriod = Literal["hourly", Period]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
RewardType = Literal["coupon", "voucher", "physical", "digital", "points_multiplier"]
Window = Literal["daily", "weekly", "monthly", "yearly", "all_time"]
WindowName = Window | Literal["season"]

AwardToProperty = Annotated[
    str,
    AfterValidator(_property_path),
    Field(
        min_length=1,
        max_length=200,
        description=f"The property that names who is awarded in place of the sender: one, or up to {MAX_RECIPIENTS}",
    ),
]


class MultiplierPeriod(DocumentPart):
    """When a multiplier holds: from one moment until another, on some days of the week, or both."""

    starts_at: Instant | None = None
    ends_at: Instant | None = None
    on_days: list[Weekday] = Field(default=[], max_length=7)
    timezone: TimezoneName = Field(default="UTC", description="Of the days")

    @model_validator(mode="after")
    def _sometimes(self) -> Self:
        if self.starts_at is None and self.ends_at is None and not self.on_days:
            raise ValueError("give starts_at, ends_at or on_days")
        check_order(self.starts_at, self.ends_at)
        return self


class Multiplier(DocumentPart):
    """Points are multiplied at some times."""

    during: MultiplierPeriod
    by: float = Field(gt=0, le=1000)


def _formula(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _one_or_several(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class PointsRule(Definition, Limited):
    """Points for every matching event."""

    name: str | None = Field(default=None, max_length=255)
    on: On
    when: When = None
    award: Annotated[
        Expression,
        BeforeValidator(_formula, json_schema_input_type=str | int),
        Field(description="CEL giving a number of points; fractions round down"),
    ]
    multiplier: Annotated[
        list[Multiplier],
        BeforeValidator(_one_or_several, json_schema_input_type=Multiplier | list[Multiplier]),
        Field(max_length=20, description="A multiplier, or a list of them: all that hold are multiplied"),
    ] = Field(default=[])
    currency: OfCurrency = None
    award_to: AwardToProperty | None = Field(default=None, exclude_if=is_none)


class Reward(DocumentPart):
    """Points or a badge."""

    points: int | None = Field(default=None, gt=0, le=1_000_000)
    badge: Code | None = None
    currency: OfCurrency = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.points is None) == (self.badge is None):
            raise ValueError("give either points or a badge")
        if self.points is None and self.currency is not None:
            raise ValueError("a badge has no currency")
        return self


Rewards = Annotated[list[Reward], Field(max_length=20)]
Revocable = Annotated[bool, Field(description="Taken back when a void fact leaves it not reached")]


class Milestone(DocumentPart):
    """Rewards at a fraction of a challenge."""

    at: float = Field(gt=0, lt=1)
    rewards: Rewards = Field(min_length=1)


class StreakMilestone(DocumentPart):
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
    award_to: AwardToProperty | None = Field(default=None, exclude_if=is_none)

    @property
    def is_counted(self) -> bool:
        """Whether it may be earned more than once, or has levels."""
        return self.repeatable or (self.criteria is not None and bool(self.criteria.levels))

    @model_validator(mode="after")
    def _can_repeat(self) -> Self:
        if self.award_to is not None and self.criteria is None:
            raise ValueError("award_to needs criteria: without them the badge is awarded by a reward or by hand")
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


class FixedDuration(DocumentPart):
    """The same dates for everyone."""

    type: Literal["fixed"]
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        check_order(self.starts_at, self.ends_at)
        return self


class RollingDuration(DocumentPart):
    """A number of days, of 24 hours, from the participant's enrolment."""

    type: Literal["rolling"]
    days: int = Field(gt=0, le=36_500)


class RecurringDuration(DocumentPart):
    """Anew each day, week or month; each round has its own progress and rewards."""

    type: Literal["recurring"]
    every: Literal["day", "week", "month"]
    timezone: TimezoneName = Field(default="UTC", description="Where days, weeks and months begin")


class PerpetualDuration(DocumentPart):
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
    rewards: Rewards = Field(default=[])
    revocable: Revocable = False

    @property
    def depends_on_order(self) -> bool:
        """Whether the order of facts decides the outcome, apart from sums that fall."""
        return (
            self.enrolment == "explicit"
            or self.duration.type in ("rolling", "recurring")
            or any(objective.prerequisites or objective.is_limited for objective in self.objectives)
        )


class Freezes(DocumentPart):
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
        default=None, min_length=1, max_length=7, exclude_if=is_none, description="The days that count; others rest"
    )
    freezes: Freezes | None = Field(default=None, exclude_if=is_none)
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


class Tier(DocumentPart):
    """A rank by lifetime points; a participant never falls from one."""

    code: Code
    name: str = Field(min_length=1, max_length=255)
    level: int = Field(ge=0, le=1_000_000)
    min_points: int = Field(ge=0, le=10**15)
    color: str | None = Field(default=None, max_length=50)
    benefits: list[str] = Field(default=[], max_length=100)
    currency: OfCurrency = None


class Season(DocumentPart):
    """A window with dates of its own; several of a leaderboard follow one another."""

    type: Literal["season"]
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        check_order(self.starts_at, self.ends_at)
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


class PointsExpiry(DocumentPart):
    """When points expire: so long after they were given, or as a day of each year begins, in UTC."""

    after: Annotated[IsoDuration, AfterValidator(_positive)] | None = None
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


Overdraft = Literal["owed", "allowed"]


class Currency(DocumentPart):
    """A kind of points. Of the first, the default, the game itself says how they expire and what an overdraft is."""

    code: CurrencyCode
    name: str | None = Field(default=None, min_length=1, max_length=255)
    points_expire: PointsExpiry | None = Field(default=None, description="Without it, they never expire")
    overdraft: Overdraft = Field(
        default="owed", description="Whether a void may make a balance negative, or what is missing is owed"
    )


class Leaderboard(Definition):
    """Participants ranked by a metric within a window of time; weeks start on Monday."""

    name: str = Field(min_length=1, max_length=255)
    metric: Literal["points"] | Metric
    window: Annotated[
        list[Window | Season],
        BeforeValidator(one_or_many, json_schema_input_type=Window | Season | list[Window | Season]),
        Field(min_length=1, max_length=50, description="A window, or a list of them; the first is the default"),
    ] = Field(default=["all_time"])
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
    currency: OfCurrency = None

    @model_validator(mode="after")
    def _points_have_a_currency(self) -> Self:
        if self.currency is not None and self.metric != "points":
            raise ValueError("currency needs metric: points")
        return self

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
    currency: OfCurrency = None
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


class Game(DocumentPart):
    """All definitions of one environment."""

    points: list[PointsRule] = Field(default=[])
    badges: list[Badge] = Field(default=[])
    challenges: list[Challenge] = Field(default=[])
    streaks: list[Streak] = Field(default=[])
    tiers: list[Tier] = Field(default=[])
    leaderboards: list[Leaderboard] = Field(default=[])
    rewards: list[ClaimableReward] = Field(default=[])
    contests: list[Contest] = Field(default=[])
    currencies: list[Currency] = Field(
        default=[], max_length=20, description="The first is the default: what names none is of it"
    )
    overdraft: Overdraft = Field(
        default="owed", description="Whether a void may make a balance negative, or what is missing is owed"
    )

    points_expire: PointsExpiry | None = Field(default=None, description="Without it, points never expire")
    transfers: bool = Field(default=False, description="Whether participants may give each other points")

    @model_validator(mode="before")
    @classmethod
    def _unnamed_default(cls, document: Any) -> Any:
        from bq_server.game.document.currencies import without_default

        return without_default(document)

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
