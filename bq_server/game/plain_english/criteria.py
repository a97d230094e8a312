"""What counts, and how much of it: events, measures and limits."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from bq_server.game.document.criteria import Limit, Limited, Metric
from bq_server.game.facts import PARTICIPANT_REFERRED
from bq_server.game.plain_english.expressions import condition, value
from bq_server.game.plain_english.phrases import amount, counted, length, listed, zone


def event(on: Sequence[str], when: str | None) -> str:
    """One of the events: `purchase_completed where amount is at least 20`."""
    return listed(map(_name, on), "or") + _where(when)


def events(on: Sequence[str], when: str | None) -> str:
    """All of them: `purchase_completed events where amount is at least 20`."""
    return f"{listed(map(_name, on), 'and')} events{_where(when)}"


def _name(on: str) -> str:
    return "referral" if on == PARTICIPANT_REFERRED else on


def _where(when: str | None) -> str:
    return "" if when is None else f" where {condition(when)}"


def measure(metric: Metric) -> str:
    """`the sum of amount over purchase_completed events`."""
    found = events(metric.on, metric.when)
    of = "" if metric.of is None else value(metric.of)
    match metric.aggregate:
        case "count":
            return f"the number of {found}"
        case "sum":
            return f"the sum of {of} over {found}"
        case "max":
            return f"the largest {of} of {found}"
        case "min":
            return f"the smallest {of} of {found}"
        case "distinct":
            return f"the number of different values of {of} among {found}"
        case "days":
            return f"the number of days (UTC) with {found}"
        case _ as unknown:
            assert_never(unknown)


def goal(metric: Metric, target: float) -> str:
    """What it takes: `3 purchase_completed events where amount is at least 20`."""
    found = events(metric.on, metric.when)
    number, of = amount(target), "" if metric.of is None else value(metric.of)
    match metric.aggregate:
        case "count":
            return f"one {event(metric.on, metric.when)}" if target == 1 else f"{number} {found}"
        case "sum":
            return f"a sum of {of} of at least {number} over {found}"
        case "max":
            return f"one {event(metric.on, metric.when)}, with {of} at least {number}"
        case "min":
            return f"one {event(metric.on, metric.when)}, with {of} at most {number}"
        case "distinct":
            return f"{counted(target, 'different value')} of {of} among {found}"
        case "days":
            return f"{counted(target, 'day')} (UTC) with {found}"
        case _ as unknown:
            assert_never(unknown)


def limits(limited: Limited) -> Iterator[str]:
    """Sentences about which of the events count."""
    limit, cooldown = limited.limit, limited.cooldown
    each = "" if limit is None or limit.by is None else f", separately for each value of {value(limit.by)}"
    if limit is not None:
        first = "the first one counts" if limit.times == 1 else f"the first {limit.times:,} count"
        yield f"Only {first}{_period(limit)}{each}."
    if cooldown is not None:
        yield f"After one that counts, none counts for {length(cooldown)}{each}."


def _period(limit: Limit) -> str:
    match limit.per:
        case "ever":
            return ""
        case "day" | "week" | "month" as period:
            return f" each {period} {zone(limit.timezone)}"
        case _ as unknown:
            assert_never(unknown)
