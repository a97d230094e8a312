"""Limits: how many facts count in a calendar period, and how long after one that counts none does.

Facts are taken in the order of event time: each counts that finds room. Of every object told apart by `by` there is a
tally of its own, `[last, [[period, times], ...]]`: when a fact last counted, and how often one did in the newest
periods. A period is the ordinal of a day, week or month in the zone that held at the fact's event time.
"""

from collections.abc import Sequence
from datetime import UTC, timedelta, tzinfo
from typing import Any, assert_never

from msgspec.structs import replace

from bq_server.game.document.criteria import Cooldown, Criteria, Limit, Per
from bq_server.game.document.fields import Period
from bq_server.game.effects import Verdict
from bq_server.game.expressions.conditions import ExpressionFailure, Formula, Variables
from bq_server.game.facts import TIMEZONE_CHANGED, Fact, Moment, timezone
from bq_server.game.mechanics.distinct import digest_of
from bq_server.game.mechanics.measures import Amount, Hit, Measure
from bq_server.game.mechanics.periods import DAY, period_of, period_start, zone_at
from bq_server.game.state.keys import Cell

KEPT_PERIODS = 4
"""How many periods a tally keeps: those between which a change of zone may go back and forth, and one more."""

_MANY = 16
"""Tallies that are kept together without a look at which are of use."""

Tally = list[Any]
"""What counted of one object, as JSON."""

_PERIODS: dict[Per, Period] = {"day": "daily", "week": "weekly", "month": "monthly"}


class Quota:
    """A compiled limit, a cooldown, or both."""

    __slots__ = ("_by", "_per", "_period", "by", "cooldown", "times", "zone")

    def __init__(self, limit: Limit | None, cooldown: Cooldown | None) -> None:
        self.times = None if limit is None else limit.times
        self.cooldown = 0 if cooldown is None else cooldown // timedelta(microseconds=1)
        """In microseconds; 0 for none."""
        self.by = None if limit is None else limit.by
        """The source of what tells objects apart."""
        self.zone: tzinfo | None = UTC
        """Of the periods; none for the participant's own."""
        self._by = Formula(self.by) if self.by is not None else None
        self._per = None if limit is None else limit.per
        self._period = None if limit is None else _PERIODS.get(limit.per)
        if limit is not None and self._period is not None:
            self.zone = None if limit.timezone == "participant" else timezone(limit.timezone)

    def object_of(self, variables: Variables) -> str | ExpressionFailure:
        """The digest of what the fact is about; the same for all facts without `by`."""
        return "" if self._by is None else digest_of(self._by, variables)

    def period(self, moment: Moment, timeline: Cell) -> int:
        """The period of a moment, for a participant whose zones are these."""
        if self._period is None:
            return 0
        return period_of(moment.at, self._period, self.zone or zone_at(timeline, moment))

    def span(self, period: int) -> tuple[int, int]:
        """Two moments, in microseconds, between which a period of days, weeks or months lies in any zone."""
        if self._period is None:
            raise ValueError("there is one period only")
        first, following = (period_start(each, self._period, UTC) for each in (period, period + 1))
        return first - DAY, following + DAY

    def refusal(self, tally: Tally | None, at: int, period: int) -> Verdict | None:
        """Why a fact that is newer than all others of its object doesn't count; None if it does."""
        if tally is None:
            return None
        if self.times is not None and counted(tally, period) >= self.times:
            return "limit_reached"
        if self.cooldown and tally[0] is not None and at < tally[0] + self.cooldown:
            return "cooling_down"
        return None

    def add(self, tally: Tally | None, at: int, period: int) -> Tally:
        """The tally with a fact that counts. The one given is not changed."""
        last, periods = tally if tally is not None else (None, ())
        found = dict(periods)
        found[period] = found.get(period, 0) + 1
        kept = [list(each) for each in sorted(found.items())[-KEPT_PERIODS:]]
        return [max(at, last or at) if self.cooldown else None, kept]

    def take(self, tallies: dict[str, Tally], about: str, at: int, period: int) -> dict[str, Tally]:
        """The tallies of a participant's objects, in order, with a fact that counts; without those no longer needed.

        Those given are not changed.
        """
        kept = tallies
        if len(tallies) >= _MANY and self._per != "ever":
            kept = {
                name: tally
                for name, tally in tallies.items()
                if tally[1][-1][0] > period - KEPT_PERIODS or (self.cooldown and tally[0] + self.cooldown > at)
            }
        return {**kept, about: self.add(kept.get(about), at, period)}

    def said(self, verdict: Verdict) -> str | None:
        """A refusal in words."""
        about = "" if self.by is None else f" for this {self.by}"
        if verdict == "cooling_down":
            return f"cooldown of {timedelta(microseconds=self.cooldown)}{about}"
        if verdict != "limit_reached" or self._per is None:
            return None
        return f"limit reached, {self.times:,} of {self.times:,}{_during(self._per)}{about}"


