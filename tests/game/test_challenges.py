"""Challenges: objectives, prerequisites, enrolment, durations, milestones, rewards."""

from typing import Any

import pytest

from bq_server.game.mechanics import ordered_quest
from tests.game.support import Story, at

SPRING = """
points: [{code: spend, on: purchase, award: properties.amount}]
badges: [{code: champion, name: Champion}]
challenges:
  - code: spring
    name: Spring
    duration: {type: fixed, starts_at: 2026-04-01T00:00:00Z, ends_at: 2026-05-01T00:00:00Z}
    objectives:
      - {code: visit, on: visit, target: 1}
      - {code: buy3, on: purchase, when: properties.amount >= 20.0, target: 3, prerequisites: [visit]}
      - {code: spend100, on: purchase, aggregate: sum, of: properties.amount, target: 100}
    milestones: [{at: 0.5, rewards: [{points: 50}]}]
    rewards: [{points: 500}, {badge: champion}]
"""


FROM_THE_TENTH = "starts_at: 2026-04-10T00:00:00Z, duration: {type: rolling, days: 7},"


def challenge(parts: str = "", objectives: str = "[{code: o, on: e, target: 2}]") -> str:
    return f"challenges: [{{code: c, name: C, {parts} objectives: {objectives}, rewards: [{{points: 5}}]}}]"


def enrol(story: Story, when: str) -> Any:
    return story.send("system.challenge_enrolled", when, {"challenge_code": "c"})


def test_the_spring_sale_plays_through() -> None:
    story = Story(SPRING)
    story.send("visit", "2026-04-02")
    for day in (3, 4, 5):
        result = story.send("purchase", f"2026-04-0{day}", {"amount": 40})
    assert story.points() == 3 * 40 + 50 + 500
    assert story.badges() == ["champion"]
    state = story.challenge("spring")
    assert (state.status, state.progress, state.completed_at) == ("completed", 1.0, at("2026-04-05"))
    assert story.objectives("spring") == {"visit": 1, "buy3": 3, "spend100": 100}
    types = [effect.type for effect in result.effects]
    assert types == ["objective", "objective", "challenge", "points", "badge", "points"]
    causes = [entry.cause for entry in story.memory.ledger("ada")]
    assert causes[-1] == "challenge:spring"
    assert "challenge:spring/0.5" in causes


def test_an_objective_counts_only_what_comes_after_its_prerequisites() -> None:
    story = Story(SPRING)
    result = story.send("purchase", "2026-04-02", {"amount": 40})
    assert [(each.part, each.verdict) for each in result.explanations if each.part] == [
        ("buy3", "prerequisite_open"),
        ("spend100", "matched"),
    ]
    story.send("visit", "2026-04-03")
    story.send("purchase", "2026-04-04", {"amount": 40})
    assert story.objectives("spring") == {"visit": 1, "buy3": 1, "spend100": 80}


def test_the_fact_that_meets_a_prerequisite_does_not_count_after_it() -> None:
    story = Story(
        challenge(objectives="[{code: a, on: e, target: 1}, {code: b, on: e, target: 1, prerequisites: [a]}]")
    )
    story.send("e", "2026-04-01")
    assert story.objectives("c") == {"a": 1, "b": 0}
    story.send("e", "2026-04-01")
    assert story.objectives("c") == {"a": 1, "b": 1}


def test_a_late_prerequisite_makes_what_followed_it_count() -> None:
    story = Story(SPRING)
    for day in (3, 4, 5):
        story.send("purchase", f"2026-04-0{day}", {"amount": 40})
    assert story.objectives("spring") == {"visit": 0, "buy3": 0, "spend100": 100}
    story.send("visit", "2026-04-03T12:00:00")
    assert story.objectives("spring") == {"visit": 1, "buy3": 2, "spend100": 100}
    assert story.memory.requests == 0
    assert story.differences() == []


def test_very_late_facts_ask_for_history_and_ones_a_little_late_do_not() -> None:
    story = Story(SPRING)
    for minute in range(ordered_quest.TAIL + 20):
        story.send("purchase", f"2026-04-02T{minute // 60:02}:{minute % 60:02}:00", {"amount": 0.5})
    story.send("purchase", "2026-04-02T01:10:00.5", {"amount": 0.5})
    assert story.memory.requests == 0
    story.send("visit", "2026-04-02T00:00:30")
    assert story.memory.requests == 1
    story.send("purchase", "2026-04-03", {"amount": 25})
    assert story.objectives("spring")["buy3"] == 1
    assert story.differences() == []


