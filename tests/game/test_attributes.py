"""A participant's attributes over time, and the conditions that read them."""

from typing import Any

import pytest

from bq_server.game.attributes import Attributes, merged
from bq_server.game.document.check import check
from bq_server.game.facts import Fact, Moment
from tests.game.support import Story, at

CHANGED = "system.attributes_changed"
GAME = """
points: [{code: run, on: run, when: participant.attributes.team == "red", award: properties.km}]
badges: [{code: red, name: Red, criteria: {on: run, when: participant.attributes.team == "red", target: 2}}]
leaderboards: [{code: km, name: Km, metric: {on: run, when: participant.attributes.team == "red"}, window: all_time}]
"""


class Club(Story):
    """Runs, and changes of attributes."""

    def run(self, when: str, km: int = 5) -> None:
        self.send("run", when, {"km": km})

    def become(self, when: str, **attributes: Any) -> None:
        self.send(CHANGED, when, {"attributes": attributes})

    def runs(self) -> int | None:
        cell = self.memory.cells("ada").get("score/km/all_time/all_time")
        return None if cell is None else cell["score"]


def test_a_condition_sees_what_held_at_the_time_of_its_event() -> None:
    club = Club(GAME)
    club.run("2026-04-01T08:00")
    club.become("2026-04-01T09:00", team="red")
    club.run("2026-04-01T10:00", 7)
    club.become("2026-04-01T11:00", team="blue")
    club.run("2026-04-01T12:00")
    club.run("2026-04-01T10:30", 8)  # late: she was red then
    assert (club.points(), club.badges(), club.runs()) == (15, ["red"], 2)
    assert (club.differences(), club.kept()) == ([], [])


def test_a_change_that_comes_in_time_reads_no_history() -> None:
    club = Club(GAME)
    club.run("2026-04-01T08:00")
    club.become("2026-04-01T09:00", team="red")
    club.become("2026-04-01T09:30", mail="ada@example.com")
    assert club.memory.requests == 0


def test_a_change_of_what_nothing_reads_touches_nothing() -> None:
    club = Club(GAME)
    club.run("2026-04-01T08:00")
    club.become("2026-04-01T07:00", mail="ada@example.com")
    assert club.memory.requests == 0


def test_a_change_told_late_is_as_if_it_had_come_in_time_except_that_awards_stay() -> None:
    club = Club(GAME)
    club.run("2026-04-01T08:00")
    club.run("2026-04-01T10:00")
    club.become("2026-04-01T07:00", team="red")
    assert (club.points(), club.badges(), club.runs()) == (10, ["red"], 2)
    assert (club.differences(), club.kept()) == ([], [])
    club.become("2026-04-01T09:00", team="blue")
    assert (club.points(), club.badges(), club.runs()) == (10, ["red"], 1)
    assert club.differences() == []
    assert club.kept() == ["badge/red", "ledger/points:run:f2"]


def test_a_change_that_is_void_never_was() -> None:
    club = Club(GAME)
    club.become("2026-04-01T07:00", team="red")
    club.become("2026-04-01T09:00", team="blue")
    club.run("2026-04-01T08:00")
    club.run("2026-04-01T10:00")
    assert club.runs() == 1
    club.send("system.fact_voided", "2026-04-01T11:00", {"fact_id": "f2"})
    assert (club.points(), club.badges(), club.runs(), club.differences()) == (10, ["red"], 2, [])
    club.send("system.fact_voided", "2026-04-01T12:00", {"fact_id": "f5"})
    assert (club.points(), club.runs(), club.differences()) == (10, 1, [])


def test_a_game_that_comes_later_sees_attributes_set_before_it() -> None:
    club = Club("points: []")
    club.become("2026-04-01T07:00", team="red")
    club.run("2026-04-01T08:00", 3)
    club.change(GAME)
    club.memory.refold(club.memory.game.rules)
    club.run("2026-04-01T09:00", 4)
    assert (club.points(), club.badges(), club.differences()) == (7, ["red"], [])


