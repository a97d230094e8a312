"""No expression takes more than its budget: the cost is told beforehand, and past the budget it doesn't match."""

import json
from itertools import pairwise
from typing import Any

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bq_server.game.document.check import check
from bq_server.game.expressions.conditions import ExpressionFailure, Formula, Variables
from bq_server.game.expressions.costs import MAX_NESTING, MAX_STEPS, Cost, nesting, properties_read
from bq_server.game.expressions.parser import UnreadableError, read
from bq_server.game.expressions.patterns import pattern_cost
from tests.game.test_simple_expressions import fact_with

QUADRATIC = "properties.l.all(a, properties.l.all(b, a + b >= 0.0))"


class Untouched:
    """Stands for a compiled program that must not be run."""

    def execute(self, context: Any) -> Any:
        raise AssertionError("the engine was asked")


def asked(source: str, held: dict[str, Any], *, reaches_the_engine: bool) -> Any:
    formula = Formula(source)
    if not reaches_the_engine:
        formula._program = Untouched()  # type: ignore[assignment]
    return formula.value(Variables(fact_with(held)))


def steps(source: str, held: dict[str, Any]) -> int:
    return Cost(read(source)).steps(held)


def errors(source: str) -> list[str]:
    document = {"points": [{"code": "p", "on": "e", "when": source, "award": 1}]}
    return [mistake.message for mistake in check(json.dumps(document)).errors]


@pytest.mark.parametrize(
    ("source", "held"),
    [
        (QUADRATIC, {"l": [1.0] * 5_000}),
        ("properties.l.map(a, properties.l.map(b, a + b)).size() > 0", {"l": ["text"] * 500}),
        ("properties.l.map(a, a).size() > 0", {"l": [1] * 2_000}),
        ("properties.l.all(a, properties.m != properties.n)", {"l": [1] * 500, "m": {"k": [1] * 500}, "n": 1}),
        ("properties.l.all(a, a.matches('^\\\\w+$'))", {"l": ["text"] * 100}),
        ("properties.s.matches(properties.p)", {"s": "text", "p": r"\w{200}"}),
        ("properties.s.matches('(a|b)*a(a|b){20}x')", {"s": "ab" * 30_000}),
        ("properties.l.exists(a, a.l.exists(b, b.l.exists(c, c == 1.0)))", {"l": [{"l": [{"l": [0] * 40}] * 40}] * 40}),
        ("size(properties) > 1", {f"k{number}": number for number in range(10_000)}),
        ("[properties.s]" + ".map(a, a + a)" * 40 + ".size() == 1", {"s": "x"}),
        ("properties.s.matches(properties.l[0] + '')", {"s": "x", "l": ["x"]}),
    ],
)
def test_what_takes_too_long_never_reaches_the_engine(source: str, held: dict[str, Any]) -> None:
    found = asked(source, held, reaches_the_engine=False)
    assert isinstance(found, ExpressionFailure)
    assert f"at most {MAX_STEPS:,} are allowed" in found.message


@pytest.mark.parametrize(
    ("source", "held", "expected"),
    [
        (QUADRATIC, {"l": [1.0] * 80}, True),
        ("properties.l.all(a, a >= 0.0)", {"l": [1.0] * 2_000}, True),
        ("properties.l.exists(a, a == 'x199')", {"l": [f"x{number}" for number in range(200)]}, True),
        ("properties.items.map(a, a.price)[1]", {"items": [{"price": 1}, {"price": 2}]}, 2.0),
        ("properties.items.filter(a, a.price > 1.0).size()", {"items": [{"price": 1}, {"price": 2}]}, 1),
        ("properties.s.matches('^[a-z0-9_-]{3,32}$')", {"s": "somebody"}, True),
        (r"properties.s.matches('^\\w+@\\w+\\.\\w+$')", {"s": "a@b.example"}, True),
        ("properties.l.filter(a, a > 1.0).map(a, [a, a]).map(a, a[0]).size()", {"l": [2.0] * 100}, 100),
        ("size(properties.l) > 1 && properties.l[0] == 1.0", {"l": [1, 2], "other": [0] * 30_000}, True),
        ("timestamp(properties.s) < occurred_at", {"s": "2020-01-01T00:00:00Z"}, True),
    ],
)
def test_what_is_reasonable_is_evaluated(source: str, held: dict[str, Any], expected: Any) -> None:
    assert errors(source) == []
    assert asked(source, held, reaches_the_engine=True) == expected


def test_the_warning_names_the_budget_and_is_the_same_for_events_of_like_size() -> None:
    said = {asked(QUADRATIC, {"l": [1.0] * length}, reaches_the_engine=False).message for length in (700, 702, 704)}
    assert len(said) == 1
    assert "over this event's values" in said.pop()


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), min_size=2, max_size=5))
def test_a_longer_list_never_costs_less(lengths: list[int]) -> None:
    for source in (QUADRATIC, "properties.l.map(a, [a, a])", "properties.l.filter(a, a > 1.0)", "size(properties.l)"):
        costs = [steps(source, {"l": [1.0] * length}) for length in sorted(lengths)]
        assert all(one <= other for one, other in pairwise(costs))


