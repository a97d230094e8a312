"""Which facts count towards something, and how much of it: the expressions, limits and voids of the second opinion."""

from datetime import UTC
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from bq_server.game.facts import Fact
from tests.game.oracle_calendar import day, period
from tests.game.oracle_participants import attribute


def zones(story: list[Fact]) -> list[Fact]:
    """The facts that tell a zone there is."""
    return [
        fact
        for fact in story
        if fact.fact_type == "system.timezone_changed" and fact.properties["timezone"] in available_timezones()
    ]


def within_limit(rule: dict[str, Any], candidates: list[Fact], told: list[Fact]) -> list[Fact]:
    """Those of the facts, in order, that a limit and a cooldown let count."""
    counted: list[Fact] = []
    for fact in candidates:
        if finds_room(rule, counted, fact, told):
            counted.append(fact)
    return counted


def finds_room(rule: dict[str, Any], counted: list[Fact], fact: Fact, told: list[Fact]) -> bool:
    limit, cooldown = rule.get("limit"), rule.get("cooldown")
    mine = [each for each in counted if limit is None or about(limit, each) == about(limit, fact)]
    if limit is not None:
        same = [each for each in mine if limit_period(limit, each, told) == limit_period(limit, fact, told)]
        if len(same) >= limit["times"]:
            return False
    pause = {None: 0, "PT5H": 5, "P1D": 24}[cooldown] * 3_600_000_000
    return not any(fact.occurred_at < each.occurred_at + pause for each in mine)


def about(limit: dict[str, Any], fact: Fact) -> Any:
    return fact.properties.get("s") if "by" in limit else None


def limit_period(limit: dict[str, Any], fact: Fact, told: list[Fact]) -> Any:
    zone = limit.get("timezone", "participant")
    if zone == "participant":
        before = [each for each in told if (each.occurred_at, each.seq) <= (fact.occurred_at, fact.seq)]
        zone = before[-1].properties["timezone"] if before else "UTC"
    local = day(fact.occurred_at, ZoneInfo(zone))
    kind = {"day": "daily", "week": "weekly", "month": "monthly", "ever": None}[limit["per"]]
    return None if kind is None else period(local, kind)


def without_void(facts: list[Fact]) -> list[Fact]:
    """The facts that count: whether one that voids another counts itself is decided by those made later."""
    void: set[str] = set()
    for fact in sorted(facts, key=lambda fact: -fact.seq):
        by_id = fact.fact_type == "system.fact_voided"
        if fact.fact_id in void or not (by_id or fact.voids):
            continue
        for other in facts:
            named = other.fact_id == fact.properties["fact_id"] if by_id else other.idempotency_key == fact.voids
            voids_too = other.voids is not None or other.fact_type == "system.fact_voided"
            reaches = not voids_too or (by_id and other.seq < fact.seq)
            reaches = reaches and (by_id or other.fact_type.startswith("custom."))
            if named and reaches and other.participant_id == fact.participant_id:
                void.add(other.fact_id)
    return [fact for fact in facts if fact.fact_id not in void]


def number(fact: Fact, name: str) -> Fraction | None:
    value = fact.properties.get(name)
    return Fraction(str(value)) if isinstance(value, int | float) else None


def holds(when: str | None, fact: Fact) -> bool:
    match when:
        case None:
            return True
        case "properties.x >= 2.0":
            value = number(fact, "x")
            return value is not None and value >= 2
        case 'properties.s == "u"':
            return fact.properties.get("s") == "u"
        case "has(properties.y)":
            return "y" in fact.properties
        case 'participant.attributes.team == "red"':
            return bool(attribute(fact, "team") == "red")
        case "has(participant.attributes.team)":
            return attribute(fact, "team") is not None
        case "has(participant.attributes.team.city) && properties.x >= 1.0":
            value = number(fact, "x")
            return attribute(fact, "team", "city") is not None and value is not None and value >= 1
        case 'participant.tier == "high"':
            return bool(fact.properties["@tier"] == "high")
        case '"given" in participant.badges':
            return "given" in fact.properties["@badges"]
        case 'participant.tier != "high" && properties.x >= 1.0':
            value = number(fact, "x")
            return bool(fact.properties["@tier"] != "high") and value is not None and value >= 1
    raise AssertionError(when)


def fails(when: str | None, fact: Fact) -> bool:
    """Whether a condition of a multiplier asks for what there isn't."""
    return when == 'properties.s == "u"' and "s" not in fact.properties


def matching(metric: dict[str, Any], story: list[Fact], applied_seq: int) -> list[Fact]:
    return [
        fact
        for fact in story
        if fact.fact_type.startswith("custom.")
        and fact.event_name in metric["on"]
        and fact.seq > applied_seq
        and holds(metric["when"], fact)
        and amount(metric, fact) is not None
        and ("by" not in metric.get("limit", {}) or "s" in fact.properties)
    ]


def amount(metric: dict[str, Any], fact: Fact) -> Any:
    match metric.get("aggregate"):
        case "sum" | "max" | "min":
            return number(fact, "x")
        case "distinct":
            return fact.properties.get(metric["of"].removeprefix("properties."))
        case "days":
            return day(fact.occurred_at, UTC)
        case _:
            return 1


def total(aggregate: str, amounts: list[Any]) -> Any:
    match aggregate:
        case "sum":
            return sum(amounts, Fraction(0))
        case "max":
            return max(amounts, default=0)
        case "min":
            return min(amounts)
        case "count":
            return len(amounts)
        case _:
            return len(set(amounts))