def test_fixed_dates_include_the_first_moment_and_not_the_last() -> None:
    story = Story(SPRING)
    verdicts = [
        story.send("visit", when).explanations[0].verdict
        for when in ("2026-03-31T23:59:59.999999", "2026-05-01", "2026-04-01", "2026-04-30T23:59:59.999999")
    ]
    assert verdicts == ["outside_window", "outside_window", "matched", "already_complete"]


@pytest.mark.parametrize(
    ("now", "status"), [("2026-03-31", "upcoming"), ("2026-04-01", "active"), ("2026-05-01", "expired")]
)
def test_the_status_follows_the_clock_it_is_given(now: str, status: str) -> None:
    assert Story(SPRING).challenge("spring", now=now).status == status


def test_explicit_enrolment_comes_first() -> None:
    story = Story(challenge("enrolment: explicit,"))
    assert story.send("e", "2026-04-01").explanations[0].verdict == "not_enrolled"
    assert story.challenge("c").status == "not_enrolled"
    assert story.memory.cells("ada") == {}
    enrol(story, "2026-04-02")
    again = enrol(story, "2026-04-03")
    assert again.effects == []
    assert story.challenge("c").enrolled_at == at("2026-04-02")
    assert story.send("e", "2026-04-02").explanations[0].verdict == "matched"
    assert story.send("e", "2026-04-01T23:00:00").explanations[0].verdict == "not_enrolled"
    story.send("e", "2026-04-05")
    assert story.challenge("c").status == "completed"
    assert story.differences() == []


def test_a_late_enrolment_counts_what_followed_it() -> None:
    story = Story(challenge("enrolment: explicit,"))
    story.send("e", "2026-04-01")
    story.send("e", "2026-04-03")
    story.send("e", "2026-04-04")
    result = enrol(story, "2026-04-02")
    assert story.challenge("c").completed_at == at("2026-04-04")
    assert {effect.fact_id for effect in result.effects} == {"f4"}
    assert story.differences() == []


def test_a_rolling_challenge_runs_from_enrolment_to_the_microsecond() -> None:
    story = Story(challenge("duration: {type: rolling, days: 14},"))
    story.send("e", "2026-04-01T10:00:00")
    assert story.challenge("c").expires_at == at("2026-04-15T10:00:00")
    assert story.send("e", "2026-04-15T10:00:00").explanations[0].verdict == "outside_window"
    assert story.challenge("c", now="2026-04-15T10:00:00").status == "expired"
    assert story.send("e", "2026-04-15T09:59:59.999999").explanations[0].verdict == "matched"
    assert story.challenge("c", now="2026-06-01").status == "completed"


def test_who_enrols_before_a_rolling_challenge_starts_has_the_whole_time_from_then() -> None:
    story = Story(
        challenge("enrolment: explicit, starts_at: 2026-04-10T00:00:00Z, duration: {type: rolling, days: 7},")
    )
    enrol(story, "2026-04-01")
    state = story.challenge("c", now="2026-04-09")
    assert (state.status, state.enrolled_at, state.expires_at) == ("upcoming", at("2026-04-01"), at("2026-04-17"))
    assert story.send("e", "2026-04-09").explanations[0].verdict == "outside_window"
    story.send("e", "2026-04-10")
    story.send("e", "2026-04-16T23:59:59")
    assert story.challenge("c").completed_at == at("2026-04-16T23:59:59")
    assert story.differences() == []


def test_an_earlier_enrolment_before_the_start_changes_when_but_not_until_when() -> None:
    story = Story(
        challenge("enrolment: explicit, starts_at: 2026-04-10T00:00:00Z, duration: {type: rolling, days: 7},")
    )
    enrol(story, "2026-04-05")
    story.send("e", "2026-04-16")
    enrol(story, "2026-04-01")
    story.send("e", "2026-04-15")
    state = story.challenge("c")
    assert (state.enrolled_at, state.completed_at) == (at("2026-04-01"), at("2026-04-16"))
    assert story.differences() == []


