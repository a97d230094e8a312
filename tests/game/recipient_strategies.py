"""Games in which facts award others than their senders, and facts that name them."""

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from bq_server.game.facts import PARTICIPANT_REFERRED, Fact
from tests.game.definition_strategies import badges, limits, on, when
from tests.game.fact_strategies import positive, properties
from tests.game.strategies import Rules, games, revocable_games

WHO = ["p0", "p1", "p2"]
named = st.sampled_from(
    [None, "p0", "p0", "p1", "p1", "p2", ["p0", "p1"], ["p2", "p0", "p2"], [], "", 5, ["p1", 5], ["", "p2"], "p9"]
)
"""What a property that should name participants may hold, None for no such property."""


def _naming(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(values, named).map(lambda pair: pair[0] if pair[1] is None else {**pair[0], "r": pair[1]})


naming = _naming(properties)
naming_positive = _naming(positive)


@st.composite
def games_with_recipients(draw: st.DrawFn, *, revocable: bool = False) -> Rules:
    """Points rules and badges, each for the sender or for those whom the fact names."""
    rules = draw(revocable_games() if revocable else games())
    to = {"award_to": "properties.r"}
    points = {"code": "pr", "on": draw(on), "when": draw(when), "award": draw(st.sampled_from([3, "properties.x"]))}
    own = [{**points, **to, **({} if revocable else draw(limits()))}]
    badge = {**draw(badges("br")), **to}
    if revocable:
        badge = {**badge, "revocable": True, "criteria": _once(badge["criteria"])}
        badge.pop("repeatable", None)
    document = {
        **rules.document,
        "points": [*rules.document["points"], *own],
        "badges": [*rules.document["badges"], badge],
    }
    return Rules(document, rules.applied_seq)


def as_referral(fact: Fact) -> Fact:
    """The fact itself, or for the event `c` a referral with the same properties and those that each referral has."""
    if fact.event_name != "c":
        return fact
    given = {**fact.properties, "referrer_id": "p9", "code": "k"}
    return replace(fact, fact_type=PARTICIPANT_REFERRED, event_name=PARTICIPANT_REFERRED, properties=given)


def with_referrals(part: Any) -> Any:
    """A document, or a part of one, that names referrals where it named the event `c`."""
    if isinstance(part, list):
        return [with_referrals(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        name: [PARTICIPANT_REFERRED if each == "c" else each for each in value]
        if name == "on"
        else with_referrals(value)
        for name, value in part.items()
    }


def _once(criteria: dict[str, Any]) -> dict[str, Any]:
    """Criteria of which no fact takes the place of another."""
    found = {name: value for name, value in criteria.items() if name not in ("limit", "cooldown", "levels")}
    return {**found, "target": criteria.get("target") or criteria["levels"][0]}
