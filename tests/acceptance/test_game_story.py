"""One game by every path: the same state, the effects told, the rehearsal, and expressions that fail."""

import random
from typing import Any

import pytest

from bq_server.refusals import Code
from tests.support.client import Project, event
from tests.support.game import (
    AWARD_TIMES,
    SPRING,
    STORY,
    act,
    badges,
    counting,
    live,
    paying,
    purchase,
    send_async,
    send_batch,
    send_gamify_batch,
    send_sync,
    told,
    without,
)
from tests.support.problems import check

# The story


def test_the_spring_sale_pays_670_points_two_badges_and_a_challenge(bq: Project) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY)
    state = bq.participant("ada", "/state")
    assert state["points"] == {"balance": 670, "total_earned": 670, "total_spent": 0, "total_expired": 0, "owed": 0}
    assert badges(bq) == {"first_purchase": "2026-04-02T09:00:01Z", "champion": "2026-04-03T09:00:01Z"}
    (challenge,) = state["challenges"]
    assert (challenge["status"], challenge["completed_at"]) == ("completed", "2026-04-03T09:00:01Z")
    assert {each["code"]: each["value"] for each in challenge["objectives"]} == {"visit": 1, "buy3": 3, "spend100": 100}
    assert state["total_events"] == 8
    assert state["tier"]["current_tier"]["code"] == "bronze"
    (streak,) = state["streaks"]
    assert (streak["longest_count"], streak["current_count"]) == (4, 0), "the last login is long ago"
    (board,) = state["leaderboards"]
    assert board == {"leaderboard_code": "points_all", "period": "all_time", "score": 670, "rank": 1}


@pytest.mark.parametrize("send", [send_async, send_batch, send_gamify_batch])
def test_every_path_comes_to_the_same_state(bq: Project, send: Any) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY)
    with live(bq) as other:
        other.apply(SPRING)
        send(other, STORY)
        assert other.participant("ada", "/state") == bq.participant("ada", "/state")
        mine, theirs = (without(each.participant("ada"), "created_at") for each in (bq, other))
        assert mine == theirs


@pytest.mark.parametrize("send", [send_async, send_batch, send_sync])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_with_duplicates_comes_to_the_same_state(bq: Project, send: Any, seed: int) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY)
    story = STORY * 2
    random.Random(seed).shuffle(story)
    with live(bq) as other:
        other.apply(SPRING)
        send(other, story)
        # Awards keep the time they were first given (promise 3); everything else is a fold.
        mine, theirs = (without(each.participant("ada", "/state"), *AWARD_TIMES) for each in (bq, other))
        assert theirs == mine
        assert badges(other).keys() == badges(bq).keys()
        ledger = other.participant("ada", "/points/transactions")["transactions"]
        assert sorted(entry["amount"] for entry in ledger) == [40, 40, 40, 50, 500]


# Sync tells what happened


def test_sync_tells_the_effects_and_a_repeat_tells_the_same(bq: Project) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY[:2])
    last = [bq.told(each) for each in STORY[4:6]][-1]
    effects = last["effects"]
    assert [(each["amount"], each["balance"]) for each in told(effects, "points")] == [(40, 170), (500, 670)]
    assert [(each["code"], each["name"], each["rarity"]) for each in told(effects, "badge")] == [
        ("champion", "Champion", "epic")
    ]
    assert [(each["objective"], each["value"], each["completed"]) for each in told(effects, "objective")] == [
        ("buy3", 3, True),
        ("spend100", 100, True),
    ]
    assert [(each["challenge"], each["progress"], each["completed"]) for each in told(effects, "challenge")] == [
        ("spring_sale", 1.0, True)
    ]
    assert {each["code"]: each["score"] for each in told(effects, "leaderboard")} == {
        "top_spenders": 120,
        "points_all": 670,
    }
    send_sync(bq, [purchase("2026-04-03T09:00:02Z", "o-4")])
    again = bq.request("POST", "/ingest/events/sync", json=STORY[5], params={"include": "effects"})
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == last


