"""Facts that count as if they had never been."""

from typing import Any

from bq_server.game.effects import AwardRevoked, FactStruck, PointsChanged
from bq_server.game.facts import Fact
from bq_server.game.read_models import read_points
from bq_server.game.voids import voids_among
from tests.game.support import Story, at

GAME = """
points: [{code: spend, on: bought, award: properties.amount}]
badges:
  - {code: buyer, name: Buyer, revocable: true, criteria: {on: bought, target: 2}}
  - {code: given, name: Given, revocable: true}
  - {code: stays, name: Stays, criteria: {on: bought, target: 1}}
challenges:
  - code: sale
    name: Sale
    revocable: true
    objectives: [{code: buy, on: bought, target: 2}]
    rewards: [{points: 100}, {badge: given}]
leaderboards: [{code: pts, name: P, metric: points, window: [daily, all_time]}]
tiers: [{code: low, name: Low, level: 1, min_points: 0}, {code: high, name: High, level: 2, min_points: 60}]
"""


class VoidStory(Story):
    """A story whose facts have keys: `k1`, `k2`, ..."""

    def fact(self, name: str, when: str, properties: dict[str, Any] | None = None, who: str = "ada") -> Fact:
        self.seq += 1
        voids = (properties or {}).pop("voids", None)
        fact_type = name if name.startswith("system.") else f"custom.{name}"
        moment = at(when)
        return Fact(
            f"f{self.seq}", self.seq, fact_type, name, who, properties or {}, moment, moment, f"k{self.seq}", voids
        )


def test_a_counter_entry_takes_back_what_the_fact_was_paid() -> None:
    story = VoidStory(GAME)
    story.send("bought", "2026-04-02T08", {"amount": 40})
    result = story.send("refunded", "2026-04-03T08", {"voids": "k1"})
    (entry,) = [effect for effect in result.effects if isinstance(effect, PointsChanged)]
    assert (entry.cause, entry.amount, entry.balance, entry.fact_id) == ("void:points:spend:f1:f2", -40, 0, "f2")
    (struck,) = [effect for effect in result.effects if isinstance(effect, FactStruck)]
    assert (struck.voided_fact_id, struck.restored, struck.fact_id) == ("f1", False, "f2")
    points = read_points(story.memory.game, story.memory.cells("ada"))
    assert (points.balance, points.total_earned, points.total_spent, points.owed) == (0, 0, 0, 0)
    assert "score/pts/daily/2026-04-02" not in story.memory.cells("ada")
    assert story.differences() == []


def test_an_award_that_is_revocable_goes_and_one_that_is_not_stays() -> None:
    story = VoidStory(GAME)
    story.send("bought", "2026-04-02T08", {"amount": 40})
    story.send("bought", "2026-04-02T09", {"amount": 20})
    assert (story.points(), set(story.badges())) == (160, {"buyer", "given", "stays"})
    result = story.send("refunded", "2026-04-02T10", {"voids": "k2"})
    assert (story.points(), story.badges()) == (40, ["stays"])
    revoked = {(effect.cause, effect.badge) for effect in result.effects if isinstance(effect, AwardRevoked)}
    assert revoked == {("challenge:sale", None), ("challenge:sale", "given"), ("criteria:badge/buyer", "buyer")}
    assert story.challenge("sale").status == "active"
    assert story.kept() == ["tiers/high"]
    story.send("refunded", "2026-04-02T11", {"voids": "k1"})
    assert (story.points(), story.badges()) == (0, ["stays"])
    assert story.differences() == []
    assert story.kept() == ["badge/stays", "tiers/high", "tiers/low"]