def test_a_challenge_that_is_over_is_over_for_those_who_never_took_part() -> None:
    april = "duration: {type: fixed, starts_at: 2026-04-01T00:00:00Z, ends_at: 2026-05-01T00:00:00Z}"
    story = Story(challenge(f"enrolment: explicit, {april},"))
    for now, status in (("2026-03-01", "not_enrolled"), ("2026-04-15", "not_enrolled"), ("2026-05-01", "expired")):
        state = story.challenge("c", now=now)
        assert (state.status, state.enrolled_at) == (status, None)


def test_an_enrolment_in_an_automatic_challenge_counts_when_it_becomes_explicit() -> None:
    story = Story(challenge())
    enrol(story, "2026-04-01")
    story.send("e", "2026-04-02")
    assert story.challenge("c").enrolled_at is None, "nobody is asked"
    chained = "[{code: o, on: e, target: 2}, {code: p, on: f, target: 1, prerequisites: [o]}]"
    ordered = Story(challenge(objectives=chained))
    ordered.send("e", "2026-04-02")
    assert ordered.challenge("c").enrolled_at is None, "nor where it is known since when"
    explicit = Story(challenge("enrolment: explicit,"))
    enrol(explicit, "2026-04-01")
    explicit.send("e", "2026-04-02")
    assert explicit.objectives("c") == {"o": 1}


def test_a_late_first_fact_moves_a_rolling_window_and_what_was_awarded_stays() -> None:
    story = Story(challenge("duration: {type: rolling, days: 1},"))
    story.send("e", "2026-04-02T00:00:00")
    story.send("e", "2026-04-02T20:00:00")
    assert story.points() == 5
    story.send("e", "2026-04-01T10:00:00")
    assert story.challenge("c").enrolled_at == at("2026-04-01T10:00:00")
    assert story.objectives("c") == {"o": 2}
    story.send("e", "2026-04-01T08:00:00")
    assert story.points() == 5
    assert story.challenge("c").status == "completed"
    assert story.differences() == []


def test_a_challenge_un_told_by_a_late_fact_stays_completed_and_is_told_apart() -> None:
    story = Story(challenge("duration: {type: rolling, days: 1},"))
    story.send("e", "2026-04-02T00:00:00")
    story.send("e", "2026-04-02T23:00:00")
    story.send("e", "2026-04-01T02:00:00")
    assert story.challenge("c").enrolled_at == at("2026-04-01T02:00:00")
    assert story.challenge("c").completed_at == at("2026-04-02T23:00:00")
    story.send("e", "2026-03-31T20:00:00")
    story.send("e", "2026-03-30T10:00:00")
    assert story.points() == 5
    assert story.kept() == ["challenge/c@complete", "ledger/challenge:c"]
    assert story.differences() == []


def test_a_sum_may_fall_before_its_target_and_then_counts_from_there() -> None:
    story = Story(challenge(objectives="[{code: o, on: e, aggregate: sum, of: properties.x, target: 10}]"))
    for amount, value in ((6, 6), (-4, 2), (7, 9), (-20, -11), (21, 10), (-10, 10)):
        story.send("e", "2026-04-01", {"x": amount})
        assert story.objectives("c") == {"o": value}
    assert story.points() == 5
    assert story.differences() == []


def test_a_milestone_pays_once_even_when_progress_falls_and_rises() -> None:
    story = Story(
        "challenges: [{code: c, name: C, objectives: [{code: o, on: e, aggregate: sum, of: properties.x, target: 10}],"
        " milestones: [{at: 0.5, rewards: [{points: 3}]}]}]"
    )
    for amount in (5, -3, 4, -3, 4):
        story.send("e", "2026-04-01", {"x": amount})
    assert story.points() == 3
    assert [(each.at, each.reached) for each in story.challenge("c").milestones] == [(0.5, True)]


def test_a_changed_challenge_counts_anew_when_it_is_met_and_pays_nothing_twice() -> None:
    story = Story(challenge())
    story.send("e", "2026-04-01")
    story.send("e", "2026-04-02")
    assert story.points() == 5
    story.change(challenge(objectives="[{code: o, on: e, target: 4}]"))
    story.send("e", "2026-04-03")
    assert story.objectives("c") == {"o": 3}
    story.send("e", "2026-04-04")
    assert story.points() == 5
    assert story.differences() == []


