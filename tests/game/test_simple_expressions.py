"""Simple expressions are Python functions: they give what the engine gives, to the word of a failure."""

import math
from typing import Any

import cel
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bq_server.game.expressions.conditions import ExpressionFailure, Formula, Variables
from bq_server.game.expressions.parser import read
from bq_server.game.expressions.simple import simple
from bq_server.game.facts import Fact

NAMES = ["a", "b", "c"]
TEXTS = ["", "a", "EUR", "é", "ab"]
AT = 1_777_000_123_456_789

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        [0, 1, -1, 20, 25.5, -0.0, 0.0, 2**53, 2**53 + 1, -(2**63), 2**63, 2**64, 10**400, -(10**400), 1e300]
    ),
    st.integers(-3, 30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(TEXTS),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=4,
)
properties = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)

members = st.sampled_from(
    [f"properties.{name}" for name in NAMES] + ["properties.a.b", 'properties["b"]', "properties.c.a.b"]
)
numbers = st.sampled_from(["20.0", "20", "0", "0.0", "-1", "-2.5", "1e300", "9007199254740993", "9223372036854775807"])
texts = st.sampled_from(['""', '"EUR"', "'a'", "'é'", "r'a'", '"\\u00e9"'])
constants = numbers | texts | st.sampled_from(["true", "false", "null"])


def composed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def written(pattern: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(*parts).map(lambda drawn: pattern.format(*drawn))

    order = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    return st.one_of(
        written("{0} {1} {2}", members, order, constants),
        written("({0}) {1} ({2})", inner, order, inner),
        written("({0}) {1} ({2})", inner, st.sampled_from(["+", "-", "*"]), inner),
        written("({0}) {1} ({2})", inner, st.sampled_from(["&&", "||"]), inner),
        written("({0}) {1} ({2}) {1} ({3})", inner, st.sampled_from(["&&", "||"]), inner, inner),
        written("!({0})", inner),
        written("-({0})", inner),
        written("has({0})", st.sampled_from(["properties.a", "properties.a.b", "properties.c.a.b"])),
        written("int({0})", inner),
        written("double({0})", inner),
        written("({0}) ? ({1}) : ({2})", inner, inner, inner),
        written("({0}) in [{1}, {2}]", inner, texts, texts),
        written("({0}).{1}({2})", inner, st.sampled_from(["startsWith", "endsWith", "contains"]), texts),
    )


expressions = st.recursive(
    members | constants | st.sampled_from(["event_name", "participant_id"]), composed, max_leaves=6
)


def fact_with(held: dict[str, Any], at: int = AT) -> Fact:
    return Fact("f", 1, "custom.e", "e", "p", held, at, at)


def rounded(value: Any) -> Any:
    """JSON with every number a double, as near as there is one."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**1023 else (math.inf if value > 0 else -math.inf)
    return value


def is_exact(value: Any) -> bool:
    """Whether all whole numbers are ones that doubles tell apart."""
    if isinstance(value, dict | list):
        return all(map(is_exact, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or abs(value) <= 2**53


def by_the_engine(source: str, held: dict[str, Any]) -> Any:
    context = cel.Context(variables={"properties": rounded(held), "event_name": "e", "participant_id": "p"})
    try:
        return cel.compile(source).execute(context)
    except KeyError as error:
        return ExpressionFailure(f"the event has no property {error.args[0]}")
    except Exception as error:  # noqa: BLE001 - as it raises anything
        return ExpressionFailure(" ".join(str(error).split())[:300])


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


@settings(max_examples=300, deadline=None)
@given(source=expressions, held=properties)
@example("properties.a && properties.b", {})
@example("properties.a || properties.b || false", {})
@example("properties.a && properties.b", {"b": False})
@example("properties.a && properties.b", {"a": 1, "b": False})
@example("properties.a == 9007199254740993", {"a": 2**53 + 1})
@example("properties.a + properties.b", {"a": 1e308, "b": 1e308})
@example("int(properties.a) * 9223372036854775807", {"a": 2})
@example("-(properties.a)", {"a": 0})
@example("int(properties.a)", {"a": -1.9})
@example("properties.a", {"a": {"b": [1, 10**400, {"c": -0.0}]}})
def test_value_type_and_message_are_the_engines(source: str, held: dict[str, Any]) -> None:
    try:
        cel.compile(source)
    except ValueError:
        return
    value = Formula(source).value(Variables(fact_with(held)))
    if isinstance(value, ExpressionFailure) and "send it as text" in value.message:
        assert not is_exact(held)
    else:
        assert same(value, by_the_engine(source, held))


@pytest.mark.parametrize(
    "source",
    [
        "properties.amount >= 20.0",
        'properties.currency == "EUR"',
        "has(properties.tip)",
        "properties.gift",
        "properties.amount",
        "3",
        "int(properties.amount)",
        "double(int(properties.amount))",
        "properties.amount * 2.0 + 1.0",
        'has(properties.tip) && properties.tip > 1.0 || !(properties.country in ["DE", "AT"])',
        "properties.order.total > properties.order.paid",
        "occurred_at.getHours() >= 18",
        'occurred_at.getHours("Asia/Tokyo") >= 18',
        'event_name == "e" && participant_id != "p"',
    ],
)
def test_what_most_rules_say_is_simple(source: str) -> None:
    assert simple(read(source)) is not None


def test_a_simple_expression_hands_nothing_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a context was built")

    monkeypatch.setattr(Variables, "context", refuse)
    variables = Variables(fact_with({"amount": 25, "currency": "EUR"}))
    assert Formula('properties.amount >= 20.0 && properties.currency == "EUR"').holds(variables) is True
    assert Formula("properties.amount * 2.0").points(variables) == 50
    assert Formula("properties.tip > 1.0").holds(variables) == ExpressionFailure("the event has no property tip")


def test_the_engine_sees_only_what_an_expression_reads() -> None:
    crowd = {f"n{number}": float(number) for number in range(10_000)}
    variables = Variables(fact_with({**crowd, "l": [1, 2]}))
    assert Formula("properties.l.exists(each, each == 2.0)").holds(variables) is True
    assert isinstance(Formula("size(properties) > 1").holds(variables), ExpressionFailure)


@pytest.mark.parametrize(
    ("amount", "points"), [(19.99, 1999), (0.29, 29), (4.35, 435), (8.2, 820), (0.999999, 99), (0, 0), (25, 2500)]
)
def test_points_lose_no_cents(amount: float, points: int) -> None:
    variables = Variables(fact_with({"amount": amount, "rates": [100]}))
    assert Formula("properties.amount * 100.0").points(variables) == points
    assert Formula("properties.amount * properties.rates[0]").points(variables) == points


@pytest.mark.parametrize(
    ("value", "said"),
    [(1_000_000_001, "1,000,000,001"), (-0.5, "-0.5"), (1e300, "1e+300"), (1_000_000_000.5, "1,000,000,000.5")],
)
def test_a_number_of_points_that_is_none_is_said_in_full(value: float, said: str) -> None:
    found = Formula("properties.x").points(Variables(fact_with({"x": value})))
    assert found == ExpressionFailure(f"the formula gave {said} points; it may give 0 to 1,000,000,000")
