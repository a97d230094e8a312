"""Conditions on tier and badges: what the facts before have given, whatever came first."""

import pytest

from bq_server.game import in_memory
from bq_server.game.document.check import check
from bq_server.game.facts import Fact
from bq_server.game.known_before import KnownBefore
from bq_server.game.step import StepResult
from tests.game.support import Story

GOLD = """
points:
  - {code: spend, on: bought, award: properties.amount}
  - {code: bonus, on: bought, when: participant.tier == "gold", award: 5}
badges:
  - {code: golden, name: Golden, revocable: true, criteria: {on: bought, when: participant.tier == "gold", target: 2}}
tiers: [{code: low, name: Low, level: 1, min_points: 0}, {code: gold, name: Gold, level: 2, min_points: 100}]
leaderboards: [{code: g, name: G, metric: {on: bought, when: participant.tier == "gold"}, window: all_time}]
"""


class Shop(Story):
    """Purchases."""

    def buy(self, when: str, amount: int) -> None:
        self.send("bought", f"2026-04-01T{when}", {"amount": amount})

    def golden(self) -> int | None:
        cell = self.memory.cells("ada").get("score/g/all_time/all_time")
        return None if cell is None else cell["score"]


def test_a_fact_sees_what_those_before_it_have_given_and_not_what_it_gives() -> None:
    shop = Shop(GOLD)
    shop.buy("10:00", 100)
    assert (shop.points(), shop.golden()) == (100, None)
    shop.buy("11:00", 1)
    assert (shop.points(), shop.golden()) == (106, 1)
    assert (shop.differences(), shop.kept(), shop.memory.requests) == ([], [], 0)


def test_a_late_fact_makes_later_ones_golden_and_these_are_paid() -> None:
    shop = Shop(GOLD)
    for when, amount in (("10:00", 90), ("12:00", 30), ("13:00", 30)):
        shop.buy(when, amount)
    assert (shop.points(), shop.golden(), shop.badges()) == (155, 1, [])
    shop.buy("11:00", 10)
    assert (shop.points(), shop.golden(), shop.badges()) == (170, 2, ["golden"])
    assert (shop.differences(), shop.kept()) == ([], [])


def test_a_void_takes_the_story_back_and_what_is_revocable() -> None:
    shop = Shop(GOLD)
    for when, amount in (("10:00", 90), ("11:00", 10), ("12:00", 30), ("13:00", 30)):
        shop.buy(when, amount)
    assert (shop.points(), shop.badges()) == (170, ["golden"])
    shop.send("system.fact_voided", "2026-04-01T14:00", {"fact_id": "f2"})
    assert (shop.points(), shop.badges(), shop.golden(), shop.differences()) == (160, [], 1, [])
    assert shop.kept() == ["ledger/points:bonus:f3"]


def test_what_is_held_and_not_of_the_story_is_not_seen_but_may_yet_be() -> None:
    shop = Shop("""
points: [{code: crowned, on: bought, when: '"big" in participant.badges', award: 1}]
badges: [{code: big, name: Big, criteria: {on: bought, aggregate: sum, of: properties.amount, target: 10}}]
""")
    shop.buy("10:00", 6)
    shop.buy("12:00", 4)
    shop.buy("11:00", -5)  # a refund: the badge is held, and was not reached
    assert (shop.badges(), shop.kept()) == (["big"], ["badge/big"])
    shop.buy("13:00", 1)
    assert shop.points() == 0
    shop.buy("14:00", 4)  # in the story it is reached now
    shop.buy("15:00", 1)
    assert (shop.points(), shop.differences(), shop.kept()) == (1, [], [])
    asked = shop.memory.cells("ada")["who/awards"]
    assert asked["held"]


def test_what_was_kept_of_another_currency_leads_to_no_tier_of_the_story() -> None:
    shop = Shop("""
currencies: [{code: coins}, {code: gems}]
points:
  - {code: first, on: bought, when: participant.tier == null, award: 60, currency: gems}
  - {code: seed, on: seeded, award: 100, currency: gems}
  - {code: top, on: bought, when: participant.tier == "top", award: 1}
tiers:
  - {code: gold, name: Gold, level: 1, min_points: 150, currency: gems}
  - {code: top, name: Top, level: 2, min_points: 350, currency: gems}
""")
    shop.buy("12:00", 1)
    for when in ("10:00", "10:30"):
        shop.send("seeded", f"2026-04-01T{when}")
    shop.send("seeded", "2026-04-01T13:00")
    assert [code for code, *_ in shop.memory.cells("ada")["tiers"]] == ["gold", "top"], "held, by the 60 that stay"
    shop.buy("14:00", 1)
    assert (shop.points(), shop.differences()) == (0, []), "the story has 300"


