"""The shipped example game: played by HTTP alone, in both paths, and by one command."""

import json
from importlib.resources import files
from pathlib import Path

from tests.support.client import Json, Project, event
from tests.support.process import ServerProcess, run

EXAMPLES = files("bq_server.examples")
GAME = (EXAMPLES / "coffee.yaml").read_text("utf-8")
EVENTS: list[Json] = [json.loads(line) for line in (EXAMPLES / "coffee.ndjson").read_text("utf-8").splitlines()]
PEOPLE = ("ada", "bruno", "chloé")


def states(bq: Project) -> list[Json]:
    return [bq.participant(who, "/state") for who in PEOPLE]


def test_it_plays_through_both_paths_to_the_same_state(bq: Project) -> None:
    with bq.using("live") as other:
        for project in (bq, other):
            project.apply(GAME)
        for sent in EVENTS:
            assert bq.send_sync(sent).status_code == 200
        answer = other.send_batch(EVENTS).json()
        assert answer["accepted"] == len(EVENTS)
        other.settled(answer["message_ids"][-1])
        assert states(bq) == states(other)
    ada = states(bq)[0]
    assert ada["tier"]["current_tier"]["code"] == "silver"
    assert {badge["code"] for badge in ada["badges"] if badge["earned"]} >= {"first_cup", "explorer", "barista"}


def test_one_command_applies_it_and_tells_what_each_event_caused(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        played = run("game", "example", "--url", server.url, "--api-key", server.key)
        assert played.returncode == 0, played.stderr
        for words in ("tier Silver", "badge First cup (common)", "spring: 100%, completed", "streak daily_cup: 5"):
            assert words in played.stdout
        verified = run("verify", "--data-dir", str(data_dir))
        assert verified.returncode == 0, verified.stdout + verified.stderr
        server.stop()
    shown = run("game", "example", "--show")
    assert shown.stdout.startswith(GAME[:100])


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