def test_what_was_revoked_is_given_again_when_it_is_reached_again() -> None:
    story = VoidStory(GAME)
    story.send("bought", "2026-04-02T08", {"amount": 40})
    story.send("bought", "2026-04-02T09", {"amount": 20})
    story.send("refunded", "2026-04-02T10", {"voids": "k2"})
    story.send("bought", "2026-04-02T11", {"amount": 1})
    assert (story.points(), set(story.badges())) == (141, {"buyer", "given", "stays"})
    causes = [entry.cause for entry in story.memory.ledger("ada")]
    assert causes[-2:] == ["points:spend:f4", "again:challenge:sale:f4"]
    assert (story.differences(), story.kept()) == ([], [])


def test_a_void_of_a_void_counts_the_fact_again() -> None:
    story = VoidStory(GAME)
    story.send("bought", "2026-04-02T08", {"amount": 40})
    story.send("refunded", "2026-04-03T08", {"voids": "k1"})
    result = story.send("system.fact_voided", "2026-04-04T08", {"fact_id": "f2"})
    assert story.points() == 40
    assert [each.cause for each in result.effects if isinstance(each, PointsChanged)] == ["again:points:spend:f1:f3"]
    assert story.score("pts/daily/2026-04-02") == 40, "in the window of the fact itself"
    story.send("system.fact_voided", "2026-04-05T08", {"fact_id": "f3"})
    assert story.points() == 0
    assert story.differences() == []


def test_a_fact_that_was_void_before_it_came_is_paid_once_it_counts() -> None:
    story = VoidStory(GAME)
    bought = story.fact("bought", "2026-04-02T08", {"amount": 40})
    story.send("refunded", "2026-04-03T08", {"voids": "k1"})
    assert story.memory.cells("ada")["voids"] == ["key/k1"]
    result = story.memory.process([bought])
    assert (result.effects, {each.verdict for each in result.explanations}) == ([], {"voided"})
    assert "voids" not in story.memory.cells("ada")
    story.send("system.fact_voided", "2026-04-04T08", {"fact_id": "f2"})
    assert story.points() == 40
    assert [entry.cause for entry in story.memory.ledger("ada")] == ["points:spend:f1"]
    assert story.differences() == []


def test_nobody_voids_the_facts_of_another_and_no_event_undoes_a_void() -> None:
    story = VoidStory(GAME)
    story.send("bought", "2026-04-02T08", {"amount": 40})
    story.send("refunded", "2026-04-03T08", {"voids": "k1"}, who="bob")
    assert story.points() == 40
    story.send("refunded", "2026-04-03T08", {"voids": "k1"})
    story.send("refunded", "2026-04-03T09", {"voids": "k3"})
    assert story.points() == 0
    assert story.differences() == []


def test_no_event_undoes_what_was_done_by_hand_whichever_comes_first() -> None:
    """Sending events is one scope, awarding and deducting another."""
    story = VoidStory(GAME)
    story.send("bought", "2026-04-02T08", {"amount": 40})
    story.send("system.points_deducted", "2026-04-02T09", {"amount": 30})
    story.send("refunded", "2026-04-03T08", {"voids": "k2"})
    story.send("refunded", "2026-04-03T08", {"voids": "k5"})
    story.send("system.points_deducted", "2026-04-03T09", {"amount": 5})
    assert story.points() == 5
    story.send("system.fact_voided", "2026-04-04T08", {"fact_id": "f2"})
    assert story.points() == 35
    assert story.differences() == []


def test_a_void_that_is_undone_and_done_again_has_an_entry_of_its_own_each_time() -> None:
    story = VoidStory(GAME)
    story.send("bought", "2026-04-02T08", {"amount": 40})
    for number in range(1, 7):
        story.send("system.fact_voided", f"2026-04-03T0{number}", {"fact_id": f"f{number}"})
        assert story.points() == (0 if number % 2 else 40)
    causes = [entry.cause for entry in story.memory.ledger("ada")]
    assert len(set(causes)) == len(causes) == 7
    assert story.differences() == []


