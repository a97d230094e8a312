"""The shipped example games: played by HTTP alone, in both paths, and by one command."""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.client import Json, Project, event
from tests.support.process import ServerProcess, run

EXAMPLES = files("bq_server.examples")


def shipped(name: str) -> tuple[str, list[Json]]:
    """A game, and the events that play it."""
    lines = (EXAMPLES / f"{name}.ndjson").read_text("utf-8").splitlines()
    return (EXAMPLES / f"{name}.yaml").read_text("utf-8"), [json.loads(line) for line in lines]


def states(bq: Project, people: Sequence[str]) -> list[Json]:
    return [bq.participant(who, "/state") for who in people]


def test_it_plays_through_both_paths_to_the_same_state(bq: Project) -> None:
    game, events = shipped("coffee")
    people = ("ada", "bruno", "chloé")
    with bq.using("live") as other:
        for project in (bq, other):
            project.apply(game)
        for sent in events:
            assert bq.send_sync(sent).status_code == 200
        answer = other.send_batch(events).json()
        assert answer["accepted"] == len(events)
        other.settled(answer["message_ids"][-1])
        assert states(bq, people) == states(other, people)
    ada = states(bq, people)[0]
    assert ada["tier"]["current_tier"]["code"] == "silver"
    assert {badge["code"] for badge in ada["badges"] if badge["earned"]} >= {"first_cup", "explorer", "barista"}


def test_the_learning_app_plays_through_both_paths_to_the_same_state(bq: Project) -> None:
    game, events = shipped("learning")
    people = ("mia", "noah", "zoé")
    played = []
    for batch in (False, True):
        assert bq.post("/sandbox/reset", {"game": True}).status_code == 200
        # Its points expire: the clock stands where they haven't.
        assert (
            bq.request("PUT", "/sandbox/clock", json={"now": "2026-03-12T12:00:00Z", "frozen": True}).status_code == 200
        )
        bq.apply(game)
        if batch:
            # What is void when its batch is processed gives nothing; by the sync path it gave a milestone first.
            for some in (events[:-1], events[-1:]):
                bq.settled(bq.send_batch(some).json()["message_ids"][-1])
        else:
            assert [bq.send_sync(sent).status_code for sent in events] == [200] * len(events)
        played.append(states(bq, people))
    assert played[0] == played[1]
    mia, _, zoé = played[0]
    assert (mia["points"]["balance"], zoé["points"]["balance"]) == (529, 172)
    assert mia["tier"]["current_tier"]["code"] == "speaker"
    assert [each["status"] for each in mia["challenges"]] == ["active", "completed"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("coffee", ("tier Silver", "badge First cup (common)", "spring: 100%, completed", "streak daily_cup: 5")),
        (
            "learning",
            ("tier Speaker", "badge Reader (common)", "spring_term: 100%, completed", "is void", "state of mia"),
        ),
    ],
)
def test_one_command_applies_it_and_tells_what_each_event_caused(
    data_dir: Path, name: str, said: Sequence[str]
) -> None:
    with ServerProcess(data_dir) as server:
        played = run("game", "example", name, "--url", server.url, "--api-key", server.key)
        assert played.returncode == 0, played.stderr
        for words in said:
            assert words in played.stdout
        verified = run("verify", "--data-dir", str(data_dir))
        assert verified.returncode == 0, verified.stdout + verified.stderr
        server.stop()
    shown = run("game", "example", name, "--show")
    assert shown.stdout.startswith(shipped(name)[0][:100])


def test_the_first_example_is_the_one_without_a_name() -> None:
    assert run("game", "example", "--show").stdout == run("game", "example", "coffee", "--show").stdout
    refused = run("game", "example", "tea", "--show")
    assert (refused.returncode, "'coffee', 'learning'" in refused.stderr) == (2, True)


def test_a_new_tier_is_reached_by_those_who_have_the_points(bq: Project) -> None:
    rule = {"code": "p", "on": "purchase_completed", "award": "properties.amount"}
    bq.apply({"points": [rule]})
    for day, amount in ((1, 60), (2, 60), (3, 1)):
        bq.send_sync(event(properties={"amount": amount}, timestamp=f"2026-04-0{day}T00:00:00Z"))
    tiers = [
        {"code": "bronze", "name": "Bronze", "level": 1, "min_points": 50},
        {"code": "gold", "name": "Gold", "level": 2, "min_points": 100},
        {"code": "star", "name": "Star", "level": 3, "min_points": 1000},
    ]
    bq.apply({"points": [rule], "tiers": tiers})
    history = bq.participant("user_123", "/tier")["tier_history"]
    assert [(tier["code"], tier["achieved_at"]) for tier in history] == [
        ("bronze", "2026-04-01T00:00:00Z"),
        ("gold", "2026-04-02T00:00:00Z"),
    ]


def test_a_participant_whose_name_ends_as_a_route_does(bq: Project) -> None:
    for participant_id in ("a", "a/points", "a%2Fpoints"):
        bq.send_sync(event(participant_id=participant_id))
        bq.post("/gamify/points/award", {"participant_id": participant_id, "amount": len(participant_id)})
    assert bq.get("/gamify/participants/a%2Fpoints").json()["participant_id"] == "a/points"
    assert bq.get("/gamify/participants/a%2Fpoints/points").json()["balance"] == len("a/points")
    assert bq.get("/gamify/participants/a/points").json()["balance"] == 1
    assert bq.get("/gamify/participants/a%252Fpoints").json()["participant_id"] == "a%2Fpoints"
