"""Facts that award others than their senders: once each, as one fold of each participant's story."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bq_server.game.document.check import check
from bq_server.game.facts import PARTICIPANT_REFERRED, Fact
from bq_server.game.in_memory import InMemoryGame
from bq_server.game.verification import verify
from tests.game import oracle_recipients
from tests.game.fact_strategies import histories, histories_with_voids
from tests.game.oracle_facts import without_void
from tests.game.recipient_strategies import (
    as_referral,
    games_with_recipients,
    naming,
    naming_positive,
    with_referrals,
)
from tests.game.strategies import Rules
from tests.game.support import Story
from tests.game.test_oracle import seen, something
from tests.game.test_property import assert_equals_fold, play, seeds, thorough

GAME = """
points:
  - {code: welcome, on: signed_up, award: 5}
  - {code: referral, on: signed_up, award: 10, award_to: properties.referrer_id}
badges:
  - {code: host, name: Host, criteria: {on: signed_up, target: 2}, award_to: properties.referrer_id, revocable: true}
"""


def test_one_fact_awards_its_sender_and_whom_it_names() -> None:
    story = Story(GAME)
    result = story.send("signed_up", "2026-04-01", {"referrer_id": "bob"}, who="cid")
    assert [(each.participant_id, each.type) for each in result.effects] == [("cid", "points"), ("bob", "points")]
    told = [(each.definition, each.participant_id, each.verdict, each.value) for each in result.explanations]
    assert told == [
        ("points/welcome", None, "matched", None),
        ("points/referral", "bob", "matched", None),
        ("badge/host", "bob", "matched", 1),
    ]
    story.send("signed_up", "2026-04-02", {"referrer_id": "bob"}, who="eve")
    assert (story.points("cid"), story.points("eve"), story.points("bob")) == (5, 5, 20)
    assert (story.badges("bob"), story.badges("cid")) == (["host"], [])
    check_all(story.memory)


def test_a_fact_that_comes_twice_awards_once() -> None:
    story = Story(GAME)
    fact = story.fact("signed_up", "2026-04-01", {"referrer_id": "bob"}, who="cid")
    story.memory.process([fact, fact])
    assert story.memory.process([fact]).effects == []
    assert (story.points("cid"), story.points("bob")) == (5, 10)


@pytest.mark.parametrize(
    "given", [{}, {"referrer_id": None}, {"referrer_id": ""}, {"referrer_id": []}, {"referrer_id": "cid"}]
)
def test_who_names_nobody_else_awards_nobody(given: dict[str, Any]) -> None:
    story = Story(GAME)
    result = story.send("signed_up", "2026-04-01", given, who="cid")
    assert [each.participant_id for each in result.effects] == ["cid"]
    assert result.warnings == []
    assert [(each.definition, each.verdict, each.message) for each in result.explanations[1:]] == [
        (definition, "no_recipient", "properties.referrer_id names nobody else")
        for definition in ("points/referral", "badge/host")
    ]


@pytest.mark.parametrize("given", [5, True, {"id": "bob"}, ["bob", 5], "b" * 256])
def test_what_can_name_nobody_is_warned_about(given: Any) -> None:
    story = Story(GAME)
    result = story.send("signed_up", "2026-04-01", {"referrer_id": given}, who="cid")
    assert [each.participant_id for each in result.effects] == ["cid"]
    wrong = "properties.referrer_id must be the id of a participant, or a list of ids"
    assert [(each.definition, each.message) for each in result.warnings] == [
        ("points/referral", wrong),
        ("badge/host", wrong),
    ]


def test_a_list_names_up_to_twenty_each_once_without_the_sender() -> None:
    story = Story(GAME)
    team = [f"p{number}" for number in range(20)]
    story.send("signed_up", "2026-04-01", {"referrer_id": [*team, "p3", "cid"]}, who="cid")
    assert [story.points(each) for each in team] == [10] * 20
    assert story.points("cid") == 5
    result = story.send("signed_up", "2026-04-02", {"referrer_id": [*team, "p20"]}, who="cid")
    assert [each.participant_id for each in result.effects] == ["cid"]
    assert result.warnings[0].message == "properties.referrer_id names 21 participants, and at most 20 are awarded"


def test_limits_are_those_of_the_recipient() -> None:
    story = Story(
        """
points:
  - {code: p, on: a, award: 1, award_to: properties.to, limit: {times: 1, per: ever}}
  - {code: each, on: a, award: 100, award_to: properties.to, limit: {times: 1, per: ever, by: participant_id}}