def test_events_that_void_each_other_come_to_nothing() -> None:
    facts = [
        Fact("f1", 1, "custom.a", "a", "ada", {}, 0, 0, "k1", "k2"),
        Fact("f2", 2, "custom.a", "a", "ada", {}, 0, 0, "k2", "k1"),
        Fact("f3", 3, "system.fact_voided", "system.fact_voided", "ada", {"fact_id": "f4"}, 0, 0),
        Fact("f4", 4, "system.fact_voided", "system.fact_voided", "ada", {"fact_id": "f3"}, 0, 0),
    ]
    assert {void: by.fact_id for void, by in voids_among(facts).by.items()} == {"f3": "f4"}


def test_what_two_facts_void_counts_again_when_neither_does() -> None:
    story = VoidStory(GAME)
    story.send("bought", "2026-04-02T08", {"amount": 40})
    story.send("refunded", "2026-04-03T08", {"voids": "k1"})
    story.send("refunded", "2026-04-03T09", {"voids": "k1"})
    assert [entry.amount for entry in story.memory.ledger("ada")] == [40, -40]
    story.send("system.fact_voided", "2026-04-04T08", {"fact_id": "f2"})
    assert story.points() == 0
    story.send("system.fact_voided", "2026-04-04T09", {"fact_id": "f3"})
    assert story.points() == 40
    assert story.differences() == []


def test_a_badge_that_was_given_twice_over_stays_while_one_reason_holds() -> None:
    story = VoidStory(GAME)
    story.send("system.badge_awarded", "2026-04-01T08", {"badge_code": "given"})
    story.send("bought", "2026-04-02T08", {"amount": 1})
    story.send("bought", "2026-04-02T09", {"amount": 1})
    story.send("system.fact_voided", "2026-04-04T08", {"fact_id": "f1"})
    assert story.memory.cells("ada")["badge/given"]["cause"] == "challenge:sale"
    story.send("system.badge_awarded", "2026-04-05T08", {"badge_code": "given"})
    story.send("refunded", "2026-04-06T08", {"voids": "k3"})
    assert story.memory.cells("ada")["badge/given"]["cause"] == "manual:f5"
    assert story.differences() == []


def test_a_zone_that_is_void_was_never_told() -> None:
    story = VoidStory("streaks: [{code: daily, on: login, grace_period_hours: 0}]")
    story.send("system.timezone_changed", "2026-04-01T00", {"timezone": "Asia/Tokyo"})
    story.send("login", "2026-04-01T08")
    story.send("login", "2026-04-01T20")
    assert story.streak("2026-04-02T00").current_count == 2
    story.send("system.fact_voided", "2026-04-02T08", {"fact_id": "f1"})
    assert (story.streak("2026-04-02T00").current_count, story.streak("2026-04-02T00").timezone) == (1, "UTC")
    assert "zone" not in story.memory.cells("ada")
    assert story.differences() == []


def test_a_points_rule_that_was_changed_since_pays_no_old_fact_for_a_void() -> None:
    story = VoidStory("points: [{code: spend, on: bought, award: 10}]")
    story.send("bought", "2026-04-02T08", {"amount": 1})
    story.send("bought", "2026-04-02T09", {"amount": 1})
    story.change("points: [{code: spend, on: [bought, sold], award: 25}]")
    story.send("refunded", "2026-04-03T08", {"voids": "k1"})
    assert story.points() == 10
    story.send("system.fact_voided", "2026-04-04T08", {"fact_id": "f3"})
    assert story.points() == 20


def test_points_of_what_is_reached_anew_count_on_the_day_it_is() -> None:
    story = VoidStory(GAME)
    story.send("bought", "2026-04-02T08", {"amount": 40})
    story.send("bought", "2026-04-02T09", {"amount": 20})
    story.send("refunded", "2026-04-02T10", {"voids": "k1"})
    story.send("bought", "2026-04-05T08", {"amount": 1})
    cells = story.memory.cells("ada")
    assert cells["score/pts/daily/2026-04-02"]["score"] == 20
    assert cells["score/pts/daily/2026-04-05"]["score"] == 101
    assert story.differences() == []
