"""Contests as the document has them."""

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bq_server.game.document.criteria import Metric
from bq_server.game.document.fields import Code, Definition, DocumentPart, Instant, IsoDuration

MOST_WINNERS = 10_000
"""The last rank that may have a prize."""


def _at_most_a_month(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= timedelta(days=31):
        raise ValueError("must be at most P31D, or PT0S for no wait")
    return value


class ContestMetric(Metric):
    """What each event is worth: 1, or an amount."""

    # Scores add up, so that no order of arrival makes a difference and an entry starts at 0.
    aggregate: Literal["count", "sum"] = "count"


class Prize(DocumentPart):
    """What the participants of some ranks win, each of them."""

    rank_from: int = Field(ge=1, le=MOST_WINNERS)
    rank_to: int = Field(ge=1, le=MOST_WINNERS)
    points: int | None = Field(default=None, gt=0, le=1_000_000)
    badge: Code | None = None

    @model_validator(mode="after")
    def _of_ranks_and_of_worth(self) -> Self:
        if self.rank_from > self.rank_to:
            raise ValueError("rank_from must not be behind rank_to")
        if self.points is None and self.badge is None:
            raise ValueError("give points, a badge or both")
        return self


class Contest(Definition):
    """Who scores most between two moments, among those who entered; the result is frozen, and pays prizes by rank."""

    starts_at: Instant
    ends_at: Instant
    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=2000)
    scoring: ContestMetric
    prizes: list[Prize] = Field(default=[], max_length=100)
    freeze_after: Annotated[
        IsoDuration,
        AfterValidator(_at_most_a_month),
        Field(description="ISO 8601: how long after ends_at late events are waited for before the result is frozen"),
    ] = timedelta(minutes=1)

    @model_validator(mode="after")
    def _one_prize_a_rank(self) -> Self:
        ranks = sorted((each.rank_from, each.rank_to) for each in self.prizes)
        for (_, last), (first, _) in pairwise(ranks):
            if first <= last:
                raise ValueError(f"rank {first} has two prizes")
        return self

    def prize_of(self, rank: int) -> Prize | None:
        """What a rank wins."""
        return next((each for each in self.prizes if each.rank_from <= rank <= each.rank_to), None)
