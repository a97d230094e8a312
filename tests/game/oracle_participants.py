"""Who the participant was, to the second opinion: under `@` in the properties of each fact."""

from typing import Any

from msgspec.structs import replace

from bq_server.game.facts import Fact
from tests.game.oracle_outcome import EARNED, Outcome


def with_attributes(story: list[Fact]) -> list[Fact]:
    """The facts of a story, each with the attributes at that moment of whose story it is."""
    held: dict[str, Any] = {}
    found = []
    for fact in story:
        if fact.fact_type == "system.attributes_changed":
            for name, value in fact.properties["attributes"].items():
                if not isinstance(value, dict):
                    held = {**held, name: value}
                else:
                    inner = held.get(name)
                    held = {**held, name: {**(inner if isinstance(inner, dict) else {}), **value}}
        found.append(replace(fact, properties={**fact.properties, "@": held}))
    return found


def attribute(fact: Fact, *path: str) -> Any:
    """What a path leads to; None where there is nothing, and for null, which removes."""
    value = fact.properties["@"]
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def reads_awards(document: dict[str, Any]) -> bool:
    return "participant.tier" in str(document) or "participant.badges" in str(document)


def with_awards(document: dict[str, Any], fact: Fact, until: Outcome) -> Fact:
    """The fact with the tier and the badges that the facts before it have given."""
    tiers = [each["code"] for each in document["tiers"] if 0 < earned_in(until, each) >= each["min_points"]]
    known = {"@tier": tiers[-1] if tiers else None, "@badges": until.badges}
    return replace(fact, properties={**fact.properties, **known})


def earned_in(until: Outcome, tier: dict[str, Any]) -> int:
    """What was earned of the currency that leads to a tier."""
    currency = tier.get("currency", "coins")
    return until.earned if currency == "coins" else until.purses.get(currency, [0])[EARNED]