def test_badges_by_hand_and_by_reward_are_seen() -> None:
    shop = Shop("""
points: [{code: crowned, on: bought, when: '"crown" in participant.badges', award: 1}]
badges: [{code: crown, name: Crown}]
challenges:
  - code: c
    name: C
    duration: {type: perpetual}
    objectives: [{code: o, on: won, target: 1}]
    rewards: [{badge: crown}]
""")
    shop.buy("10:00", 1)
    shop.send("system.badge_awarded", "2026-04-01T11:00", {"badge_code": "crown"})
    shop.buy("12:00", 1)
    assert shop.points() == 1
    shop.send("won", "2026-04-01T09:00")
    assert (shop.points(), shop.differences(), shop.kept()) == (2, [], [])


def test_a_changed_tier_is_seen_of_the_past_too() -> None:
    shop = Shop(GOLD)
    shop.buy("10:00", 60)
    shop.buy("11:00", 10)
    shop.change(GOLD.replace("100", "50"))
    shop.memory.refold(shop.memory.game.rules)
    assert (shop.points(), shop.golden()) == (75, 1)
    shop.buy("12:00", 0)
    assert (shop.points(), shop.golden()) == (80, 2)


def test_a_story_is_told_on_time_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "CHUNK", 4)
    steps: list[str] = []
    slow = in_memory.InMemoryGame.take_one

    def noted(memory: in_memory.InMemoryGame, fact: Fact, known: KnownBefore) -> StepResult:
        steps.append(fact.fact_id)
        return slow(memory, fact, known)

    monkeypatch.setattr(in_memory.InMemoryGame, "take_one", noted)
    shop = Shop(GOLD)
    for hour in range(10, 20):
        shop.buy(f"{hour}:00", 20)
    shop.send("system.timezone_changed", "2026-04-01T20:00", {"timezone": "Asia/Tokyo"})
    shop.buy("09:00", 20)
    assert steps == ["f11"]
    assert (shop.golden(), shop.differences()) == (6, [])


@pytest.mark.parametrize(
    ("expression", "place", "message"),
    [
        ('participant.tier == "glod"', 20, "there is no tier glod"),
        ('"crow" in participant.badges', 0, "there is no badge crow"),
        ('participant.tier in ["gold", "silver"]', 29, "there is no tier silver"),
        ("has(participant.tier)", 0, "is always true: without a tier it is null"),
        ("has(participant.badges)", 0, "is always true: without badges it is empty"),
    ],
)
def test_what_the_game_does_not_define_is_a_mistake_with_its_place(expression: str, place: int, message: str) -> None:
    document = GOLD.replace('participant.tier == "gold", award', f"'{expression}', award")
    (mistake,) = check(document).errors
    line = document.splitlines()[mistake.line - 1]
    assert mistake.column == line.index(expression) + 1 + place
    assert message in mistake.message


@pytest.mark.parametrize(
    ("expression", "amount", "points"),
    [
        ("participant.tier == null", 1, 1),
        ('participant.tier != "gold"', 1, 1),
        ('participant["tier"] in ["low", "gold"]', 1, 0),
        ("participant.badges.size() > 0", 1, 0),
        ('participant.badges.exists(b, b.startsWith("c"))', 1, 0),
    ],
)
def test_who_has_nothing_has_no_tier_and_no_badges(expression: str, amount: int, points: int) -> None:
    shop = Shop(GOLD.replace('participant.tier == "gold", award: 5', f"'{expression}', award: {points or 9}"))
    shop.buy("10:00", 0)
    assert shop.points() == points * amount


def test_a_game_that_reads_no_awards_keeps_no_story() -> None:
    shop = Shop("points: [{code: p, on: bought, award: 1}]")
    shop.buy("10:00", 1)
    assert "who/awards" not in shop.memory.cells("ada")
