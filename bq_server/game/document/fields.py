"""What definitions are made of: the types of their fields, with what each refuses."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_validator,
)

from bq_server.game.expressions.conditions import MAX_CHARACTERS, compile_expression
from bq_server.game.facts import CurrencyCode
from bq_server.game.recipients import MAX_RECIPIENTS, property_path
from bq_server.moments import is_duration

_YEARS = re.compile(r"^P(\d+)Y(?:(\d+)D)?")


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


def one_or_many(value: Any) -> Any:
    """A list, also of one that stands alone."""
    return [value] if isinstance(value, str | dict) else value


def _written(expression: str) -> str:
    compile_expression(expression)
    return expression


def _duration(value: Any) -> Any:
    if not isinstance(value, timedelta) and not (isinstance(value, str) and is_duration(value)):
        raise ValueError("must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, such as P365D")
    return value


def _without_years(value: timedelta, write: SerializerFunctionWrapHandler) -> Any:
    """In days: Pydantic writes 365 days as a year, which is no fixed length of time."""
    text = write(value)
    if not isinstance(text, str):
        return text
    return _YEARS.sub(lambda found: f"P{int(found[1]) * 365 + int(found[2] or 0)}D", text)


def _property_path(path: str) -> str:
    property_path(path)
    return path


def is_none(value: Any) -> bool:
    """For `exclude_if`: a field without a value is left out."""
    return value is None


Code = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_without_slash)]
EventName = Annotated[str, Field(min_length=1, max_length=100)]
On = Annotated[
    list[EventName],
    BeforeValidator(one_or_many, json_schema_input_type=EventName | list[EventName]),
    Field(
        min_length=1,
        max_length=100,
        description="An event name, or a list of them; system.participant_referred means referrals",
    ),
]
Expression = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS), AfterValidator(_written)]
When = Annotated[
    Expression | None,
    Field(description="CEL; sees event_name, participant_id, properties, occurred_at and participant"),
]
# A time without an offset is UTC, as in an event.
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_utc, json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "date-time"})]),
    PlainSerializer(lambda moment: moment.astimezone(UTC).isoformat().replace("+00:00", "Z"), return_type=str),
]
IsoDuration = Annotated[
    timedelta,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "duration"})]),
    WrapSerializer(_without_years),
]


# Left out where it isn't given, so that revisions stay the same.
OfCurrency = Annotated[
    CurrencyCode | None, Field(exclude_if=is_none, description="One of the currencies; the default otherwise")
]
Period = Literal["daily", "weekly", "monthly"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
AwardToProperty = Annotated[
    str,
    AfterValidator(_property_path),
    Field(
        min_length=1,
        max_length=200,
        description=f"The property that names who is awarded in place of the sender: one, or up to {MAX_RECIPIENTS}",
    ),
]
Revocable = Annotated[bool, Field(description="Taken back when a void fact leaves it not reached")]


EXPRESSION_FIELDS = ("when", "of", "award", "by")
"""What is CEL, wherever it is text."""


class DocumentPart(BaseModel):
    """A part of the document. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def check_order(starts_at: datetime | None, ends_at: datetime | None) -> None:
    """Raises `ValueError` for a time that ends before it starts."""
    if starts_at and ends_at and starts_at >= ends_at:
        raise ValueError("starts_at must be before ends_at")


class Definition(DocumentPart):
    """What every definition has: a code, unique within its kind, and bounds on the event times that it counts."""

    code: Code
    starts_at: Instant | None = Field(default=None, description="Counts no fact with an earlier occurred_at")
    ends_at: Instant | None = Field(default=None, description="Counts no fact at or after this occurred_at")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        check_order(self.starts_at, self.ends_at)
        return self


def expressions_in(part: BaseModel) -> Iterator[str]:
    """Every expression in a part of the document."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        if name in EXPRESSION_FIELDS and isinstance(value, str):
            yield value
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, BaseModel):
                yield from expressions_in(each)
