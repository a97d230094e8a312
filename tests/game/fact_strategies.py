"""Facts for the property tests: small alphabets, so that definitions and facts meet often."""

import random
from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec.structs import replace

from bq_server.game.facts import Fact
from tests.game import kept_strategies as st
from tests.game.currency_strategies import by_hand
from tests.game.definition_strategies import EVENTS, HOUR, START, ZONES


def long_history(chance: random.Random, length: int = 0) -> list[Fact]:
    """Dozens of facts of one participant within ten days, in order of event time: long enough for several checkpoints.

    They are not drawn one by one, which would take longer than playing them.
    """
    values = chance.choice([[1, 2, 3, 5], [1, 2, 3, -1, -2, 4]])
    hours = chance.choice([30, 240])
    facts = []
    for seq in range(1, (length or chance.choice([20, 40, 80])) + 1):
        moment = START + chance.randint(0, hours) * HOUR
        kind = chance.choice(["a", "a", "a", "b", "b", "c"])
        fact_type = f"custom.{kind}"
        given: dict[str, Any] = {"x": chance.choice(values)}
        if chance.random() < 0.05:
            fact_type, given = "system.challenge_enrolled", {"challenge_code": "c0"}
        facts.append(Fact(f"f{seq}", seq, fact_type, fact_type.partition(".")[2], "p0", given, moment, moment))
    return sorted(facts, key=lambda fact: fact.moment)


def _some_late(facts: list[Fact], chance: random.Random) -> list[Fact]:
    delays = {fact.fact_id: chance.randint(0, 40) if chance.random() < 0.3 else 0 for fact in facts}
    places = {fact.fact_id: place for place, fact in enumerate(facts)}
    return sorted(facts, key=lambda fact: places[fact.fact_id] + delays[fact.fact_id])


def _old_ones_last(facts: list[Fact], chance: random.Random) -> list[Fact]:
    first = chance.randint(0, len(facts))
    return facts[first:] + facts[:first]


ARRIVALS: dict[str, Callable[[list[Fact], random.Random], list[Fact]]] = {
    "shuffled": lambda facts, chance: chance.sample(facts, len(facts)),
    "some late": _some_late,
    "reversed": lambda facts, _: facts[::-1],
    "old ones last": _old_ones_last,
}
"""What comes of facts in order when they arrive in another."""


# A property may be missing, of the wrong type, or negative; a time repeats often.
properties = st.fixed_dictionaries(
    {},
    optional={
        "x": st.sampled_from([1, 2, 3, 5, 0.1, 0.2, 2.5, 0, -1, -3, -4, 2, 3, "many"]),
        "s": st.sampled_from(["u", "v", "w", "ü"]),
        "y": st.none(),
    },
)
positive = st.fixed_dictionaries(
    {"x": st.sampled_from([1, 2, 3, 0.1, 0.2])}, optional={"s": st.sampled_from(["u", "v", "w"])}
)
attributes = st.sampled_from(
    [
        {"team": "red"},
        {"team": "red"},
        {"team": "blue", "bonus": 2},
        {"team": None},
        {"team": {"city": "Rome"}},
        {"team": {"city": None, "size": 3}},
        {"team": {"size": 4}},
        {"bonus": 5, "team": "red"},
        {"bonus": None, "other": 1},
    ]
)
system = st.one_of(
    st.sampled_from(ZONES).map(lambda zone: ("system.timezone_changed", {"timezone": zone})),
    st.sampled_from(["c0", "c1"]).map(lambda code: ("system.challenge_enrolled", {"challenge_code": code})),
    by_hand({"amount": st.integers(1, 15)}).map(lambda given: ("system.points_awarded", given)),
    by_hand({"amount": st.integers(1, 15)}).map(lambda given: ("system.points_deducted", given)),
    by_hand({"amount": st.integers(1, 15)}).map(lambda given: ("system.points_expired", given)),
    by_hand({"reward_code": st.just("mug"), "cost": st.integers(0, 9)}).map(
        lambda given: ("system.reward_claimed", given)
    ),
    st.sampled_from(["given", "b0"]).map(lambda code: ("system.badge_awarded", {"badge_code": code})),
    st.just(("system.timezone_changed", {"timezone": "Nowhere/At_All"})),
    st.booleans().map(lambda hidden: ("system.visibility_changed", {"hidden": hidden})),
    st.sampled_from(["k0", "k0", "k1"]).map(lambda code: ("system.contest_entered", {"contest_code": code})),
    st.builds(
        lambda rank, prize: (
            "system.contest_placed",
            {"contest_code": "k0", "rank": rank, "score": 2, "reached_at": START, **prize},
        ),
        st.integers(1, 4),
        st.sampled_from([{}, {"points": 4}, {"points": 2, "badge": "given"}, {"badge": "b0"}]),
    ),
    st.builds(
        lambda code, at: ("system.shared_challenge_reached", {"challenge_code": code, "group": "red", "at": at}),
        st.sampled_from(["g0", "g0", "g1", "c0"]),
        st.sampled_from([0.25, 0.3, 0.5, 0.9, 1]),
    ),
    attributes.map(lambda patch: ("system.attributes_changed", {"attributes": patch})),
    attributes.map(lambda patch: ("system.attributes_changed", {"attributes": patch})),
    st.integers(0, 3).map(lambda price: ("system.streak_freeze_bought", {"streak_code": "s0", "price": price})),
    st.integers(0, 240).map(
        lambda hours: ("system.streak_freeze_used", {"streak_code": "s0", "starts_at": START + hours * HOUR})
    ),
)
amounts = st.fixed_dictionaries(
    {"x": st.sampled_from([1, 2, 3, -1, -2, 1, 2])}, optional={"s": st.sampled_from(["u", "v"])}
)
times = st.one_of(
    st.integers(0, 30).map(lambda steps: START + steps * 7 * HOUR),
    st.integers(0, 240).map(lambda hours: START + hours * HOUR),
)


