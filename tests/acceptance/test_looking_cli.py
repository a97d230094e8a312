"""`bq-server facts list` and `participants show`: what a person at a terminal sees, and what a program reads."""

import json

from tests.support.client import Project, event
from tests.support.process import ServerProcess, run

GAME = {
    "points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}],
    "badges": [{"code": "buyer", "name": "Buyer", "criteria": {"on": "purchase_completed", "target": 1}}],
    "leaderboards": [{"code": "top", "name": "Top", "metric": "points", "window": "all_time"}],
}


def shown(bq: Project, server: ServerProcess, *arguments: str) -> str:
    told = run(*arguments, env={"BQ_URL": server.url, "BQ_API_KEY": bq.keys["test:read"]})
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_facts_are_listed_as_a_table_and_as_json(bq: Project, server: ServerProcess) -> None:
    for amount, name in ((1, "ada"), (2, "bob"), (3, "ada")):
        bq.send_sync(event(participant_id=name, properties={"amount": amount}))
    heads, *lines = shown(bq, server, "facts", "list").splitlines()
    assert heads.split() == ["occurred", "event", "participant", "properties", "fact"]
    assert ['{"amount": 3}' in lines[0], '{"amount": 1}' in lines[2], len(lines)] == [True, True, 3]
    told = json.loads(shown(bq, server, "facts", "list", "--participant", "ada", "--limit", "1", "--json"))
    assert told == bq.facts(participant_id="ada")[:1]


def test_a_participant_is_shown_as_a_table_and_as_json(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    bq.send_sync(event(participant_id="a/b ü", properties={"amount": 40}))
    text = shown(bq, server, "participants", "show", "a/b ü")
    rows = [line.split() for line in text.splitlines()]
    assert ["points", "40"] in rows
    assert any(row[:2] == ["badges", "buyer"] for row in rows), text
    assert any(row[:2] == ["leaderboards", "top"] for row in rows), text
    told = json.loads(shown(bq, server, "participants", "show", "a/b ü", "--json"))
    assert told["points"]["balance"] == 40


def test_who_is_not_there_is_said_not_to_be(bq: Project, server: ServerProcess) -> None:
    told = run("participants", "show", "nobody", env={"BQ_URL": server.url, "BQ_API_KEY": bq.keys["test"]})
    assert told.returncode == 1
    assert "nobody" in told.stderr


def test_what_others_sent_does_not_control_the_terminal(bq: Project, server: ServerProcess) -> None:
    steering = "\x1b[2J\x9b31m\u202e"
    bq.send_sync(event(f"e{steering}", f"p{steering}", properties={"x": steering}))
    for arguments in (
        ["facts", "list"],
        ["facts", "list", "--json"],
        ["participants", "show", f"p{steering}"],
        ["participants", "show", f"p{steering}", "--json"],
    ):
        text = shown(bq, server, *arguments)
        assert not set(steering) - set("[2J31m") & set(text), arguments
    assert "e\\x1b[2J\\x9b31m\\u202e" in shown(bq, server, "facts", "list")
    (fact,) = json.loads(shown(bq, server, "facts", "list", "--json"))
    assert (fact["event_name"], fact["properties"]) == (f"e{steering}", {"x": steering})
