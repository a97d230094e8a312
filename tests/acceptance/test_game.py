"""The game, seen from outside: facts drive it, the same by every path, and a new game document changes it."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bq_server.problems import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check

SPRING = """\
points:
  - code: spend
    on: purchase_completed
    when: properties.currency == "USD"
    award: int(properties.amount)
badges:
  - code: first_purchase
    name: First purchase
    rarity: common
    criteria: {on: purchase_completed, aggregate: count, target: 1}
  - {code: champion, name: Champion, rarity: epic}
challenges:
  - code: spring_sale
    name: Spring sale
    enrolment: automatic
    duration: {type: fixed, starts_at: 2026-04-01T00:00:00Z, ends_at: 2026-05-01T00:00:00Z}
    objectives:
      - {code: visit, on: store_visited, aggregate: count, target: 1}
      - code: buy3
        on: purchase_completed
        when: properties.amount >= 20.0
        aggregate: count
        target: 3
        prerequisites: [visit]
      - {code: spend100, on: purchase_completed, aggregate: sum, of: properties.amount, target: 100}
    milestones: [{at: 0.5, rewards: [{points: 50}]}]
    rewards: [{points: 500}, {badge: champion}]
streaks:
  - code: daily_login
    on: login
    period: daily
    grace_period_hours: 24
    timezone: participant
    milestones: [{at: 7, rewards: [{badge: champion}]}]
tiers:
  - {code: bronze, name: Bronze, level: 1, min_points: 0}
  - {code: gold, name: Gold, level: 3, min_points: 5000}
leaderboards:
  - code: top_spenders
    name: Top spenders
    metric: {on: purchase_completed, aggregate: sum, of: properties.amount}
    window: weekly
  - {code: points_all, name: Points, metric: points, window: all_time}