Kind = tuple[str, dict[str, Any]]
"""A fact's type and properties."""


def custom(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Kind]:
    return st.tuples(st.sampled_from([f"custom.{name}" for name in EVENTS]), values)


@cache
def rows_of(values: st.SearchStrategy[dict[str, Any]], participants: int) -> st.SearchStrategy[tuple[Kind, int, int]]:
    """A fact's kind, time and participant."""
    usual = custom(values)
    # Spelt out, for `one_of` would weigh each kind of system fact as much as all custom ones.
    kinds = st.sampled_from([True] * 8 + [False]).flatmap(lambda found: usual if found else system)
    return st.tuples(kinds, times, st.integers(0, participants - 1))


_usual = custom(amounts)
_enrolment: st.SearchStrategy[Kind] = st.just(("system.challenge_enrolled", {"challenge_code": "c0"}))
dense_row = st.tuples(
    st.sampled_from([True] * 9 + [False]).flatmap(lambda found: _usual if found else _enrolment), times
)


@st.composite
def histories_with_voids(
    draw: st.DrawFn, participants: int = 2, size: int = 18, values: st.SearchStrategy[dict[str, Any]] | None = None
) -> list[Fact]:
    """Facts of which some void others: by key or by id, earlier or later ones, or none that there is."""
    facts = draw(histories(participants, size, values))
    named = st.integers(1, len(facts) + 2)
    ways = st.sampled_from(["", "", "", "key", "key", "fact"])
    found: list[Fact] = []
    for fact in facts:
        way = draw(ways)
        if way == "key" and fact.fact_type.startswith("custom."):
            fact = replace(fact, voids=f"k{draw(named)}")
        elif way == "fact":
            given = {"fact_id": f"f{draw(named)}"}
            fact = replace(fact, fact_type="system.fact_voided", event_name="fact_voided", properties=given)
        found.append(fact)
    return found


@st.composite
def histories(
    draw: st.DrawFn, participants: int = 2, size: int = 18, values: st.SearchStrategy[dict[str, Any]] | None = None
) -> list[Fact]:
    """Facts in order of their `seq`."""
    drawn: Any = draw(st.sampled_from([properties, positive]))
    row = rows_of(drawn if values is None else values, participants)
    length = draw(st.integers(0, size))
    rows = draw(st.lists(row, min_size=length, max_size=length))
    return [
        Fact(f"f{seq}", seq, fact_type, fact_type.partition(".")[2], f"p{who}", values, at, at, f"k{seq}")
        for seq, ((fact_type, values), at, who) in enumerate(rows, 1)
    ]


@st.composite
def dense_histories(draw: st.DrawFn) -> list[Fact]:
    """Thirty facts of one participant within ten days; one in ten is an enrolment."""
    rows = draw(st.lists(dense_row, min_size=30, max_size=30))
    return [
        Fact(f"f{seq}", seq, fact_type, fact_type.partition(".")[2], "p0", values, at, at)
        for seq, ((fact_type, values), at) in enumerate(rows, 1)
    ]
