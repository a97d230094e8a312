"""Conditions on the participant in rules that award others: they see whom the rule awards, at the event's time."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bq_server.game.facts import Fact
from bq_server.game.in_memory import InMemoryGame
from tests.game import oracle_recipients
from tests.game.fact_strategies import histories, histories_with_voids
from tests.game.participant_strategies import asking
from tests.game.recipient_strategies import games_with_recipients, naming
from tests.game.support import Story
from tests.game.test_oracle import seen
from tests.game.test_property import assert_equals_fold, play, seeds, thorough

GAME = """
points:
  - {code: spend, on: bought, award: properties.amount}
  - {code: red, on: cheered, when: participant.attributes.team == "red", award: 10, award_to: properties.whom}
  - {code: gold, on: cheered, when: participant.tier == "gold", award: 1, award_to: properties.whom}
badges:
  - {code: crown, name: Crown}
  - code: loved
    name: Loved
    criteria: {on: cheered, when: '"crown" in participant.badges', target: 2}
    award_to: properties.whom
    revocable: true
tiers: [{code: gold, name: Gold, level: 1, min_points: 20}]
"""


class Stand(Story):
    """People who cheer each other."""

    def cheer(self, who: str, when: str, whom: Any) -> None:
        self.send("cheered", f"2026-04-01T{when}", {"whom": whom}, who)

    def set(self, who: str, when: str, **attributes: Any) -> None:
        self.send("system.attributes_changed", f"2026-04-01T{when}", {"attributes": attributes}, who)

    def all_differences(self) -> list[Any]:
        return [each for who in self.memory.participants for each in self.differences(who)]


def test_the_attributes_are_those_of_whom_a_rule_awards() -> None:
    stand = Stand(GAME)
    stand.set("ada", "08:00", team="red")
    stand.set("bob", "08:00", team="blue")
    stand.cheer("bob", "09:00", "ada")
    stand.cheer("ada", "09:00", "bob")
    stand.cheer("cid", "09:00", ["ada", "bob"])
    assert (stand.points("ada"), stand.points("bob")) == (20, 0)
    assert stand.all_differences() == []


def test_they_are_those_of_the_time_and_a_change_told_late_concerns_the_recipient_alone() -> None:
    stand = Stand(GAME)
    stand.set("ada", "08:00", team="red")
    stand.cheer("bob", "09:00", "ada")
    stand.set("ada", "10:00", team="blue")
    stand.cheer("bob", "09:30", "ada")
    stand.cheer("bob", "10:30", "ada")
    stand.set("bob", "07:00", team="red")
    assert (stand.points("ada"), stand.points("bob")) == (21, 0)  # 1 is of gold
    stand.set("ada", "10:15", team="red")
    assert stand.points("ada") == 31
    assert stand.all_differences() == []


def test_tier_and_badges_are_those_of_whom_a_rule_awards() -> None:
    stand = Stand(GAME)
    stand.send("bought", "2026-04-01T08:00", {"amount": 20}, "ada")
    stand.send("system.badge_awarded", "2026-04-01T08:00", {"badge_code": "crown"}, "ada")
    stand.cheer("ada", "09:00", "bob")
    stand.cheer("bob", "09:00", "ada")
    assert (stand.points("ada"), stand.points("bob")) == (21, 0)
    stand.cheer("cid", "10:00", ["ada", "bob"])
    assert (stand.points("ada"), stand.points("bob")) == (22, 0)
    assert (stand.badges("ada"), stand.badges("bob")) == (["crown", "loved"], [])
    assert stand.all_differences() == []


def test_one_batch_that_names_somebody_twice_is_two_facts_of_their_story() -> None:
    stand = Stand(GAME)
    facts = [
        stand.fact("bought", "2026-04-01T08:00", {"amount": 20}, "ada"),
        stand.fact("cheered", "2026-04-01T09:00", {"whom": ["ada", "bob"]}, "cid"),
        stand.fact("cheered", "2026-04-01T10:00", {"whom": "ada"}, "dan"),
        stand.fact("cheered", "2026-04-01T07:00", {"whom": "ada"}, "dan"),
    ]
    stand.memory.process(facts)
    assert (stand.points("ada"), stand.points("bob")) == (22, 0)
    assert {who: len(stand.memory.facts(who)) for who in stand.memory.participants} == {
        "ada": 4, "bob": 1, "cid": 1, "dan": 2,
    }  # fmt: skip
    assert stand.all_differences() == []


def test_a_void_takes_back_what_the_fact_gave_and_what_followed_from_it() -> None:
    stand = Stand(GAME)
    stand.send("bought", "2026-04-01T08:00", {"amount": 20}, "ada")
    stand.send("system.badge_awarded", "2026-04-01T08:30", {"badge_code": "crown"}, "ada")
    stand.cheer("bob", "09:00", "ada")
    stand.cheer("cid", "10:00", "ada")
    assert (stand.points("ada"), stand.badges("ada")) == (22, ["crown", "loved"])
    stand.send("system.fact_voided", "2026-04-01T11:00", {"fact_id": "f3"}, "bob")
    assert (stand.points("ada"), stand.badges("ada")) == (21, ["crown"])
    assert stand.all_differences() == []


@pytest.mark.parametrize("awards", [False, True])
@settings(thorough, max_examples=60)
@given(data=st.data(), facts=histories(participants=3, size=14, values=naming), wait=st.integers(0, 10))
def test_each_is_whoever_the_rule_awards(awards: bool, data: st.DataObject, facts: list[Fact], wait: int) -> None:
    game = data.draw(asking(games_with_recipients(), awards))
    memory = InMemoryGame(game.compile())
    story = sorted(facts, key=lambda fact: fact.moment)
    memory.process(story[:wait])
    memory.process(story[wait:])
    for who in memory.participants:
        assert seen(memory, who) == oracle_recipients.play(game.document, game.applied_seq, who, facts)
    assert_equals_fold(memory)


@pytest.mark.parametrize("awards", [False, True])
@settings(thorough, max_examples=40)
@given(data=st.data(), facts=histories_with_voids(participants=3, size=12, values=naming), seed=seeds)
def test_in_any_order_each_story_equals_one_fold(
    awards: bool, data: st.DataObject, facts: list[Fact], seed: int
) -> None:
    memory = play(data.draw(asking(games_with_recipients(), awards)), facts, seed)
    assert_equals_fold(memory)
    assert memory.refold(memory.game.rules).effects == []
