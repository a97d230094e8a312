"""What the oracle expects doesn't hang on the order of arrival, and a server that lets it is found."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from bq_server.game import Fact, Game, InMemoryGame, check, compile_game
from bq_server.game.facts import ATTRIBUTES_CHANGED, PARTICIPANT_REFERRED
from bq_server.moments import SECOND
from harness.chaos import game
from harness.chaos.groups import Groups
from harness.chaos.history import participants
from harness.chaos.options import Options
from harness.chaos.oracle import Oracle, compare, fact_of_event
from tests.harness.chaos_support import START, small_history

OPTIONS = Options(seconds=20, rate=60, clients=4, seed=11)
HISTORY = small_history(OPTIONS)
NOW = START + 30 * SECOND


def the_game() -> Game:
    found = check(json.dumps(game.document(START, OPTIONS.seconds))).game
    assert found is not None
    return found


def teams() -> list[Fact]:
    """Everybody who is in a team, before the first event."""
    at, known = START - game.TEAMS_KNOWN_FOR, [*enumerate(participants(OPTIONS))]
    given = {who: team for number, who in known if (team := game.team_of(number))}
    return [
        Fact(f"team-{who}", seq, ATTRIBUTES_CHANGED, "attributes_changed", who, {"attributes": {"team": team}}, at, at)
        for seq, (who, team) in enumerate(given.items(), start=1)
    ]


def events() -> list[Fact]:
    """Of all events, as if every one were a fact, and of referrals: the first participant brings the others."""
    first = len(teams()) + 1
    sent = [fact_of_event(event, event.timestamp or START, event.number + first) for event in HISTORY.events]
    host, *others = participants(OPTIONS)
    return sent + [
        Fact(
            *(f"referral-{who}", number, PARTICIPANT_REFERRED, "participant_referred", who),
            *({"referrer_id": host, "code": "k"}, START + number, START + number),
        )
        for number, who in enumerate(others, start=first + len(sent))
    ]


def facts() -> list[Fact]:
    return [*teams(), *events()]


def arrived(seed: int) -> list[Fact]:
    """The same facts in some order of arrival, which is the order of their processing."""
    story = [*teams(), *Random(seed).sample(events(), len(events()))]
    return [replace(fact, seq=seq) for seq, fact in enumerate(story, start=1)]


def server(story: Sequence[Fact]) -> Oracle:
    """What a server shows that took facts in small batches as they came, with awards given then."""
    shown = Oracle(the_game(), story)
    compiled = compile_game(the_game())
    memory = InMemoryGame(compiled)
    for place in range(0, len(story), 7):
        memory.process(story[place : place + 7])
    shown._memory, shown.groups = memory, Groups(compiled, memory)
    return shown


def differences(expected: Oracle, actual: Oracle) -> list[str]:
    return [
        f"{each} {difference}"
        for each in expected.participants
        for difference in compare(expected.state(each, NOW), actual.state(each, NOW))
    ]


@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_arrival_makes_a_difference_to_this_game(seed: int) -> None:
    expected, story = Oracle(the_game(), facts()), arrived(seed)
    assert differences(expected, server(story)) == []
    late = Oracle(the_game(), story)
    for board in the_game().leaderboards:
        window = board.window_names[0]
        assert late.ranking(board.code, window, NOW) == expected.ranking(board.code, window, NOW)
    assert late.progress("ladder", NOW) == expected.progress("ladder", NOW)
    assert late.groups.steps() == server(story).groups.steps() == expected.groups.steps()


def test_the_history_leads_somewhere() -> None:
    """Progress, completions, awards and streaks there must be, or there is nothing to compare."""
    expected = Oracle(the_game(), facts())
    states = [expected.state(each, NOW) for each in expected.participants]
    badges = [badge for state in states for badge in state["badges"]]
    challenges = [challenge for state in states for challenge in state["challenges"]]
    assert {badge["code"] for badge in badges if badge["earned"]} >= {
        "regular",
        "spender",
        "explorer",
        "expert",
        "host",
    }
    assert any(badge["progress"] and not badge["earned"] for badge in badges)
    assert {challenge["status"] for challenge in challenges} == {"active", "completed", "expired", "not_enrolled"}
    assert any(streak["longest_count"] > 1 for state in states for streak in state["streaks"])
    assert len({state["tier"]["current_tier"]["code"] for state in states}) > 1
    assert {code for code, _, _ in expected.groups.steps()} == {game.RELAY, game.CLIMB}
    shared = [challenge["group"] for challenge in challenges if challenge.get("group")]
    assert any(each["value"] >= each["target"] for each in shared)
    assert all(0 < each["contributed"] < each["value"] for each in shared)
    assert expected.ranking("spenders", "weekly", NOW) != expected.ranking("spenders", "all_time", NOW)


def test_a_fold_in_order_of_arrival_is_found() -> None:
    """As if each fact had happened after those that came before it, on the same calendar day."""
    story = []
    newest: dict[str, int] = {}
    for fact in arrived(1):
        newest[fact.participant_id] = at = max(fact.occurred_at, newest.get(fact.participant_id, 0) + 1)
        story.append(replace(fact, occurred_at=at))
    found = differences(Oracle(the_game(), facts()), Oracle(the_game(), story))
    assert any("challenges[ladder].objectives[after_visit].value" in each for each in found)


@pytest.mark.parametrize("spoil", ["missing", "twice"])
def test_one_fact_too_few_or_too_many_is_found(spoil: str) -> None:
    story = facts()
    # A login names nobody else, and voids nothing.
    some = next(fact for fact in story[len(story) // 2 :] if fact.event_name == "login")
    changed = [fact for fact in story if fact is not some]
    if spoil == "twice":
        changed = [*story, replace(some, fact_id="again", seq=len(story) + 1)]
    found = differences(Oracle(the_game(), story), Oracle(the_game(), changed))
    assert any("total_events" in each for each in found)
    assert any("points.balance" in each for each in found)
    assert all(each.startswith(some.participant_id) or "rank" in each for each in found)


def test_a_comparison_says_where_the_difference_is() -> None:
    state: dict[str, Any] = {
        "points": {"balance": 3},
        "badges": [{"code": "regular", "earned": True, "earned_at": "2026-04-02T09:00:00Z"}],
        "tier": {"tier_history": [{"code": "a"}, {"code": "b"}]},
    }
    other: dict[str, Any] = {
        "points": {"balance": 4},
        "badges": [{"code": "regular", "earned": True, "earned_at": "2026-04-03T09:00:00Z"}],
        "tier": {"tier_history": [{"code": "b"}, {"code": "a"}]},
        "clock": {"frozen": True},
    }
    assert [str(each) for each in compare(state, other)] == ["points.balance: expected 3, found 4"]
    other["badges"] = []
    assert [each.path for each in compare(state, other)] == ["badges", "points.balance"]
    assert [each.path for each in compare(state, {})] == ["badges", "points", "tier"]