def test_sync_tells_the_milestone_the_tier_and_the_streak(bq: Project) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY[:1])
    effects = bq.told(STORY[1])["effects"]
    assert [(each["of"], each["code"], each["at"]) for each in told(effects, "milestone")] == [
        ("challenge", "spring_sale", 0.5)
    ]
    assert [(each["code"], each["previous_code"]) for each in told(effects, "tier")] == [("bronze", None)]
    streaks = [told(bq.told(each)["effects"], "streak")[0] for each in STORY[6:8]]
    assert [(each["code"], each["current"], each["longest"]) for each in streaks] == [
        ("daily_login", 1, 1),
        ("daily_login", 2, 2),
    ]


def test_effects_of_an_event_that_came_by_the_stream_are_told_to_a_repeat_by_sync(bq: Project) -> None:
    bq.apply(SPRING)
    send_async(bq, STORY[:2])
    effects = bq.told(STORY[1])["effects"]
    assert [each["amount"] for each in told(effects, "points")] == [40, 50]


def test_an_event_that_causes_nothing_has_no_effects_and_include_names_nothing_else(bq: Project) -> None:
    assert bq.told(event("unheard_of"))["effects"] == []
    refused = bq.request("POST", "/ingest/events/sync", json=event(), params={"include": "everything"})
    check(refused, Code.VALIDATION_FAILED)
    assert len(bq.facts()) == 1


# Dry run


def test_a_dry_run_tells_what_would_happen_and_writes_nothing(bq: Project) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY[:2])

    def everything() -> list[Any]:
        paths = ["/facts", "/events/catalog", "/gamify/participants/ada/state", "/gamify/admin/game"]
        paths += ["/gamify/participants/ada/points/transactions", "/gamify/leaderboards/points_all"]
        return [bq.get(path).json() for path in paths]

    before = everything()
    rehearsed = bq.told(STORY[4], dry_run="true")
    assert (rehearsed["dry_run"], rehearsed["would_be"]) == (True, "processed")
    assert rehearsed["fact_type"] == "custom.purchase_completed"
    unheard = bq.told(event("unheard_of", "stranger", properties={}), dry_run="true")
    assert (unheard["effects"], unheard["definitions"]) == ([], [])
    broken = bq.told(event(participant_id="stranger", properties={}), dry_run="true")
    assert "expression_error" in {each["verdict"] for each in broken["definitions"]}
    assert everything() == before
    assert bq.get("/gamify/participants/stranger/state").status_code == 404
    done = bq.told(STORY[4])
    assert without(done["effects"], "cause") == without(rehearsed["effects"], "cause")


def test_a_dry_run_of_a_repeat_and_of_a_conflict(bq: Project) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY[:2])
    repeat = bq.told(STORY[1], dry_run="true")
    assert (repeat["would_be"], repeat["effects"]) == ("duplicate", [])
    other = STORY[1] | {"properties": {"amount": 1}}
    conflict = bq.request("POST", "/ingest/events/sync", json=other, params={"dry_run": "true"})
    check(conflict, Code.IDEMPOTENCY_CONFLICT)
    check(
        bq.request("POST", "/ingest/events/sync", json={"event_name": "x"}, params={"dry_run": "true"}),
        Code.VALIDATION_FAILED,
    )