"""
    )
    for day, (sender, to) in enumerate([("cid", "bob"), ("cid", "eve"), ("dan", "bob"), ("dan", "bob")], 1):
        story.send("a", f"2026-04-0{day}", {"to": to}, who=sender)
    assert (story.points("bob"), story.points("eve")) == (201, 101)
    check_all(story.memory)


def test_each_rule_awards_whom_its_own_property_names() -> None:
    story = Story(
        """
points:
  - {code: a, on: met, award: 1, award_to: properties.host}
  - {code: b, on: met, award: 10, award_to: properties.guest.id}
"""
    )
    story.send("met", "2026-04-01", {"host": "bob", "guest": {"id": "eve"}}, who="cid")
    assert (story.points("bob"), story.points("eve"), story.points("cid")) == (1, 10, 0)
    check_all(story.memory)


def test_ones_own_events_do_not_count_for_what_others_bring() -> None:
    story = Story(GAME)
    story.send("signed_up", "2026-04-01", {"referrer_id": "eve"}, who="bob")
    story.send("signed_up", "2026-04-02", {"referrer_id": "bob"}, who="cid")
    story.memory.refold(story.memory.game.rules)
    assert (story.badges("bob"), story.points("bob")) == ([], 15)
    story.send("signed_up", "2026-04-03", {"referrer_id": "bob"}, who="dan")
    assert (story.badges("bob"), story.badges("eve")) == (["host"], [])
    check_all(story.memory)


def test_an_expression_sees_the_sender() -> None:
    story = Story(
        "points: [{code: p, on: a, when: 'participant_id == \"cid\"', award: 'double(size(participant_id))', "
        "award_to: properties.to}]"
    )
    story.send("a", "2026-04-01", {"to": "robert"}, who="cid")
    story.send("a", "2026-04-01", {"to": "robert"}, who="dan")
    assert story.points("robert") == 3


def test_a_void_takes_back_from_everybody_what_the_fact_gave() -> None:
    story = Story(GAME)
    first = story.send("signed_up", "2026-04-01", {"referrer_id": ["bob", "eve"]}, who="cid").effects[0].fact_id
    story.send("signed_up", "2026-04-02", {"referrer_id": "bob"}, who="dan")
    void = story.send("system.fact_voided", "2026-04-03", {"fact_id": first}, who="cid")
    assert {each.participant_id for each in void.effects} == {"bob", "cid", "eve"}
    assert [story.points(each) for each in ("cid", "bob", "eve", "dan")] == [0, 10, 0, 5]
    assert story.badges("bob") == []
    check_all(story.memory)
    story.send("system.fact_voided", "2026-04-04", {"fact_id": void.effects[0].fact_id}, who="cid")
    assert [story.points(each) for each in ("cid", "bob", "eve", "dan")] == [5, 20, 10, 5]
    assert story.badges("bob") == ["host"]
    check_all(story.memory)


def test_who_received_a_fact_can_not_void_it() -> None:
    story = Story(GAME)
    first = story.send("signed_up", "2026-04-01", {"referrer_id": "bob"}, who="cid").effects[0].fact_id
    story.send("system.fact_voided", "2026-04-03", {"fact_id": first}, who="bob")
    assert (story.points("cid"), story.points("bob")) == (5, 10)
    check_all(story.memory)


def test_a_referral_awards_who_came_and_who_brought_them_and_a_clients_event_of_that_name_is_none() -> None:
    story = Story(GAME.replace("signed_up", PARTICIPANT_REFERRED))
    about = {"referrer_id": "bob", "code": "c"}
    result = story.send(PARTICIPANT_REFERRED, "2026-04-01", about, who="cid")
    assert [(each.participant_id, each.type) for each in result.effects] == [("cid", "points"), ("bob", "points")]
    sent = replace(story.fact("x", "2026-04-02", about, who="cid"), event_name=PARTICIPANT_REFERRED)
    story.memory.process([replace(sent, fact_type=f"custom.{PARTICIPANT_REFERRED}")])
    assert (story.points("cid"), story.points("bob")) == (5, 10)
    story.send(PARTICIPANT_REFERRED, "2026-03-01", about, who="eve")
    assert (story.points("bob"), story.badges("bob")) == (20, ["host"])
    story.send("system.fact_voided", "2026-04-03", {"fact_id": result.effects[0].fact_id}, who="cid")
    assert (story.points("cid"), story.points("bob"), story.badges("bob")) == (0, 10, [])
    check_all(story.memory)


@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=200)
@given(game=games_with_recipients(), facts=histories(participants=3, values=naming), wait=st.integers(0, 10))
def test_facts_in_order_mean_what_the_document_says(part: int, game: Rules, facts: list[Fact], wait: int) -> None:
    memory = InMemoryGame(game.compile())
    in_order = sorted(facts, key=lambda fact: fact.moment)
    for fact in in_order[: wait + part]:
        memory.process([fact])
    memory.process(in_order[wait + part :])
    for who in memory.participants:
        assert seen(memory, who) == oracle_recipients.play(game.document, game.applied_seq, who, facts)


@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=150)
@given(
    game=games_with_recipients(revocable=True),
    facts=histories_with_voids(participants=3, values=naming_positive),
    seed=seeds,
)
def test_in_any_order_all_that_void_facts_gave_is_taken_back(
    part: int, game: Rules, facts: list[Fact], seed: int
) -> None:
    memory = play(game, facts, seed + part)
    for who in memory.participants:
        expected = oracle_recipients.play(game.document, game.applied_seq, who, facts)
        assert something(seen(memory, who)) == something(expected)
    assert_equals_fold(memory)


@pytest.mark.parametrize("part", range(2))
@thorough
@given(game=games_with_recipients(), facts=histories_with_voids(participants=3, values=naming), seed=seeds)
def test_any_order_duplicates_and_batches_equal_one_fold_of_each_story(
    part: int, game: Rules, facts: list[Fact], seed: int
) -> None:
    assert_equals_fold(play(game, facts, seed + part))


@settings(thorough, max_examples=200)
@given(game=games_with_recipients(), facts=histories(participants=3, values=naming), wait=st.integers(0, 10))
def test_a_referral_in_order_counts_as_a_clients_event_would(game: Rules, facts: list[Fact], wait: int) -> None:
    memory = InMemoryGame(Rules(with_referrals(game.document), game.applied_seq).compile())
    in_order = sorted(map(as_referral, facts), key=lambda fact: fact.moment)
    for fact in in_order[:wait]:
        memory.process([fact])
    memory.process(in_order[wait:])
    for who in memory.participants:
        assert seen(memory, who) == oracle_recipients.play(game.document, game.applied_seq, who, facts)


@settings(thorough, max_examples=200)
@given(
    game=games_with_recipients(revocable=True),
    facts=histories_with_voids(participants=3, values=naming_positive),
    seed=seeds,
)
def test_all_that_void_referrals_gave_is_taken_back_in_any_order(game: Rules, facts: list[Fact], seed: int) -> None:
    facts = [replace(each, voids=None) for each in facts]  # no event of a client's voids a referral
    memory = play(Rules(with_referrals(game.document), game.applied_seq), list(map(as_referral, facts)), seed)
    for who in memory.participants:
        expected = oracle_recipients.play(game.document, game.applied_seq, who, facts)
        assert something(seen(memory, who)) == something(expected)
    assert_equals_fold(memory)


@settings(thorough, max_examples=100)
@given(game=games_with_recipients(), facts=histories_with_voids(participants=3, values=naming), seed=seeds)
def test_refolding_changes_nothing(game: Rules, facts: list[Fact], seed: int) -> None:
    memory = play(game, facts, seed)
    before = {each: memory.ledger(each) for each in memory.participants}
    assert memory.refold(memory.game.rules).effects == []
    assert {each: memory.ledger(each) for each in memory.participants} == before
    assert_equals_fold(memory)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("award_to: referrer_id", "must be the path of a property, such as properties.referrer_id"),
        ("award_to: 'properties.a || properties.b'", "must be the path of a property, such as properties.referrer_id"),
        ("award_to: properties.", "must be the path of a property, such as properties.referrer_id"),
    ],
)
def test_a_mistake_has_its_place(line: str, message: str) -> None:
    checked = check(f"points:\n  - code: p\n    on: a\n    award: 1\n    {line}\n")
    (mistake,) = checked.mistakes
    assert (mistake.line, mistake.column, mistake.path, mistake.message) == (5, 15, "points[0].award_to", message)


def test_a_badge_without_criteria_awards_nobody() -> None:
    checked = check("badges:\n  - {code: b, name: B, award_to: properties.to}\n")
    assert "award_to needs criteria" in checked.mistakes[0].message


def check_all(memory: InMemoryGame) -> None:
    for who in memory.participants:
        found = verify(memory.game, memory.facts(who), memory.cells(who), memory.ledger(who))
        assert found.differences == [], who


def test_the_oracle_knows_whom_a_fact_names() -> None:
    fact = Fact("f1", 1, "custom.a", "a", "p0", {"r": ["p0", "p1", ""]}, 0, 0)
    assert oracle_recipients.named(fact) == {"p1"}
    assert without_void([fact]) == [fact]