def test_a_limit_tells_apart_by_an_attribute() -> None:
    limit = "{times: 1, per: ever, by: participant.attributes.team}"
    club = Club(f"points: [{{code: p, on: run, award: 1, limit: {limit}}}]")
    for hour, team in enumerate(["red", "red", "blue", "red"]):
        club.become(f"2026-04-01T0{hour}:00", team=team)
        club.run(f"2026-04-01T0{hour}:30")
    assert (club.points(), club.differences()) == (2, [])


def test_without_the_attribute_a_rule_warns() -> None:
    result = Club(GAME).send("run", "2026-04-01", {"km": 1})
    assert {each.message for each in result.warnings} == {"the participant has no attribute team"}
    assert {each.verdict for each in result.explanations} == {"expression_error"}


def test_only_the_cells_of_attributes_that_are_named_are_asked_for() -> None:
    game = Club(GAME).memory.game
    assert game.attributes_of_facts == {"custom.run": ("team",)}
    assert Club("points: [{code: p, on: run, award: 1}]").memory.game.attributes_of_facts == {}


@pytest.mark.parametrize(
    ("expression", "place", "message"),
    [
        ('participant.attribute.team == "red"', 0, "there is no participant.attribute; did you mean"),
        ("true && participant.level > 1", 8, "there is no participant.level; there are attributes, such as"),
        ('participant.tiers == "gold"', 0, "there is no participant.tiers; did you mean participant.tier?"),
        ("has(participant.attributes)", 4, "name the attribute: participant.attributes.team"),
        ("participant.attributes[properties.key] == 1", 0, "name the attribute"),
        ('participant.attributes.team == "a" || participant == "b"', 38, "name the attribute"),
    ],
)
def test_what_is_no_attribute_is_a_mistake_with_its_place(expression: str, place: int, message: str) -> None:
    document = f"points: [{{code: p, on: e, award: 1, when: '{expression}'}}]"
    (mistake,) = check(document).errors
    assert (mistake.line, mistake.column) == (1, document.index(expression) + 1 + place)
    assert message in mistake.message


@pytest.mark.parametrize(
    "expression",
    [
        'participant.attributes["home town"] == "Rome"',
        'has(participant.attributes.team) && participant["attributes"].team == "red"',
        "properties.list.all(participant, participant > 1.0)",
        "properties.text.matches(participant.attributes.pattern)",
    ],
)
def test_what_is_one_is_none(expression: str) -> None:
    assert check(f"points: [{{code: p, on: e, award: 1, when: '{expression}'}}]").mistakes == []


@pytest.mark.parametrize(
    ("kept", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({"a": "foo"}, {"a": {"b": 1, "c": None}}, {"a": {"b": 1}}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_patches_merge_as_in_the_appendix_of_rfc_7396(kept: Any, patch: Any, result: Any) -> None:
    before = repr(kept)
    assert merged(kept, patch) == result
    assert repr(kept) == before


def told(seq: int, when: str, patch: Any) -> Fact:
    return Fact(f"f{seq}", seq, CHANGED, "attributes_changed", "ada", {"attributes": patch}, at(when), at(when))


def test_patches_of_parts_merge_over_time_in_any_order_of_arrival() -> None:
    facts = [
        told(3, "2026-04-01", {"home": {"town": "Rome", "floor": 2}}),
        told(1, "2026-04-02", {"home": {"floor": None}}),
        told(4, "2026-04-03", {"home": "nowhere"}),
        told(2, "2026-04-04", {"home": {"town": "Oslo"}}),
        told(5, "2026-04-05", {"home": None}),
    ]
    attributes = Attributes({}).changed(facts[:2]).changed(facts[2:])
    assert attributes == Attributes({}).changed(reversed(facts))
    days = [attributes.at(Moment(at(f"2026-04-0{day}T12:00"), 0)).get("home") for day in range(1, 6)]
    assert days == [{"town": "Rome", "floor": 2}, {"town": "Rome"}, "nowhere", {"town": "Oslo"}, None]
    without = attributes.changed([], [facts[0]])
    assert without.at(Moment(at("2026-04-02T12:00"), 0)) == {"home": {}}