class LimitedMeasure(Measure):
    """A metric that counts only some of what matches.

    Its amount is text, `<object>/<amount>`, before which `placed` puts the period: `<period>/<object>/<amount>`.
    """

    __slots__ = ("quota",)

    def __init__(self, part: int, criteria: Criteria, quota: Quota) -> None:
        super().__init__(part, criteria)
        self.quota = quota

    def amount(self, fact: Fact, variables: Variables) -> Amount | ExpressionFailure | None:
        """What the fact brings, and to which object."""
        amount = super().amount(fact, variables)
        if amount is None or isinstance(amount, ExpressionFailure):
            return amount
        about = self.quota.object_of(variables)
        return about if isinstance(about, ExpressionFailure) else f"{about}/{amount}"

    @property
    def question(self) -> tuple[str | None, ...]:
        """What is asked of a fact."""
        return (*super().question, self.quota.by or "")


def placed(amount: Amount, quota: Quota, moment: Moment, timeline: Cell) -> str:
    """What a limited measure read, with the period of its fact."""
    return f"{quota.period(moment, timeline)}/{amount}"


def place_of(amount: Amount) -> tuple[int, str, str]:
    """The period, the object and the amount that `placed` put together."""
    period, about, plain = str(amount).split("/")
    return int(period), about, plain


def counted(tally: Tally, period: int) -> int:
    """How many counted in a period that the tally keeps."""
    for each, times in reversed(tally[1]):
        if each == period:
            return int(times)
    return 0


def placed_hits(hits: Sequence[Hit], quotas: Sequence[Quota | None], timeline: Cell) -> Sequence[Hit]:
    """Hits as the parts with a limit need them, for a participant whose zones are these."""
    if not quotas:
        return hits
    return [_placed_hit(hit, quotas, timeline) for hit in hits]


def _placed_hit(hit: Hit, quotas: Sequence[Quota | None], timeline: Cell) -> Hit:
    readings = []
    for reading in hit.readings:
        quota = quotas[reading.part] if reading.part >= 0 else None
        if quota is not None and reading.verdict == "matched":
            readings.append(replace(reading, amount=placed(reading.amount, quota, hit.fact.moment, timeline)))
        else:
            readings.append(reading)
    return Hit(hit.fact, tuple(readings))


def measure_of(part: int, criteria: Criteria) -> Measure:
    """Compile a metric with its limits."""
    quota = quota_of(criteria.limit, criteria.cooldown)
    return Measure(part, criteria) if quota is None else LimitedMeasure(part, criteria, quota)


def quotas_of(measures: Sequence[Measure]) -> tuple[Quota | None, ...]:
    """The limits of measures, one for each; empty where none has any."""
    found = tuple(each.quota if isinstance(each, LimitedMeasure) else None for each in measures)
    return found if any(found) else ()


def zone_types(quotas: Sequence[Quota | None]) -> frozenset[str]:
    """The type of the facts on which the participant's own zone depends, where that decides about periods."""
    own = any(quota is not None and quota.zone is None for quota in quotas)
    return frozenset({TIMEZONE_CHANGED}) if own else frozenset()


def quota_of(limit: Limit | None, cooldown: Cooldown | None) -> Quota | None:
    """Compile a definition's limits; none where it has none."""
    return None if limit is None and cooldown is None else Quota(limit, cooldown)


def _during(per: Per) -> str:
    match per:
        case "day":
            return " today"
        case "week":
            return " this week"
        case "month":
            return " this month"
        case "ever":
            return ""
    assert_never(per)