def test_a_new_name_or_reward_is_no_reason_to_count_anew() -> None:
    story = Story(challenge())
    story.send("e", "2026-04-01")
    story.change(challenge().replace("name: C", "name: Renamed").replace("points: 5", "points: 6"))
    story.send("e", "2026-04-02")
    assert story.memory.requests == 0
    assert story.points() == 6


def test_a_definition_still_being_counted_looks_at_the_past_of_whom_it_meets() -> None:
    from msgspec.structs import replace

    story = Story("points: [{code: p, on: other, award: 1}]")
    story.send("e", "2026-04-01")
    story.change(challenge())
    story.memory.game = replace(story.memory.game, pending=frozenset({"challenge/c"}))
    story.send("e", "2026-04-02")
    assert story.points() == 5
    assert story.memory.requests == 1


def test_a_burst_keeps_the_facts_of_its_last_seconds() -> None:
    story = Story(SPRING)
    moments = [f"2026-04-02T00:00:{n // 50:02}.{n % 50 * 20_000:06}" for n in range(400)]
    story.memory.process([story.fact("purchase", moment, {"amount": 0.1}) for moment in moments])
    story.send("visit", "2026-04-02T00:00:03.5")
    assert story.memory.requests == 0
    assert story.differences() == []


def test_an_earlier_prerequisite_lets_in_what_a_finished_sum_had_missed() -> None:
    story = Story(
        """
        challenges:
          - code: c
            name: C
            objectives:
              - {code: q, on: q, target: 1}
              - {code: p, on: p, aggregate: sum, of: properties.x, target: 5, prerequisites: [q]}
        """
    )
    story.send("p", "2026-04-01T05:00", {"x": -3})
    story.send("q", "2026-04-01T10:00")
    story.send("p", "2026-04-01T20:00", {"x": 5})
    assert story.challenge("c").status == "completed"
    story.send("q", "2026-04-01T04:00")
    assert story.objectives("c") == {"q": 1, "p": 2}
    assert story.differences("ada") == []


COURSE = """
challenges:
  - code: triathlon
    name: Triathlon
    enrolment: explicit
    objectives:
      - {code: runs, on: run, target: 2}
      - {code: spent, on: [buy, refund], aggregate: sum, of: properties.amount, target: 10}
      - {code: visit, on: visit, target: 1}
      - {code: swims, on: swim, target: 100, prerequisites: [visit]}
"""


def swim(story: Story, times: int) -> None:
    for number in range(times):
        story.send("swim", f"2026-04-01T{9 + number // 60:02}:{number % 60:02}")


@pytest.mark.parametrize("since", [0, 70])
def test_a_late_fact_for_an_objective_that_had_been_met_says_so_however_many_came_since(since: int) -> None:
    story = Story(COURSE)
    story.send("system.challenge_enrolled", "2026-04-01T08:00", {"challenge_code": "triathlon"})
    for event, minute in (("run", 10), ("run", 20), ("visit", 30)):
        story.send(event, f"2026-04-01T08:{minute}")
    story.send("buy", "2026-04-01T08:40", {"amount": 12})
    swim(story, since)

    def verdict_of_late(event: str, amount: int = 0) -> str:
        told = story.send(event, "2026-04-01T08:05", {"amount": amount}).explanations
        return next(each.verdict for each in told if each.definition == "challenge/triathlon")

    assert verdict_of_late("run") == "already_complete"
    assert verdict_of_late("buy", 3) == "already_complete"
    assert verdict_of_late("visit") == "matched", "what waits for it may count now"
    assert verdict_of_late("refund", -7) == "matched", "what had been met no longer is"
    assert verdict_of_late("buy", 2) == "matched"
    assert story.memory.refold(story.memory.game.rules).effects == []


@pytest.mark.parametrize("since", [0, 70])
def test_late_facts_of_a_batch_that_meet_an_objective_together_have_all_counted(since: int) -> None:
    story = Story(COURSE)
    story.send("system.challenge_enrolled", "2026-04-01T08:00", {"challenge_code": "triathlon"})
    story.send("visit", "2026-04-01T08:30")
    swim(story, since)
    story.send("run", "2026-04-01T12:00")
    late = [story.fact("run", "2026-04-01T08:05"), story.fact("run", "2026-04-01T08:06")]
    told = story.memory.process(late).explanations
    assert [(each.fact_id, each.verdict) for each in told] == [(fact.fact_id, "matched") for fact in late]