rounds = st.integers(0, 12)


@settings(deadline=None)
@given(outer=rounds, inner=rounds, body=st.sampled_from(["true", "b >= a", "size([a, b]) == 2"]))
def test_the_cost_is_no_less_than_what_is_gone_through(outer: int, inner: int, body: str) -> None:
    """Counted by a function that is called in every round of the innermost macro, and by each value that is built."""
    source = f"properties.l.all(a, properties.m.all(b, tick() && {body}))"
    count = 0

    def tick() -> bool:
        nonlocal count
        count += 1
        return True

    held = {"l": [1.0] * outer, "m": [2.0] * inner}
    cel.compile(source).execute(cel.Context(variables={"properties": held}, functions={"tick": tick}))
    assert count == outer * inner
    # A round copies the item, and looks at each name and constant in it.
    assert steps(source, held) >= 15 * count


def test_nesting_has_a_limit() -> None:
    source = "true"
    for name in "abcde":
        source = f"properties.l.all({name}, {source})"
    assert nesting(read(source)) == MAX_NESTING + 1
    assert errors(source) == ["CEL: all, exists, map, … may be nested at most 4 deep; here it is 5"]
    assert errors("properties.l.map(a, a).map(a, a).map(a, a).map(a, a).map(a, a).size() == 1") == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("['x']" + ".map(a, a + a)" * 40 + ".size() == 1", "whatever the event contains"),
        (r"properties.s.matches('\\w{200}')", "whatever the event contains"),
        ("properties.s.matches(properties.s + 'x')", "the pattern of matches"),
    ],
)
def test_what_never_fits_the_budget_is_a_mistake(source: str, said: str) -> None:
    assert said in errors(source)[0]


def test_a_mistake_stands_where_the_call_is() -> None:
    text = "points:\n  - code: p\n    on: e\n    award: 1\n    when: properties.s.matches(properties.s + 'x')\n"
    (mistake,) = check(text).errors
    assert (mistake.line, mistake.column) == (5, text.splitlines()[4].index("matches") + 1)


def test_a_game_kept_from_before_the_limits_still_loads_and_warns() -> None:
    source = "properties.s.matches(properties.s + 'x')"
    assert isinstance(asked(source, {"s": "x"}, reaches_the_engine=False), ExpressionFailure)


@pytest.mark.parametrize(
    ("pattern", "repeated"),
    [(r"\w", r"\w{50}"), ("(ab|c)", "(ab|c){50}"), ("[^a]", "[^a]{2,50}"), ("é", "(?i)(é{5}){10}")],
)
def test_a_repetition_costs_as_often_as_it_says(pattern: str, repeated: str) -> None:
    once, often = pattern_cost(pattern), pattern_cost(repeated)
    base = pattern_cost("").compiling
    assert often.compiling - base >= 50 * (once.compiling - base)
    assert often.each_character > 10 * once.each_character


def test_only_the_properties_that_are_read_are_known() -> None:
    assert properties_read(read('properties.b.c > 1.0 && properties["a"] == "x" && has(properties.d)')) == (
        "a",
        "b",
        "d",
    )
    assert properties_read(read("properties.a > 1.0 && size(properties) > 1")) is None
    assert properties_read(read("properties[event_name] == 1.0")) is None


WRITTEN = [
    "properties.l.exists_one(x, x == 1.0) ? [1, 2,] : {'a': 1u, \"b\": b'x',}['a']",
    "-properties.n - -1 - !true",
    '"""a\n"b""" + r\'\\d\' + R"x" + \'\\u00e9\\x41\\101\\n\'',
    "1.5e3 + .5 + 0x1F // and so on",
    "a in b in c == d < e",
    "!!properties.t || --1 == 1",
    "f.g.h(1)(2)",
    "Foo.Bar{a: 1, b: 2,}",
    ".properties.a",
    "'\\''",
]


def compiles(source: str) -> bool:
    """Whether the engine takes it."""
    try:
        cel.compile(source)
    except ValueError:
        return False
    return True


def is_read(source: str) -> bool:
    """Whether what an expression costs can be found out."""
    try:
        read(source)
    except UnreadableError:
        return False
    return True


@pytest.mark.parametrize("source", [*WRITTEN, "(" * 90 + "1" + ")" * 90, "1" + " + 1" * 140, "a" + ".a" * 140])
def test_what_the_engine_compiles_is_read_and_nothing_else(source: str) -> None:
    assert is_read(source) == compiles(source)


@settings(deadline=None)
@given(st.text(alphabet="ab1.\"'()[]{},?:+-*/%<>=!&| \nruxe\\", max_size=30))
def test_no_text_that_the_engine_compiles_is_unreadable(source: str) -> None:
    assert is_read(source) or not compiles(source)


@pytest.mark.parametrize("source", ["(" * 500 + "1" + ")" * 500, "1" + "+1" * 490, "a" + ".a" * 490])
def test_nesting_without_end_is_refused_quietly(source: str) -> None:
    with pytest.raises(UnreadableError):
        read(source)
    assert errors(source)