"""


def visit(**more: Any) -> Json:
    return event("store_visited", "ada", timestamp="2026-04-02T09:00:00Z", **more)


def purchase(timestamp: str, key: str, **more: Any) -> Json:
    properties = {"amount": 40, "currency": "USD"}
    return event(participant_id="ada", properties=properties, timestamp=timestamp, idempotency_key=key, **more)


STORY = [
    visit(idempotency_key="v-1"),
    *[purchase("2026-04-02T09:00:01Z", "o-1")] * 3,
    purchase("2026-04-03T09:00:00Z", "o-2"),
    purchase("2026-04-03T09:00:01Z", "o-3"),
    *[event("login", "ada", timestamp=f"2026-04-0{day}T10:00:00Z", idempotency_key=f"l-{day}") for day in range(2, 6)],
]
AWARD_TIMES = ("achieved_at", "earned_at", "reached_at", "completed_at")


def settle_all(bq: Project) -> None:
    bq.settled(bq.send(event("last", "nobody")).json()["message_id"])


def send_async(bq: Project, events: Sequence[Json]) -> None:
    for each in events:
        assert bq.send(each).status_code == 202
    settle_all(bq)


def send_batch(bq: Project, events: Sequence[Json]) -> None:
    assert bq.send_batch(events).json()["accepted"] == len(events)
    settle_all(bq)


def send_sync(bq: Project, events: Sequence[Json]) -> None:
    for each in events:
        assert bq.send_sync(each).status_code == 200


def send_gamify_batch(bq: Project, events: Sequence[Json]) -> None:
    assert bq.post("/gamify/events/batch", {"events": events}).json()["processed"] == len(events)


def without(document: Any, *names: str) -> Any:
    """The document without these fields, at any depth."""
    match document:
        case dict():
            return {name: without(value, *names) for name, value in document.items() if name not in names}
        case list():
            return [without(each, *names) for each in document]
        case _:
            return document


@contextmanager
def live(bq: Project) -> Iterator[Project]:
    """The other environment of the project: as good as another server (promise 5)."""
    with bq.using("live") as other:
        yield other


def told(effects: Sequence[Json], kind: str) -> list[Json]:
    return [effect for effect in effects if effect["type"] == kind]


def badges(bq: Project, participant_id: str = "ada") -> dict[str, str]:
    """When each badge held was earned."""
    held = bq.participant(participant_id, "/badges", earned_only=True)["badges"]
    return {badge["code"]: badge["earned_at"] for badge in held}


def counting(code: str = "busy", target: int = 3, **more: Any) -> Json:
    """A badge for a number of `act` events."""
    return {"code": code, "name": code, "criteria": {"on": "act", "target": target}, **more}


def paying(award: int | str = 10, code: str = "pay", **more: Any) -> Json:
    """A points rule for `act` events."""
    return {"code": code, "on": "act", "award": award, **more}


def act(participant_id: str = "ada", timestamp: str | None = None, **properties: Any) -> Json:
    at = {} if timestamp is None else {"timestamp": timestamp}
    return event("act", participant_id, properties=properties, **at)


# The story


def test_the_spring_sale_pays_670_points_two_badges_and_a_challenge(bq: Project) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY)
    state = bq.participant("ada", "/state")
    assert state["points"] == {"balance": 670, "total_earned": 670, "total_spent": 0}
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


# Applying


def test_a_plan_names_what_is_added_changed_removed_and_how_many_are_affected(bq: Project) -> None:
    game = {"points": [paying()], "badges": [counting(), counting("other", 1) | {"criteria": {"on": "x", "target": 1}}]}
    plan = bq.apply(game)
    assert (plan["added"], plan["changed"], plan["removed"]) == (["points/pay", "badge/busy", "badge/other"], [], [])
    for who in ("ada", "ada", "bob", "cid"):
        bq.send_sync(act(who))
    bq.send_sync(event("unheard_of", "eve"))
    version = bq.game()["version"]
    new = {"points": [paying(code="new")], "badges": [counting(target=2), game["badges"][1]]}
    rehearsed = bq.put_game(new, dry_run=True).json()
    assert rehearsed == {
        "dry_run": True,
        "version": None,
        "added": ["points/new"],
        "changed": ["badge/busy"],
        "removed": ["points/pay"],
        "unchanged": 1,
        "recomputed": ["badge/busy"],
        "participants_affected": 3,
        "warnings": [],
    }
    assert bq.game()["version"] == version
    assert bq.game()["refolds"] == []
    assert "busy" not in badges(bq)
    plan = bq.apply(new)
    assert without(plan, "dry_run", "version") == without(rehearsed, "dry_run", "version")
    assert badges(bq).keys() == {"busy"}
    assert bq.game()["refolds"][0]["definitions"] == ["badge/busy"]


def test_the_same_game_again_changes_nothing(bq: Project) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY)
    state = bq.participant("ada", "/state")
    plan = bq.apply(SPRING)
    assert (plan["added"], plan["changed"], plan["removed"], plan["recomputed"]) == ([], [], [], [])
    assert plan["unchanged"] == 9
    applied = bq.game()["game"]
    assert bq.apply(applied)["unchanged"] == 9, "what GET answers can be PUT"
    assert bq.participant("ada", "/state") == state


def test_a_definition_counts_facts_received_since_it_was_applied_whatever_their_timestamp(bq: Project) -> None:
    bq.send_sync(act())
    bq.apply({"points": [paying()], "badges": [counting(target=2)]})
    assert bq.balance("ada") == 0
    bq.send_sync(act("ada", "2001-01-01T00:00:00Z"))
    assert bq.balance("ada") == 10
    assert badges(bq) == {}
    bq.send_sync(act("ada", "2002-01-01T00:00:00Z"))
    assert badges(bq) == {"busy": "2002-01-01T00:00:00Z"}


def test_a_backfill_counts_all_stored_facts_once(bq: Project) -> None:
    game = {
        "points": [paying()],
        "badges": [counting(target=3)],
        "leaderboards": [{"code": "acts", "name": "Acts", "metric": {"on": "act"}}],
    }
    for day in (1, 2):
        bq.send_sync(act("ada", f"2026-03-0{day}T00:00:00Z"))
    bq.apply(game)
    bq.send_sync(act("ada", "2026-03-03T00:00:00Z"))
    assert (bq.balance("ada"), badges(bq)) == (10, {})
    plan = bq.apply(game, backfill=True)
    assert plan["changed"] == ["points/pay", "badge/busy", "leaderboard/acts"]
    assert plan["participants_affected"] == 1
    assert bq.balance("ada") == 30
    assert badges(bq) == {"busy": "2026-03-03T00:00:00Z"}
    assert bq.get("/gamify/leaderboards/acts").json()["entries"][0]["score"] == 3
    bq.apply(game, backfill=True)
    bq.apply(game)
    assert bq.balance("ada") == 30
    bq.send_sync(act())
    assert bq.balance("ada") == 40


def test_a_backfill_of_a_points_leaderboard_affects_everyone_with_points(bq: Project) -> None:
    bq.apply({"points": [paying()]})
    for who in ("ada", "bob"):
        bq.send_sync(act(who))
    board = {"code": "all", "name": "All", "metric": "points"}
    plan = bq.apply({"points": [paying()], "leaderboards": [board]}, backfill=True)
    ranking = bq.get("/gamify/leaderboards/all").json()
    assert [(entry["participant_id"], entry["score"]) for entry in ranking["entries"]] == [("ada", 10), ("bob", 10)]
    assert plan["participants_affected"] == 2


def test_starts_at_and_ends_at_bound_the_time_of_events(bq: Project) -> None:
    bq.apply({"points": [paying(starts_at="2026-03-01T00:00:00Z", ends_at="2026-03-02T00:00:00Z")]})
    for at in ("2026-02-28T23:59:59.999999Z", "2026-03-01T00:00:00Z", "2026-03-01T23:59:59.999999Z"):
        bq.send_sync(act("ada", at))
    bq.send_sync(act("ada", "2026-03-02T00:00:00Z"))
    bq.send_sync(act("ada", "2026-03-02T01:00:00+02:00"))
    assert bq.balance("ada") == 30


def test_changing_a_definition_computes_it_anew_and_keeps_what_was_awarded(bq: Project) -> None:
    bq.apply({"points": [paying()], "badges": [counting(target=3), counting("easy", 1)]})
    for day in (1, 2):
        bq.send_sync(act("ada", f"2026-03-0{day}T00:00:00Z"))
    held = badges(bq)
    assert held == {"easy": "2026-03-01T00:00:00Z"}
    bq.apply({"points": [paying(25)], "badges": [counting(target=2), counting("easy", 50)]})
    assert badges(bq) == held | {"busy": "2026-03-02T00:00:00Z"}
    assert bq.balance("ada") == 20, "what was paid stays paid"
    bq.send_sync(act())
    assert bq.balance("ada") == 45


def test_a_condition_that_is_widened_pays_the_facts_it_now_matches_once(bq: Project) -> None:
    bq.apply({"points": [paying(when="properties.amount >= 10.0")]})
    for amount in (5, 15):
        bq.send_sync(act(amount=amount))
    assert bq.balance("ada") == 10
    bq.apply({"points": [paying(when="properties.amount >= 1.0")]})
    assert bq.balance("ada") == 20
    bq.apply({"points": [paying(when="properties.amount >= 10.0")]})
    assert bq.balance("ada") == 20


def test_removing_a_definition_keeps_what_was_awarded_and_adding_it_again_awards_nothing_twice(bq: Project) -> None:
    bq.apply(SPRING)
    send_sync(bq, STORY)
    held, ledger = badges(bq), bq.participant("ada", "/points/transactions")
    plan = bq.apply({})
    assert (len(plan["removed"]), plan["participants_affected"]) == (9, 1)
    assert bq.balance("ada") == 670
    assert bq.participant("ada", "/points/transactions") == ledger
    bq.apply(SPRING)
    assert (badges(bq), bq.balance("ada")) == (held, 670)
    send_sync(bq, [each | {"idempotency_key": f"again-{number}"} for number, each in enumerate(STORY[:1] + STORY[3:])])
    assert badges(bq) == held
    assert bq.balance("ada") == 670 + 3 * 40, "three new purchases; challenge and milestone paid long ago"
    bq.apply(SPRING, backfill=True)
    assert (badges(bq), bq.balance("ada")) == (held, 790)


def test_a_badge_whose_definition_was_removed_is_still_held(bq: Project) -> None:
    bq.apply({"badges": [counting(target=1)]})
    bq.send_sync(act("ada", "2026-03-01T00:00:00Z"))
    bq.apply({})
    assert badges(bq) == {"busy": "2026-03-01T00:00:00Z"}


def test_what_is_added_again_starts_from_nothing(bq: Project) -> None:
    game = {
        "challenges": [{"code": "three", "name": "Three", "objectives": [{"code": "a", "on": "act", "target": 3}]}],
        "streaks": [{"code": "daily", "on": "act"}],
        "leaderboards": [
            {"code": "acts", "name": "Acts", "metric": {"on": "act"}},
            {"code": "points", "name": "Points", "metric": "points"},
        ],
    }
    bq.apply({"points": [paying()]} | game)
    for day in (1, 2):
        bq.send_sync(act("ada", f"2026-03-0{day}T00:00:00Z"))
    bq.apply({"points": [paying()]})
    bq.apply({"points": [paying()]} | game)
    for board in ("leaderboards/acts", "leaderboards/points", "challenges/three/leaderboard"):
        ranking = bq.get(f"/gamify/{board}").json()
        assert (board, ranking["entries"], ranking["total_participants"]) == (board, [], 0)
    (challenge,) = bq.participant("ada", "/challenges")["challenges"]
    assert challenge["progress"] == 0
    assert [each["longest_count"] for each in bq.participant("ada", "/streaks")["streaks"]] in ([], [0])


def test_live_and_test_have_games_of_their_own(bq: Project) -> None:
    bq.apply({"points": [paying(10)]})
    with live(bq) as other:
        assert other.game()["version"] == 0
        assert other.game()["game"] == {}
        other.apply({"points": [paying(1)]})
        other.send_sync(act())
        bq.send_sync(act())
        bq.send_sync(act())
        assert (other.balance("ada"), bq.balance("ada")) == (1, 20)
        other.apply({})
    bq.send_sync(act())
    assert bq.balance("ada") == 30


@pytest.mark.parametrize("key", ["test:ingest", "test:read"])
def test_the_game_is_for_admins(bq: Project, key: str) -> None:
    with bq.using(key) as other:
        check(other.put_game(SPRING), Code.FORBIDDEN)
        check(other.get("/gamify/admin/game"), Code.FORBIDDEN)
    with bq.using("test:admin") as admin:
        admin.apply(SPRING)
        assert admin.game()["game"]["tiers"][1]["min_points"] == 5000


def test_a_mistake_is_told_with_its_line_and_column_and_changes_nothing(bq: Project) -> None:
    bq.apply(SPRING)
    wrong = SPRING.replace("badge: champion}]\n", "badge: champoin}]\n", 1).replace("on: login", "onn: login")
    problem = check(bq.put_game(wrong), Code.VALIDATION_FAILED)
    lines = wrong.splitlines()
    told_of = {error["field"]: error["detail"] for error in problem["errors"]}
    assert set(told_of) == {"challenges[0].rewards[1].badge", "streaks[0]", "streaks[0].onn"}
    line = next(number for number, text in enumerate(lines, 1) if "champoin" in text)
    column = lines[line - 1].index("champoin") + 1
    assert told_of["challenges[0].rewards[1].badge"].startswith(f"line {line}, column {column}: ")
    line = next(number for number, text in enumerate(lines, 1) if "onn" in text)
    assert told_of["streaks[0].onn"].startswith(f"line {line}, column 5: ")
    assert bq.game()["version"] == 1
    assert bq.put_game(wrong, dry_run=True).status_code == 422


def test_a_mistake_in_json_is_told_with_its_line_and_column(bq: Project) -> None:
    def put(text: str) -> Json:
        answer = bq.request("PUT", "/gamify/admin/game", content=text, headers={"Content-Type": "application/json"})
        return check(answer, Code.VALIDATION_FAILED)

    text = '{\n\t"points": [\n\t\t{"code": "a", "on": "act", "award": "1 +"}\n\t]\n}'
    (error,) = put(text)["errors"]
    assert error["field"] == "points[0].award"
    assert error["detail"].startswith("line 3, column ")
    (error,) = put('{"points": [\n  {"code": ]}')["errors"]
    assert error["detail"].startswith("line 2, column ")
    (error,) = put("[]")["errors"]
    assert error["detail"].startswith("line 1, column 1: ")
    assert bq.game()["version"] == 0


@pytest.mark.parametrize(
    "document",
    [
        '{"points": [{"code": "a", "on": "x", "award": 1, "starts_at": "0001-01-01T00:00:00+23:59"}]}',
        '{"points": [{"code": "a", "on": "x", "award": 1, "ends_at": "9999-12-31T23:59:59-23:59"}]}',
        '{"badges": [{"code": "a", "name": "A", "criteria": {"on": "x", "target": NaN}}]}',
        '{"badges": [{"code": "a", "name": "\\ud800"}]}',
        '{"tiers": [{"code": "a", "name": "A", "level": 1, "min_points": 1' + "0" * 5000 + "}]}",
        '{"badges": ' + "[" * 5000 + "]" * 5000 + "}",
    ],
    ids=["before time", "after time", "nan", "half a character", "huge", "deep"],
)
def test_a_hostile_document_is_a_mistake_as_any_other(bq: Project, document: str) -> None:
    problem = check(bq.put_game(document), Code.VALIDATION_FAILED)
    assert all(error["detail"].startswith("line 1, column ") for error in problem["errors"])


@pytest.mark.parametrize("query", [{"dry_run": "maybe"}, {"backfil": "true"}], ids=str)
def test_a_misspelt_parameter_is_refused(bq: Project, query: Json) -> None:
    check(bq.put_game(SPRING, **query), Code.VALIDATION_FAILED)
    assert bq.game()["version"] == 0


def test_a_game_of_a_thousand_definitions_is_applied(bq: Project) -> None:
    rules = [paying(1, f"rule_{number}") | {"on": f"event_{number % 100}"} for number in range(1000)]
    assert len(bq.apply({"points": rules})["added"]) == 1000
    bq.send_sync(event("event_7", "ada"))
    assert bq.balance("ada") == 10


# Challenges


def challenge(**more: Any) -> Json:
    return {
        "challenges": [
            {
                "code": "quest",
                "name": "Quest",
                "objectives": [{"code": "acts", "on": "act", "target": 3}],
                "rewards": [{"points": 100}],
                **more,
            }
        ]
    }


def quest(bq: Project, participant_id: str = "ada") -> Json:
    (found,) = bq.participant(participant_id, "/challenges")["challenges"]
    assert isinstance(found, dict)
    return found


def enrol(bq: Project, participant_id: str = "ada") -> Json:
    answer = bq.post("/gamify/challenges/quest/enrol", {"participant_id": participant_id})
    assert answer.status_code == 200, answer.text
    enrolled: Json = answer.json()
    return enrolled


def ago(**by: float) -> str:
    return (datetime.now(UTC) - timedelta(**by)).isoformat()


def test_an_automatic_perpetual_challenge_takes_everyone_at_any_time(bq: Project) -> None:
    bq.apply(challenge())
    bq.send_sync(event("hello", "ada"))
    assert (quest(bq)["status"], quest(bq)["progress"], quest(bq)["expires_at"]) == ("active", 0, None)
    for at in ("1999-01-01T00:00:00Z", "2026-01-01T00:00:00Z"):
        bq.send_sync(act("ada", at))
    assert quest(bq)["progress"] == pytest.approx(2 / 3)
    bq.send_sync(act())
    assert (quest(bq)["status"], quest(bq)["progress"], bq.balance("ada")) == ("completed", 1, 100)
    bq.send_sync(act())
    assert bq.balance("ada") == 100
    (objective,) = quest(bq)["objectives"]
    assert (objective["value"], objective["target"]) == (3, 3)
    assert enrol(bq)["challenge"]["status"] == "completed"


def test_an_explicit_challenge_counts_from_enrolment_on(bq: Project) -> None:
    bq.apply(challenge(enrolment="explicit"))
    bq.send_sync(act())
    assert quest(bq)["status"] == "not_enrolled"
    enrolled = enrol(bq)["challenge"]
    assert (enrolled["status"], enrolled["progress"]) == ("active", 0)
    bq.send_sync(act("ada", ago(hours=1)))
    assert quest(bq)["progress"] == 0, "it happened before"
    for _ in range(3):
        bq.send_sync(act())
    assert (quest(bq)["status"], bq.balance("ada")) == ("completed", 100)


def test_to_enrol_again_answers_the_same_even_at_the_same_time(bq: Project) -> None:
    bq.apply(challenge(enrolment="explicit", duration={"type": "rolling", "days": 14}))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: enrol(bq), range(16)))
    assert all(answer == answers[0] for answer in answers)
    assert enrol(bq) == answers[0]
    (fact,) = bq.facts(participant_id="ada")
    assert fact["fact_type"] == "system.challenge_enrolled"
    enrolled = answers[0]["challenge"]
    runs = datetime.fromisoformat(enrolled["expires_at"]) - datetime.fromisoformat(enrolled["enrolled_at"])
    assert runs == timedelta(days=14)
    assert quest(bq) == enrolled
    assert bq.participant("ada")["total_events"] == 0


def test_only_a_challenge_there_is_can_be_entered(bq: Project) -> None:
    check(bq.post("/gamify/challenges/none/enrol", {"participant_id": "ada"}), Code.NOT_FOUND)
    bq.apply(challenge(enrolment="explicit"))
    check(bq.post("/gamify/challenges/quest/enrol", {}), Code.VALIDATION_FAILED)
    check(bq.post("/gamify/challenges/quest/enrol", {"participant_id": "x" * 256}), Code.VALIDATION_FAILED)
    with bq.using("test:read") as reader:
        check(reader.post("/gamify/challenges/quest/enrol", {"participant_id": "ada"}), Code.FORBIDDEN)
    assert bq.facts() == []


def test_a_rolling_challenge_runs_from_the_first_fact_and_expires(bq: Project) -> None:
    bq.apply(challenge(duration={"type": "rolling", "days": 10}))
    for at in ("2026-03-01T00:00:00Z", "2026-03-10T23:59:59Z", "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z"):
        bq.send_sync(act("ada", at))
    found = quest(bq)
    assert (found["status"], found["objectives"][0]["value"]) == ("expired", 2)
    assert (found["enrolled_at"], found["expires_at"]) == ("2026-03-01T00:00:00Z", "2026-03-11T00:00:00Z")
    bq.send_sync(act("ada", "2026-03-02T00:00:00Z"))
    assert (quest(bq)["status"], bq.balance("ada")) == ("completed", 100), "a late fact of within the time"


def test_an_earlier_first_fact_moves_a_rolling_challenge(bq: Project) -> None:
    bq.apply(challenge(duration={"type": "rolling", "days": 10}))
    for at in ("2026-03-05T00:00:00Z", "2026-03-13T00:00:00Z"):
        bq.send_sync(act("ada", at))
    assert quest(bq)["objectives"][0]["value"] == 2
    bq.send_sync(act("ada", "2026-03-01T00:00:00Z"))
    found = quest(bq)
    assert found["enrolled_at"] == "2026-03-01T00:00:00Z"
    assert (found["status"], found["objectives"][0]["value"]) == ("expired", 2), "the 13th is out of time now"


def test_a_fixed_challenge_has_its_dates(bq: Project) -> None:
    dates = {"type": "fixed", "starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-04-01T00:00:00Z"}
    bq.apply(challenge(duration=dates))
    for at in ("2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"):
        bq.send_sync(act("ada", at))
    assert (quest(bq)["status"], quest(bq)["objectives"][0]["value"]) == ("expired", 1)
    bq.apply(challenge(duration=dates | {"starts_at": "2999-01-01T00:00:00Z", "ends_at": "2999-02-01T00:00:00Z"}))
    assert (quest(bq)["status"], quest(bq)["objectives"][0]["value"]) == ("upcoming", 0)


STAIRS = [
    {"code": "first", "on": "begun", "target": 1},
    {"code": "then", "on": "act", "target": 2, "prerequisites": ["first"]},
]


def test_a_prerequisite_met_late_counts_what_came_after_it(bq: Project) -> None:
    bq.apply(challenge(objectives=STAIRS))
    for day in (2, 3):
        bq.send_sync(act("ada", f"2026-03-0{day}T00:00:00Z"))
    assert quest(bq)["progress"] == 0
    bq.send_sync(event("begun", "ada", timestamp="2026-03-01T00:00:00Z"))
    assert (quest(bq)["status"], quest(bq)["completed_at"]) == ("completed", "2026-03-03T00:00:00Z")
    assert bq.balance("ada") == 100


def test_what_came_before_a_prerequisite_does_not_count_even_when_it_arrives_later(bq: Project) -> None:
    bq.apply(challenge(objectives=STAIRS))
    bq.send_sync(event("begun", "ada", timestamp="2026-03-05T00:00:00Z"))
    for day in (1, 2, 3):
        bq.send_sync(act("ada", f"2026-03-0{day}T00:00:00Z"))
    assert [each["value"] for each in quest(bq)["objectives"]] == [1, 0]
    bq.send_sync(event("begun", "ada", timestamp="2026-03-02T12:00:00Z"))
    assert [each["value"] for each in quest(bq)["objectives"]] == [1, 1]


def test_milestones_pay_once_and_stay_reached(bq: Project) -> None:
    milestones = [{"at": 0.25, "rewards": [{"points": 1}]}, {"at": 0.75, "rewards": [{"points": 10}]}]
    summed = [{"code": "sum", "on": "act", "aggregate": "sum", "of": "properties.amount", "target": 100}]
    bq.apply(challenge(objectives=summed, milestones=milestones))
    bq.send_sync(act("ada", "2026-03-01T00:00:00Z", amount=30))
    assert bq.balance("ada") == 1
    bq.send_sync(act("ada", "2026-03-02T00:00:00Z", amount=-20))
    bq.send_sync(act("ada", "2026-03-03T00:00:00Z", amount=20))
    found = quest(bq)
    assert (bq.balance("ada"), found["progress"]) == (1, 0.3)
    assert [each["reached"] for each in found["milestones"]] == [True, False]
    bq.send_sync(act("ada", "2026-03-04T00:00:00Z", amount=1000))
    assert bq.balance("ada") == 111
    assert [each["reached"] for each in quest(bq)["milestones"]] == [True, True]


def test_every_award_has_a_cause_of_its_own_whatever_the_codes_are(bq: Project) -> None:
    one = {"objectives": [{"code": "a", "on": "act", "target": 2}], "name": "One"}
    bq.apply(
        {
            "challenges": [
                {"code": "c", **one, "milestones": [{"at": 0.5, "rewards": [{"points": 1}]}]},
                {
                    "code": "c@0.5",
                    "name": "Two",
                    "objectives": [{"code": "a", "on": "act", "target": 1}],
                    "rewards": [{"points": 10}],
                },
            ]
        }
    )
    assert bq.send_sync(act()).status_code == 200
    assert bq.balance("ada") == 11


@pytest.mark.parametrize(
    ("objective", "values", "reached"),
    [
        ({"aggregate": "count", "target": 2}, [1, 1], True),
        ({"aggregate": "sum", "of": "properties.x", "target": 0.3}, [0.1, 0.1, 0.1], True),
        ({"aggregate": "max", "of": "properties.x", "target": 5}, [4, 3, 4.5], False),
        ({"aggregate": "max", "of": "properties.x", "target": 5}, [4, 5], True),
        ({"aggregate": "distinct", "of": "properties.x", "target": 2}, ["a", "a"], False),
        ({"aggregate": "distinct", "of": "properties.x", "target": 2}, ["a", "b"], True),
        ({"aggregate": "distinct", "of": "properties.x", "target": 3}, [1, "1", True], True),
    ],
)
def test_aggregates(bq: Project, objective: Json, values: list[Any], reached: bool) -> None:
    bq.apply({"badges": [{"code": "b", "name": "B", "criteria": {"on": "act", **objective}}]})
    for value in values:
        bq.send_sync(act(x=value))
    assert ("b" in badges(bq)) is reached


def test_distinct_days_count_days(bq: Project) -> None:
    bq.apply({"badges": [{"code": "b", "name": "B", "criteria": {"on": "act", "aggregate": "days", "target": 2}}]})
    for at in ("2026-03-01T00:00:00Z", "2026-03-01T23:59:59Z"):
        bq.send_sync(act("ada", at))
    assert badges(bq) == {}
    bq.send_sync(act("ada", "2026-02-01T12:00:00Z"))
    assert badges(bq).keys() == {"b"}


def test_a_challenge_ranks_those_who_take_part(bq: Project) -> None:
    bq.apply(challenge(enrolment="explicit"))
    for who in ("ada", "bob", "cid"):
        enrol(bq, who)
    for who in ("bob", "ada", "stranger", "bob"):
        bq.send_sync(act(who))
    ranking = bq.get("/gamify/challenges/quest/leaderboard").json()
    places = [(entry["rank"], entry["participant_id"], entry["progress"]) for entry in ranking["entries"]]
    assert places[:2] == [(1, "bob", pytest.approx(2 / 3)), (2, "ada", pytest.approx(1 / 3))]
    assert "stranger" not in {who for _, who, _ in places}
    first = bq.get("/gamify/challenges/quest/leaderboard", limit=1).json()
    assert first["entries"] == ranking["entries"][:1]
    assert first["total_participants"] == ranking["total_participants"]
    for limit in (0, 101, "x"):
        check(bq.get("/gamify/challenges/quest/leaderboard", limit=limit), Code.VALIDATION_FAILED)
    check(bq.get("/gamify/challenges/none/leaderboard"), Code.NOT_FOUND)


def test_challenges_are_listed_as_they_are_defined(bq: Project) -> None:
    bq.apply(SPRING)
    listed = bq.get("/gamify/challenges").json()
    assert listed["total"] == 1
    (one,) = listed["challenges"]
    assert bq.get("/gamify/challenges/spring_sale").json() == one
    assert [each["code"] for each in one["objectives"]] == ["visit", "buy3", "spend100"]
    check(bq.get("/gamify/challenges/none"), Code.NOT_FOUND)


# Streaks


def streaking(**more: Any) -> Json:
    return {"streaks": [{"code": "run", "on": "act", **more}]}


def run_of(bq: Project, *moments: str) -> Json:
    for at in moments:
        bq.send_sync(act("ada", at))
    (streak,) = bq.participant("ada", "/streaks")["streaks"]
    assert isinstance(streak, dict)
    return streak


@pytest.mark.parametrize(
    ("grace", "days", "longest"),
    [
        (0, ["01", "02", "03"], 3),
        (0, ["01", "01", "02"], 2),
        (0, ["01", "03", "04"], 2),
        (24, ["01", "03", "04"], 3),
        (24, ["01", "04"], 1),
        (48, ["01", "04"], 2),
        (24, ["04", "01", "03"], 3),
    ],
)
def test_a_daily_streak_with_its_grace(bq: Project, grace: int, days: list[str], longest: int) -> None:
    bq.apply(streaking(grace_period_hours=grace))
    streak = run_of(bq, *[f"2026-03-{day}T12:00:00Z" for day in days])
    assert (streak["longest_count"], streak["current_count"]) == (longest, 0)
    assert streak["last_recorded_at"] == f"2026-03-{max(days)}T12:00:00Z"


@pytest.mark.parametrize(
    ("period", "moments", "longest"),
    [
        ("weekly", ["2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z", "2026-03-15T12:00:00Z"], 3),
        ("weekly", ["2026-03-02T00:00:00Z", "2026-03-08T23:00:00Z"], 1),
        ("weekly", ["2026-03-02T00:00:00Z", "2026-03-16T00:00:00Z"], 1),
        ("monthly", ["2026-01-31T23:00:00Z", "2026-02-01T00:00:00Z", "2026-03-31T00:00:00Z"], 3),
        ("monthly", ["2025-12-01T00:00:00Z", "2026-01-31T00:00:00Z", "2026-03-01T00:00:00Z"], 2),
    ],
)
def test_weeks_start_on_monday_and_months_on_the_first(
    bq: Project, period: str, moments: list[str], longest: int
) -> None:
    bq.apply(streaking(period=period, grace_period_hours=0))
    assert run_of(bq, *moments)["longest_count"] == longest


def test_a_streak_of_now_is_running_and_at_risk_when_today_is_missing(bq: Project) -> None:
    bq.apply(streaking(grace_period_hours=0))
    yesterday = run_of(bq, ago(days=2), ago(days=1))
    assert (yesterday["current_count"], yesterday["is_at_risk"]) == (2, True)
    today = run_of(bq, ago())
    assert (today["current_count"], today["longest_count"], today["is_at_risk"]) == (3, 3, False)
    assert bq.participant("ada")["streaks"]["code"] == "run"


def test_a_streak_keeps_to_the_calendar_of_its_zone_through_dst(bq: Project) -> None:
    bq.apply(streaking(timezone="Europe/Paris", grace_period_hours=0))
    moments = [f"2026-03-{day}T23:30:00Z" for day in ("26", "27")]  # 00:30 on the day after, in winter
    moments += [f"2026-03-{day}T22:30:00Z" for day in ("29", "30")]  # and in summer
    streak = run_of(bq, *moments, "2026-03-29T10:00:00Z")
    assert (streak["longest_count"], streak["timezone"]) == (5, "Europe/Paris")


def test_a_new_zone_holds_from_now_on_and_never_for_the_past(bq: Project) -> None:
    bq.apply(streaking(grace_period_hours=0))
    moments = ["2026-03-01T10:00:00Z", "2026-03-01T23:30:00Z"]  # one day in UTC, two in Tokyo
    assert run_of(bq, *moments)["longest_count"] == 1
    bq.request("PATCH", "/gamify/participants/ada", json={"timezone": "Asia/Tokyo"})
    assert run_of(bq)["longest_count"] == 1
    assert run_of(bq, "2026-03-05T10:00:00Z", "2026-03-05T23:30:00Z")["longest_count"] == 1, "late, and before it"
    ahead = (datetime.now(UTC) + timedelta(days=10)).strftime("%Y-%m-%d")
    streak = run_of(bq, f"{ahead}T10:00:00Z", f"{ahead}T23:30:00Z")
    assert (streak["longest_count"], streak["timezone"]) == (2, "Asia/Tokyo")
    (fact,) = bq.facts(fact_type="system.timezone_changed")
    assert fact["properties"]["timezone"] == "Asia/Tokyo"


def test_a_zone_told_before_the_game_counts_for_it(bq: Project) -> None:
    bq.post("/gamify/participants", {"participant_id": "ada", "timezone": "Asia/Tokyo"})
    bq.apply(streaking(grace_period_hours=0))
    ahead = (datetime.now(UTC) + timedelta(days=10)).strftime("%Y-%m-%d")
    assert run_of(bq, f"{ahead}T10:00:00Z", f"{ahead}T23:30:00Z")["longest_count"] == 2


def test_a_streak_milestone_rewards_once(bq: Project) -> None:
    milestones = [{"at": 2, "rewards": [{"points": 7}]}]
    bq.apply(streaking(grace_period_hours=0, milestones=milestones))
    run_of(bq, "2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z", "2026-03-03T12:00:00Z")
    assert bq.balance("ada") == 7
    streak = run_of(bq, "2026-04-01T12:00:00Z", "2026-04-02T12:00:00Z")
    assert bq.balance("ada") == 7
    assert [(each["at"], each["reached_at"]) for each in streak["milestones"]] == [(2, "2026-03-02T12:00:00Z")]


# Tiers


TIERS = [
    {"code": "bronze", "name": "Bronze", "level": 1, "min_points": 0},
    {"code": "silver", "name": "Silver", "level": 2, "min_points": 100},
    {"code": "gold", "name": "Gold", "level": 3, "min_points": 300},
]


def test_a_tier_goes_by_lifetime_points_and_never_falls(bq: Project) -> None:
    bq.apply({"points": [paying(100)], "tiers": TIERS})
    bq.post("/gamify/participants", {"participant_id": "ada"})
    start = bq.participant("ada", "/tier")
    assert (start["current_tier"]["code"], start["next_tier"]["code"]) == ("bronze", "silver")
    bq.send_sync(act("ada", "2026-03-01T00:00:00Z"))
    assert bq.post("/gamify/points/deduct", {"participant_id": "ada", "amount": 100}).status_code == 200
    tier = bq.participant("ada", "/tier")
    assert (tier["current_tier"]["code"], tier["current_tier"]["achieved_at"]) == ("silver", "2026-03-01T00:00:00Z")
    assert tier["next_tier"] == {"code": "gold", "name": "Gold", "points_required": 300, "points_remaining": 200}
    bq.apply({"points": [paying(100)], "tiers": [*TIERS[:1], TIERS[1] | {"min_points": 250}, TIERS[2]]})
    assert bq.participant("ada", "/tier")["current_tier"]["code"] == "silver"
    for _ in range(2):
        bq.send_sync(act())
    tier = bq.participant("ada", "/tier")
    assert (tier["current_tier"]["code"], tier["next_tier"]) == ("gold", None)
    assert [each["code"] for each in tier["tier_history"]] == ["bronze", "silver", "gold"]


def test_without_tiers_there_is_none(bq: Project) -> None:
    bq.send_sync(act())
    tier = bq.participant("ada", "/tier")
    assert (tier["current_tier"], tier["next_tier"], tier["tier_history"]) == (None, None, [])


# Leaderboards


WINDOWS = ["weekly", "daily", "monthly", "yearly", "all_time"]


def boards(*windows: str, **metric: Any) -> Json:
    measured = {"on": "act", "aggregate": "sum", "of": "properties.amount"} | metric
    return {"leaderboards": [{"code": "top", "name": "Top", "metric": measured, "window": list(windows)}]}


def places(bq: Project, **query: Any) -> list[tuple[int, str, float]]:
    ranking = bq.get("/gamify/leaderboards/top", **query).json()
    return [(entry["rank"], entry["participant_id"], entry["score"]) for entry in ranking["entries"]]


def test_a_leaderboard_counts_what_happened_in_the_window_that_is_now(bq: Project) -> None:
    bq.apply(boards(*WINDOWS))
    bq.send_sync(act("ada", amount=10))
    bq.send_sync(act("bob", amount=5.5))
    bq.send_sync(act("bob", amount=7))
    bq.send_sync(act("ada", ago(days=370), amount=100))
    for window in WINDOWS[:-1]:
        assert places(bq, period=window) == [(1, "bob", 12.5), (2, "ada", 10)]
    assert places(bq, period="all_time") == [(1, "ada", 110), (2, "bob", 12.5)]
    answer = bq.get("/gamify/leaderboards/top").json()
    assert (answer["leaderboard_code"], answer["period"], answer["total_participants"]) == ("top", "weekly", 2)
    assert places(bq, limit=1) == [(1, "bob", 12.5)]
    assert bq.participant("ada", "/state", include="leaderboards")["leaderboards"] == [
        {"leaderboard_code": "top", "period": "weekly", "score": 10, "rank": 2}
    ]


def test_among_equals_who_reached_the_score_first_stands_first(bq: Project) -> None:
    bq.apply(boards("all_time"))
    for who, at in (("ada", 3), ("bob", 1), ("cid", 2), ("eve", 9)):
        bq.send_sync(act(who, f"2026-03-0{at}T00:00:00Z", amount=5))
    bq.send_sync(act("eve", "2026-03-01T00:00:00Z", amount=1))
    assert [who for _, who, _ in places(bq)] == ["eve", "bob", "cid", "ada"]
    rank = bq.get("/gamify/leaderboards/top/rank/cid").json()
    assert rank == {"participant_id": "cid", "rank": 3, "score": 5, "total_participants": 4, "percentile": 25.0}


def test_a_rank_tells_how_it_changed_since_the_window_before(bq: Project) -> None:
    bq.apply(boards("weekly"))
    for who, amount in (("ada", 3), ("bob", 2), ("cid", 1)):
        bq.send_sync(act(who, ago(days=7), amount=amount))
    for who, amount in (("ada", 10), ("bob", 30), ("cid", 5), ("new", 20)):
        bq.send_sync(act(who, amount=amount))
    entries = bq.get("/gamify/leaderboards/top").json()["entries"]
    assert [(entry["participant_id"], entry["change"]) for entry in entries] == [
        ("bob", "up"),
        ("new", "new"),
        ("ada", "down"),
        ("cid", "down"),
    ]
    bq.send_sync(act("ada", amount=100))
    assert bq.get("/gamify/leaderboards/top", limit=1).json()["entries"][0]["change"] == "same"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"period": "hourly"}, "period"),
        ({"period": "daily"}, "period"),
        ({"page": 2}, "page"),
    ],
)
def test_a_leaderboard_refuses_what_it_cannot_tell(bq: Project, query: Json, field: str) -> None:
    bq.apply(boards("weekly"))
    problem = check(bq.get("/gamify/leaderboards/top", **query), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_what_is_not_on_a_leaderboard_is_not_found(bq: Project) -> None:
    bq.apply(boards("weekly", "all_time"))
    bq.send_sync(act("a/b c", ago(days=30), amount=1))
    check(bq.get("/gamify/leaderboards/none"), Code.NOT_FOUND)
    check(bq.get("/gamify/leaderboards/none/rank/ada"), Code.NOT_FOUND)
    check(bq.get("/gamify/leaderboards/top/rank/ada"), Code.NOT_FOUND)
    check(bq.get("/gamify/leaderboards/top/rank/a%2Fb%20c"), Code.NOT_FOUND)
    found = bq.get("/gamify/leaderboards/top/rank/a%2Fb%20c", period="all_time").json()
    assert (found["participant_id"], found["rank"]) == ("a/b c", 1)


def test_a_points_leaderboard_counts_what_was_earned(bq: Project) -> None:
    board = {"code": "top", "name": "Top", "metric": "points", "window": WINDOWS}
    bq.apply({"points": [paying(10)], "leaderboards": [board]})
    for who in ("ada", "bob", "bob"):
        bq.send_sync(act(who))
    bq.post("/gamify/points/award", {"participant_id": "ada", "amount": 15})
    bq.post("/gamify/points/deduct", {"participant_id": "ada", "amount": 20})
    for window in WINDOWS:
        assert places(bq, period=window) == [(1, "ada", 25), (2, "bob", 20)]


def test_a_changed_leaderboard_holds_nothing_of_what_it_was(bq: Project) -> None:
    bq.apply(boards("all_time"))
    for who, amount in (("ada", 10), ("bob", 1), ("bob", 2)):
        bq.send_sync(act(who, amount=amount))
    bq.apply(boards("all_time", aggregate="max"))
    assert places(bq) == [(1, "ada", 10), (2, "bob", 2)]
    bq.apply(boards("all_time", when="properties.amount < 5.0"))
    assert places(bq) == [(1, "bob", 3)]


def test_rewards_that_are_added_later_are_paid_once_to_those_who_were_there(bq: Project) -> None:
    def game(*rewards: Json) -> Json:
        objective = {"code": "one", "on": "act", "target": 1}
        streak = {"code": "s", "on": "act", "milestones": [{"at": 1, "rewards": [{"points": 1}]}]}
        if len(rewards) > 1:
            streak["milestones"] = [{"at": 1, "rewards": [{"points": 1}, {"badge": "extra"}]}]
        return {
            "badges": [{"code": "extra", "name": "Extra"}, {"code": "more", "name": "More"}],
            "challenges": [{"code": "c", "name": "C", "objectives": [objective], "rewards": list(rewards)}],
            "streaks": [streak],
        }

    bq.apply(game())
    bq.send_sync(event("act", "ada", timestamp="2026-03-01T00:00:00Z"))
    assert bq.balance("ada") == 1
    for _ in range(2):
        bq.apply(game({"points": 70}, {"badge": "more"}))
        assert bq.balance("ada") == 71
        assert set(badges(bq)) == {"extra", "more"}
        bq.apply(game({"points": 5}))
        assert bq.balance("ada") == 71, "what was paid stays paid, and nothing pays twice"
    completed = bq.participant("ada", "/challenges")["challenges"][0]["completed_at"]
    assert completed == "2026-03-01T00:00:00Z"