def test_a_dry_run_says_why_each_definition_does_or_does_not_apply(bq: Project) -> None:
    counted = {"on": "act", "target": 1}
    bq.apply(
        {
            "points": [
                paying(code="plain"),
                paying(code="conditional", when="properties.level > 5.0"),
                paying(code="failing", when="properties.missing == 1.0"),
                paying(code="ended", ends_at="2020-01-01T00:00:00Z"),
                paying(code="elsewhere") | {"on": "other"},
            ],
            "badges": [counting("held", 1)],
            "challenges": [
                {
                    "code": "invited",
                    "name": "Invited",
                    "enrolment": "explicit",
                    "objectives": [{"code": "one", **counted}],
                },
                {
                    "code": "stairs",
                    "name": "Stairs",
                    "objectives": [
                        {"code": "first", "on": "other", "target": 1},
                        {"code": "second", **counted, "prerequisites": ["first"]},
                    ],
                },
                {
                    "code": "over",
                    "name": "Over",
                    "duration": {
                        "type": "fixed",
                        "starts_at": "2020-01-01T00:00:00Z",
                        "ends_at": "2020-02-01T00:00:00Z",
                    },
                    "objectives": [{"code": "one", **counted}],
                },
            ],
            "streaks": [{"code": "daily", "on": "act"}],
            "leaderboards": [{"code": "acts", "name": "Acts", "metric": {"on": "act"}}],
        }
    )
    bq.send_sync(act(level=9))
    rehearsed = bq.told(act(level=1), dry_run="true")
    verdicts = {(each["definition"], each["part"]): each["verdict"] for each in rehearsed["definitions"]}
    assert verdicts == {
        ("points/plain", None): "matched",
        ("points/conditional", None): "condition_false",
        ("points/failing", None): "expression_error",
        ("points/ended", None): "outside_window",
        ("badge/held", None): "already_complete",
        ("challenge/invited", "one"): "not_enrolled",
        ("challenge/stairs", "second"): "prerequisite_open",
        ("challenge/over", "one"): "outside_window",
        ("streak/daily", None): "matched",
        ("leaderboard/acts", None): "matched",
    }
    (message,) = [each["message"] for each in rehearsed["definitions"] if each["definition"] == "points/failing"]
    assert "missing" in message


# Expressions that fail


def test_an_expression_error_is_a_warning_on_the_definition_never_an_error_of_the_event(bq: Project) -> None:
    bq.apply({"points": [paying("properties.amount")], "badges": [counting()]})
    first = bq.send_sync(act())
    assert first.status_code == 200
    send_async(bq, [act(), act(amount="much"), act(amount=5)])
    assert bq.balance("ada") == 5
    assert "busy" in badges(bq), "the other definitions count the events"
    warnings = bq.game()["warnings"]
    assert {each["definition"] for each in warnings} == {"points/pay"}
    assert sum(each["count"] for each in warnings) == 3
    (missing,) = [each for each in warnings if "amount" in each["message"] and each["count"] == 2]
    assert missing["sample_fact_id"] in {fact["fact_id"] for fact in bq.facts(event_name="act")}
    assert missing["last_at"] >= first.json()["processed_at"]
    bq.apply({"points": [paying("has(properties.amount) ? 1.0 : 0.0")], "badges": [counting()]})
    assert bq.game()["warnings"] == [], "another definition, other warnings"


def test_a_fact_that_fails_is_counted_once_however_often_it_is_read(bq: Project) -> None:
    """A rolling challenge reads its past again when an earlier fact moves the enrolment."""
    objectives = [{"code": "sum", "on": "act", "aggregate": "sum", "of": "properties.amount", "target": 100}]
    rolling = {"type": "rolling", "days": 20}
    bq.apply({"challenges": [{"code": "roll", "name": "Roll", "duration": rolling, "objectives": objectives}]})
    bq.send_sync(act("ada", "2026-03-10T00:00:00Z", amount=1))
    bq.send_sync(act("ada", "2026-03-11T00:00:00Z"))
    for day in range(9, 4, -1):
        bq.send_sync(act("ada", f"2026-03-{day:02}T00:00:00Z", amount=1))
    (warning,) = bq.game()["warnings"]
    assert (warning["definition"], warning["count"]) == ("challenge/roll", 1)


def test_a_definition_that_is_computed_anew_warns_of_the_stored_facts_that_fail(bq: Project) -> None:
    for _ in range(3):
        bq.send_sync(act())
    bq.apply({"points": [paying("properties.amount")]}, backfill=True)
    (warning,) = bq.game()["warnings"]
    assert (warning["definition"], warning["count"]) == ("points/pay", 3)


def test_fractions_of_points_round_down_and_negative_awards_are_no_awards(bq: Project) -> None:
    bq.apply({"points": [paying("properties.amount")]})
    for amount in (49.99, 0.99, -5):
        bq.send_sync(act(amount=amount))
    assert bq.balance("ada") == 49
    (warning,) = bq.game()["warnings"]
    assert warning["count"] == 1
