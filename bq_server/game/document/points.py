"""Points as the document has them: the rules that give them, and the currencies they are of."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bq_server.game.document.criteria import Limited
from bq_server.game.document.fields import (
    AwardToProperty,
    Definition,
    DocumentPart,
    Expression,
    Instant,
    IsoDuration,
    OfCurrency,
    On,
    Weekday,
    When,
    check_order,
    is_none,
)
from bq_server.game.facts import CurrencyCode, TimezoneName


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
    """Points are multiplied at some times, for some participants or for some events."""

    during: MultiplierPeriod | None = None
    # What was stored without one says so in no more words than before: rules with a limit would count anew.
    when: When = Field(default=None, exclude_if=is_none)
    by: float = Field(gt=0, le=1000)

    @model_validator(mode="after")
    def _not_always(self) -> Self:
        if self.during is None and self.when is None:
            raise ValueError("give during or when")
        return self


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
