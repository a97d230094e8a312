"""Leaderboards as the document has them."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from bq_server.game.document.criteria import Metric
from bq_server.game.document.fields import (
    Definition,
    DocumentPart,
    Instant,
    OfCurrency,
    check_order,
    is_none,
    one_or_many,
)
from bq_server.game.document.teams import Combine, GroupBy
from bq_server.game.facts import TimezoneName

Window = Literal["daily", "weekly", "monthly", "yearly", "all_time"]
WindowName = Window | Literal["season"]


class Season(DocumentPart):
    """A window with dates of its own; several of a leaderboard follow one another."""

    type: Literal["season"]
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        check_order(self.starts_at, self.ends_at)
        return self


class Leaderboard(Definition):
    """Participants ranked by a metric within a window of time; weeks start on Monday."""

    name: str = Field(min_length=1, max_length=255)
    metric: Literal["points"] | Metric
    window: Annotated[
        list[Window | Season],
        BeforeValidator(one_or_many, json_schema_input_type=Window | Season | list[Window | Season]),
        Field(min_length=1, max_length=50, description="A window, or a list of them; the first is the default"),
    ] = Field(default=["all_time"])
    # Fields added by later releases are left out where they have their defaults, so that revisions stay the same.
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
        description="Among equal scores, whoever reached it first ranks first, or they share the rank",
    )
    currency: OfCurrency = None
    group_by: GroupBy | None = Field(default=None, exclude_if=is_none)
    combine: Combine | None = Field(
        default=None, exclude_if=is_none, description="How the scores of members become their team's; sum by default"
    )

    @model_validator(mode="after")
    def _points_have_a_currency(self) -> Self:
        if self.currency is not None and self.metric != "points":
            raise ValueError("currency needs metric: points")
        return self

    @model_validator(mode="after")
    def _teams_are_combined(self) -> Self:
        if self.combine is not None and self.group_by is None:
            raise ValueError("combine needs group_by: it says how the scores of a team's members become its own")
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
