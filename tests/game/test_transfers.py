"""Points that one participant gives another: one fact, in the stories of both."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bq_server.game import read_points, read_tier
from bq_server.game.document.points import PointsExpiry
from bq_server.game.facts import Fact
from bq_server.game.mechanics.account import totals
from bq_server.game.mechanics.expiry import left
from tests.game import oracle_recipients
from tests.game.fact_strategies import histories_with_voids
from tests.game.strategies import Rules, games
from tests.game.support import Story, at
from tests.game.test_oracle import seen, something
from tests.game.test_property import assert_equals_fold, play, seeds, thorough

GAME = """
transfers: true
currencies: [{code: coins}, {code: gems}]
points: [{code: p, on: act, award: 10}]
tiers: [{code: rich, name: Rich, level: 1, min_points: 20}]
leaderboards: [{code: l, name: L, metric: points}]
"""


def transfer(story: Story, amount: int, when: str = "2026-04-02", **more: str) -> None:
    story.send("system.points_transferred", when, {"recipient_id": "bob", "amount": amount, **more})


def figures(story: Story, who: str) -> tuple[int, int, int, int | None]:
    points = read_points(story.memory.game, story.memory.cells(who))
    return points.balance, points.total_earned, points.total_spent, points.total_received


def sound(story: Story) -> bool:
    return all((story.differences(who), story.kept(who)) == ([], []) for who in ("ada", "bob"))


def test_one_spends_and_the_other_receives() -> None:
    story = Story(GAME)
    story.send("act", "2026-04-01")
    transfer(story, 4)
    assert figures(story, "ada") == (6, 10, 4, None)
    assert figures(story, "bob") == (4, 0, 0, 4)
    assert [entry.cause for entry in story.memory.ledger("bob")] == ["transfer:f2"]
    assert sound(story)


def test_what_is_received_is_not_earned() -> None:
    """Otherwise two could lift each other to the top with the same points."""
    story = Story(GAME)
    story.send("system.points_awarded", "2026-04-01", {"amount": 30})
    transfer(story, 25)
    cells = story.memory.cells("bob")
    assert read_tier(story.memory.game, cells).current_tier is None
    assert not any(key.startswith("score/") for key in cells)
    story.memory.refold(story.memory.game.rules)
    assert not any(key.startswith("score/") for key in story.memory.cells("bob"))
    assert sound(story)


def test_each_currency_by_itself() -> None:
    story = Story(GAME)
    story.send("system.points_awarded", "2026-04-01", {"amount": 9, "currency": "gems"})
    transfer(story, 9, currency="gems")
    assert story.memory.cells("ada")["purses"]["gems"] == {"balance": 0, "earned": 9, "spent": 9}
    assert story.memory.cells("bob")["purses"]["gems"] == {"balance": 9, "earned": 0, "spent": 0, "received": 9}
    assert "points" not in story.memory.cells("bob")
    assert sound(story)


def test_a_void_gives_back_to_the_one_and_takes_from_the_other_who_may_owe_it() -> None:
    story = Story(GAME)
    story.send("act", "2026-04-01")
    transfer(story, 4)
    story.send("system.points_deducted", "2026-04-03", {"amount": 3}, who="bob")
    story.send("system.fact_voided", "2026-04-04", {"fact_id": "f2"})
    assert figures(story, "ada") == (10, 10, 0, None)
    points = read_points(story.memory.game, story.memory.cells("bob"))
    assert (points.balance, points.owed, points.total_received) == (0, 3, None)
    story.send("system.fact_voided", "2026-04-05", {"fact_id": "f4"})
    assert (figures(story, "ada"), figures(story, "bob")) == ((6, 10, 4, None), (1, 0, 3, 4))
    assert sound(story)


def test_what_is_given_to_oneself_moves_nothing() -> None:
    story = Story(GAME)
    story.send("act", "2026-04-01")
    story.send("system.points_transferred", "2026-04-02", {"recipient_id": "ada", "amount": 4})
    assert figures(story, "ada") == (10, 10, 0, None)
    assert sound(story)


def test_for_the_recipient_they_expire_as_points_given_then() -> None:
    story = Story(GAME)
    story.send("act", "2026-04-01")
    transfer(story, 4, "2026-04-20")
    expiry = PointsExpiry.model_validate({"after": "P30D"})
    (kept,) = left(expiry, story.memory.ledger("ada"))
    (given_on,) = left(expiry, story.memory.ledger("bob"))
    assert (kept.amount, kept.expires_at) == (6, at("2026-05-01"))
    assert (given_on.amount, given_on.expires_at) == (4, at("2026-05-20"))
    assert totals(story.memory.ledger("bob"))["balance"] == 4


@st.composite
def giving(draw: st.DrawFn) -> tuple[Rules, list[Fact]]:
    """Facts of three, of which some give others points, in a game that lets them."""
    rules = draw(games())
    facts = []
    for fact in draw(histories_with_voids(participants=3)):
        if fact.fact_type.startswith("custom.") and draw(st.sampled_from([True, False, False])):
            currency = draw(st.sampled_from([{}, {}, {"currency": "gems"}, {"currency": "dust"}]))
            to = draw(st.sampled_from(["p0", "p1", "p2", "p9"]))
            given_on = {"recipient_id": to, "amount": draw(st.integers(1, 9)), **currency}
            kind = "points_transferred"
            fact = replace(fact, fact_type=f"system.{kind}", event_name=kind, properties=given_on, voids=None)
        facts.append(fact)
    return Rules({**rules.document, "transfers": True}, rules.applied_seq), facts


@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=150)
@given(drawn=giving())
def test_the_fold_means_what_the_document_says(part: int, drawn: tuple[Rules, list[Fact]]) -> None:
    game, facts = drawn
    memory = play(game, sorted(facts, key=lambda fact: fact.moment), part)
    for who in memory.participants:
        expected = oracle_recipients.play({**game.document}, game.applied_seq, who, facts)
        found = seen(memory, who)
        assert (found.spent, found.received) == (expected.spent, expected.received)


@settings(thorough, max_examples=150)
@given(drawn=giving())
def test_in_order_all_figures_are_those_of_the_document(drawn: tuple[Rules, list[Fact]]) -> None:
    game, facts = drawn
    memory = play(game, [], 0)
    memory.process(facts)
    for who in memory.participants:
        expected = oracle_recipients.play(game.document, game.applied_seq, who, facts)
        assert something(seen(memory, who)) == something(expected)


@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=150)
@given(drawn=giving(), seed=seeds)
def test_any_order_equals_one_fold_of_each_story(part: int, drawn: tuple[Rules, list[Fact]], seed: int) -> None:
    game, facts = drawn
    memory = play(game, facts, seed + part)
    assert_equals_fold(memory)
