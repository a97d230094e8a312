"""Applying a game: the plan, what counts since when, what is computed anew, and who may."""

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.game import (
    SPRING,
    STORY,
    act,
    badges,
    counting,
    live,
    paying,
    send_sync,
    without,
)
from tests.support.problems import check

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
        "forecast": {
            "payments": [{"cause": "criteria:badge/busy", "participants": 1, "points": 0, "badges": 1}],
            "participants": 1,
            "examined": 4,
            "total": 4,
        },
        "warnings": [],
    }
    assert bq.game()["version"] == version
    assert bq.game()["refolds"] == []
    assert "busy" not in badges(bq)
    plan = bq.apply(new)
    assert plan["forecast"] is None
    told = ("dry_run", "version", "forecast")
    assert without(plan, *told) == without(rehearsed, *told)
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


def test_a_plan_tells_what_a_backfill_pays_and_that_a_renamed_rule_pays_again(bq: Project) -> None:
    bq.apply({"points": [paying(code="old")]})
    for who in ("ada", "ada", "bob"):
        bq.send_sync(act(who))
    bq.send_sync(event("other", "cid"))
    renamed = {
        "points": [paying(code="new")],
        "challenges": [
            {
                "code": "c",
                "name": "C",
                "objectives": [{"code": "o", "on": "act", "target": 2}],
                "milestones": [{"at": 0.5, "rewards": [{"points": 1}]}],
                "rewards": [{"points": 5}, {"badge": "b"}],
            }
        ],
        "badges": [{"code": "b", "name": "B"}],
    }
    plan = bq.put_game(renamed, dry_run="true", backfill="true").json()
    assert plan["forecast"] == {
        "payments": [
            {"cause": "challenge:c", "participants": 1, "points": 5, "badges": 1},
            {"cause": "challenge:c/0.5", "participants": 2, "points": 2, "badges": 0},
            {"cause": "points:new", "participants": 2, "points": 30, "badges": 0},
        ],
        "participants": 2,
        "examined": 3,
        "total": 3,
    }
    (warning,) = plan["warnings"]
    assert warning == "points/new is points/old under another code: what that awarded is awarded again"
    assert (bq.balance("ada"), bq.balance("bob")) == (20, 10), "nothing is paid yet"
    assert bq.put_game(renamed, dry_run="true").json()["forecast"]["payments"] == [], (
        "without a backfill it pays nothing"
    )
    bq.apply(renamed, backfill="true")
    assert (bq.balance("ada"), bq.balance("bob")) == (20 + 26, 10 + 11)
    again = bq.put_game(renamed, dry_run="true", backfill="true").json()
    assert again["forecast"]["payments"] == []


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
    assert bq.participant("ada", "/streaks")["streaks"] == [], "as for somebody who never recorded one"


def test_a_streak_that_is_changed_so_that_nothing_counts_is_listed_no_longer(bq: Project) -> None:
    bq.apply({"streaks": [{"code": "daily", "on": "act"}]})
    bq.send_sync(act("ada", "2026-03-01T00:00:00Z"))
    assert [each["longest_count"] for each in bq.participant("ada", "/streaks")["streaks"]] == [1]
    bq.apply({"streaks": [{"code": "daily", "on": "act", "when": "properties.x > 1.0"}]})
    assert bq.participant("ada", "/streaks")["streaks"] == []
    bq.send_sync(act("ada", "2026-03-02T00:00:00Z") | {"properties": {"x": 2}})
    assert [each["longest_count"] for each in bq.participant("ada", "/streaks")["streaks"]] == [1]


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


def test_a_document_is_checked_without_being_applied(bq: Project) -> None:
    def found(text: str) -> Json:
        headers = {"Content-Type": "application/yaml"}
        answer = bq.request("POST", "/gamify/admin/game/check", content=text.encode(), headers=headers)
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()
        return told

    assert found("points:\n  - {code: p, on: act, award: 1}\n") == {"valid": True, "mistakes": []}
    wrong = found("badges:\n  - code: b\n    name: B\n    rarity: shiny\n")
    (mistake,) = wrong["mistakes"]
    assert not wrong["valid"]
    assert (mistake["line"], mistake["path"], mistake["severity"]) == (4, "badges[0].rarity", "error")
    assert not found("{")["valid"]
    assert bq.game()["version"] == 0
