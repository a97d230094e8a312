"""Expected beside actual, and what a participant's facts meant: the parts that need no server."""

from typing import Any

import pytest

from harness.stories.differences import ExpectationDifference, compare, holds, same, table, unmatched
from harness.stories.explanation import MOST_FACTS, explain
from harness.stories.exported import Exported


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (0.1 + 0.2, 0.3, True),
        (1, True, False),
        (0, None, False),
        ("1", 1, False),
        (1e12, 1e12 + 1, False),
        (1 / 3, 0.333333, True),
        (0.000001, 0.000002, False),
        (10**15, 10**15 + 1, False),
        ([1, {"a": 2}], [1.0, {"a": 2.0}], True),
        ([1], [1, 2], False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        (None, None, True),
    ],
)
def test_what_is_the_same(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal


@pytest.mark.parametrize(
    ("parts", "wholes", "left"),
    [
        ([], [], []),
        ([{"a": 1}], [{"a": 1, "b": 2}], []),
        ([{"a": 1}, {"a": 1}], [{"a": 1, "b": 2}], [{"a": 1}]),
        ([{"a": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 2}, {"a": 1, "b": 3}], []),
        ([{"b": 2}, {"a": 1}, {}], [{"a": 1, "b": 2}, {"a": 1}, {"c": 3}], []),
        ([{"c": 1}], [], [{"c": 1}]),
    ],
)
def test_every_whole_serves_one_part(parts: list[Any], wholes: list[Any], left: list[Any]) -> None:
    assert unmatched(parts, wholes) == left


def test_a_part_holds_in_the_whole() -> None:
    whole = {"type": "badge", "code": "first", "more": {"a": 1, "b": 2}}
    assert holds({"code": "first", "more": {"b": 2}}, whole)
    assert not holds({"code": "first", "more": {"c": None}}, whole)
    assert not holds({"code": "second"}, whole)


def test_only_what_differs_is_told_and_as_deep_as_can_be() -> None:
    one = {"ada": {"points": 3, "badges": ["a"], "all": [1, 2]}, "bob": {"points": 1}}
    other = {"ada": {"points": 4, "badges": ["a", "b"], "all": [1, 3]}, "eve": {}}
    assert list(compare("", one, other)) == [
        ExpectationDifference("ada.points", 3, 4),
        ExpectationDifference("ada.badges", ["a"], ["a", "b"]),
        ExpectationDifference("ada.all[1]", 2, 3),
        ExpectationDifference("bob", {"points": 1}, None),
        ExpectationDifference("eve", None, {}),
    ]


def test_columns_are_aligned_and_wide_values_have_lines_of_their_own() -> None:
    wide = ["abcdefghij" * 10]
    lines = table(
        [
            ExpectationDifference("points", 670, 170),
            ExpectationDifference("badges", wide, []),
            ExpectationDifference("tier", None, "a b"),
        ]
    )
    assert lines == [
        "        expected  actual",
        "points  670       170",
        "badges",
        f'  expected  ["{wide[0]}"]',
        "  actual    []",
        "tier    null      a b",
    ]
    assert table([ExpectationDifference("x", 1, 2)], "stream", "sync") == ["   stream  sync", "x  1       2"]


def _exported(count: int, game: dict[str, Any] | None) -> Exported:
    facts = [
        {
            "fact_id": f"fact_{number}",
            "fact_type": "custom.buy",
            "participant_id": "ada",
            "properties": {"amount": number},
            "occurred_at": f"2026-04-01T09:{59 - number:02}:00Z",
            "received_at": "2026-04-01T10:00:00Z",
        }
        for number in range(count)
    ]
    return Exported(game, {}, [], facts)


def test_an_explanation_is_in_order_of_event_time_and_keeps_to_the_newest() -> None:
    game = {
        "points": [{"code": "a", "on": "buy", "award": "properties.amount / 0.0", "when": "properties.amount > 1.0"}]
    }
    lines = explain(_exported(MOST_FACTS + 3, game), "ada")
    assert lines[:2] == ["what the facts of ada meant to the rules:", "  (3 older facts are left out)"]
    assert lines[2] == '  2026-04-01T09:40:00Z  buy  {"amount": 19}'
    assert lines[3].startswith("      didn't apply: points/a: its expression failed: ")
    assert lines[-2:] == [
        '  2026-04-01T09:59:00Z  buy  {"amount": 0}',
        "      didn't apply: points/a: its condition is false: properties.amount > 1.0",
    ]


def test_an_explanation_without_facts_or_rules() -> None:
    assert explain(_exported(2, None), "bob") == ["there is no fact of bob"]
    assert explain(_exported(2, None), "ada") == ["no game is in force that could mean something to the 2 facts of ada"]


def test_an_explanation_names_what_others_facts_meant_to_a_participant() -> None:
    to = {"code": "to", "on": "buy", "award": 1, "award_to": "properties.to"}
    exported = _exported(3, {"points": [to, {"code": "own", "on": "buy", "award": 1}]})
    exported.facts[0]["properties"] = {"to": "bob"}
    exported.facts[1]["properties"] = {"to": ["bob", "eve"]}
    assert explain(exported, "bob") == [
        "what the facts of bob meant to the rules:",
        '  2026-04-01T09:58:00Z  buy  {"to": ["bob", "eve"]}',
        "      applied: points/to",
        '  2026-04-01T09:59:00Z  buy  {"to": "bob"}',
        "      applied: points/to",
    ]
    assert explain(exported, "ada")[1:4] == [
        '  2026-04-01T09:57:00Z  buy  {"amount": 2}',
        "      applied: points/own",
        "      didn't apply: points/to: it awards nobody: properties.to names nobody else",
    ]
    assert explain(exported, "dan") == ["there is no fact of dan"]
