"""`bq-server tail`, `events send` and `listen`, as a developer uses them beside an application."""

import json
import os
import pty
import re
import socket
import subprocess
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.acceptance.test_backup import stream_of
from tests.acceptance.test_sandbox_reset import dead_letter_a_conflict
from tests.acceptance.test_webhook_events import BOARD, NOON, STREAK, score
from tests.support.client import Json, Project
from tests.support.feed import everything
from tests.support.following import Following
from tests.support.process import COMMAND, ServerProcess, run, until
from tests.support.receiver import receiving

GAME: Json = {
    "points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}],
    "badges": [
        {
            "code": "regular",
            "name": "Regular",
            "criteria": {"on": "purchase_completed", "aggregate": "count", "target": 2},
        }
    ],
}


def environment(bq: Project, server: ServerProcess, key: str = "test") -> dict[str, str]:
    return {"BQ_URL": server.url, "BQ_API_KEY": bq.keys[key]}


def command(bq: Project, server: ServerProcess, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run(*arguments, env=environment(bq, server))


def sent(bq: Project, server: ServerProcess, *arguments: str) -> str:
    """What `events send` prints."""
    done = command(bq, server, "events", "send", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(bq: Project, server: ServerProcess, *arguments: str) -> tuple[int, str]:
    done = command(bq, server, "events", "send", *arguments)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_an_event_is_sent_and_its_message_named(bq: Project, server: ServerProcess) -> None:
    done = command(bq, server, "events", "send", "purchase_completed", "ada", "amount=40")
    message_id = done.stdout.strip()
    assert f"/ingest/messages/{message_id}?include=effects" in done.stderr
    assert bq.settled(message_id)["status"] == "processed"


def test_values_are_json_where_they_parse_and_text_where_not(bq: Project, server: ServerProcess) -> None:
    pairs = ("a=40", "b=true", "c=red", 'd="40"', "e=", "f=x=y", 'g={"h": [1]}', "i=NaN", "j=-1.5", "k=null")
    sent(bq, server, "purchase_completed", "ada", *pairs, "--sync")
    (fact,) = bq.facts()
    assert fact["properties"] == {
        "a": 40,
        "b": True,
        "c": "red",
        "d": "40",
        "e": "",
        "f": "x=y",
        "g": {"h": [1]},
        "i": "NaN",
        "j": -1.5,
        "k": None,
    }


def test_sync_tells_the_effects_in_words(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    assert sent(bq, server, "login", "ada", "--sync").splitlines()[1] == "    it caused nothing; --dry-run shows why"
    lines = sent(bq, server, "purchase_completed", "ada", "amount=40", "--sync", "--times", "2").splitlines()
    assert [line for line in lines if line.startswith("fact_")] == [each["fact_id"] for each in bq.facts()[1::-1]]
    assert [line.split("  (")[0] for line in lines if line.startswith(" ")] == [
        "    +40 points, 40 in total",
        "    +40 points, 80 in total",
        "    badge Regular (common)",
    ]


def test_a_dry_run_tells_what_would_happen_and_does_nothing(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    told = sent(bq, server, "purchase_completed", "ada", "amount=40", "--dry-run")
    assert told.splitlines()[0] == "it would be a fact"
    assert "+40 points" in told
    assert "badge/regular matched, 1 of 2" in told
    assert "no definition of the game listens to it" in sent(bq, server, "login", "ada", "--dry-run")
    assert bq.facts() == []


def test_properties_come_from_a_file_or_standard_input(bq: Project, server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "properties.json"
    file.write_text('{"amount": 1, "city": "Zürich"}', "utf-8")
    sent(bq, server, "purchase_completed", "ada", "amount=2", "--json", str(file), "--sync")
    subprocess.run(
        [*COMMAND, "events", "send", "purchase_completed", "bob", "--json", "-", "--sync"],
        input=file.read_bytes(),
        env=os.environ | environment(bq, server),
        check=True,
        capture_output=True,
        timeout=30,
    )
    assert [each["properties"]["amount"] for each in bq.facts()] == [1, 2]


def test_a_timestamp_and_a_key_are_passed_on_and_a_repeat_is_one_fact(bq: Project, server: ServerProcess) -> None:
    given = ("--timestamp", "2026-04-02T09:00:00Z", "--idempotency-key", "order-1", "--times", "3", "--sync")
    lines = [line for line in sent(bq, server, "purchase_completed", "ada", *given).splitlines() if "fact_" in line]
    (fact,) = bq.facts()
    assert lines == [fact["fact_id"]] * 3
    assert (fact["occurred_at"], fact["idempotency_key"]) == ("2026-04-02T09:00:00Z", "order-1")


def test_what_can_not_be_sent_is_explained(bq: Project, server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text("[1]")
    for arguments, code, words in (
        (("amount",), 2, "'amount' is not a property: write KEY=VALUE"),
        (("a=1", "a=2"), 2, "the property a is given twice"),
        (("--json", str(file)), 2, "must contain a JSON object"),
        (("--json", str(tmp_path / "none.json")), 2, "can't be read"),
        (("--timestamp", "yesterday"), 1, "timestamp: "),
    ):
        found = refusal(bq, server, "purchase_completed", "ada", *arguments)
        assert (found[0], words in found[1]) == (code, True), found
    assert bq.facts() == []


def test_a_tail_prints_one_line_an_event_plain_when_piped(bq: Project, server: ServerProcess) -> None:
    with Following("tail", env=environment(bq, server)) as tail:
        tail.until_said("following the test environment of " + server.url)
        bq.apply(GAME)
        bq.told({"event_name": "purchase_completed", "participant_id": "ada", "properties": {"amount": 40}})
        bq.told(
            {"event_name": "purchase_completed", "participant_id": "a\u202eb\u001b[31m", "properties": {"amount": 1}}
        )
        lines = [tail.next() for _ in range(3)]
        bq.post("/sandbox/reset", {})
        lines.append(tail.next())
        assert tail.interrupt() == 0
    assert re.fullmatch(r"\S+Z  game version 1: added points/spend, badge/regular", lines[0])
    assert re.fullmatch(r'\S+Z  purchase_completed ada +\{"amount": 40\}  -> \+40 points', lines[1])
    assert r"purchase_completed a\u202eb\x1b[31m" in lines[2]
    assert re.fullmatch(r"\S+Z  the environment was emptied", lines[3])
    assert len(tail.errors) == 1, tail.errors


def test_a_tail_as_json_filters_and_begins_where_it_is_told(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    for name in ("ada", "bob", "ada"):
        bq.told({"event_name": "purchase_completed", "participant_id": name, "properties": {"amount": 1}})
    filters = ("--participant", "ada", "--event", "purchase_completed", "--type", "points.changed")
    with Following("events", "tail", "--json", "--after", "0", *filters, env=environment(bq, server)) as tail:
        found = [json.loads(tail.next()) for _ in range(2)]
        assert tail.interrupt() == 0
    expected = everything(server.url, bq.keys["test"], participant_id="ada")
    assert found == [{"id": each.id, **each.data} for each in expected]


def test_a_tail_on_a_terminal_has_colors_unless_they_are_not_wanted(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    bq.told({"event_name": "purchase_completed", "participant_id": "ada", "properties": {"amount": 40}})
    assert "\x1b[32m-> +40 points" in on_a_terminal(bq, server, {"TERM": "xterm"})
    assert "\x1b" not in on_a_terminal(bq, server, {"TERM": "xterm", "NO_COLOR": "1"})


def on_a_terminal(bq: Project, server: ServerProcess, env: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    tail = subprocess.Popen(
        [*COMMAND, "tail", "--after", "0"],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=plain | environment(bq, server) | env,
    )
    os.close(theirs)
    shown = ""
    try:
        while "points" not in shown.partition("{")[2]:
            shown += os.read(ours, 1 << 16).decode()
    finally:
        tail.terminate()
        tail.wait(30)
        os.close(ours)
    return shown


def test_a_tail_goes_on_where_it_was_when_the_server_was_killed(data_dir: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ServerProcess(data_dir, "--port", str(port))
    try:
        server.start()
        env = {"BQ_URL": server.url, "BQ_API_KEY": server.key}
        with Following("tail", "--json", env=env) as tail:
            tail.until_said("following")
            numbers = []
            for turn in range(3):
                for number in range(2):
                    body = {"event_name": "e", "participant_id": "p", "properties": {"n": 2 * turn + number}}
                    assert server.request("POST", "/ingest/events", json=body).status_code == 202
                server.request("POST", "/sandbox/drain", json={})
                if turn < 2:  # perhaps before they are told: then afterwards
                    server.kill()
                    tail.until_said("reconnecting", turn + 1)
                    server.start()
                    tail.until_said(f"{server.url} again", turn + 1)
            numbers = [json.loads(tail.next())["data"]["properties"]["n"] for _ in range(6)]
            assert numbers == [*range(6)]
            assert server.stop() == 0
            tail.until_said("The server is stopping")
            assert tail.interrupt() == 0
    finally:
        if server.process.poll() is None:
            server.kill()


@pytest.mark.parametrize("arguments", [("tail",), ("listen", "--forward-to", "http://127.0.0.1:1")])
def test_who_can_not_follow_is_told_why(bq: Project, server: ServerProcess, arguments: tuple[str, ...]) -> None:
    for env, code, words in (
        ({"BQ_URL": "http://127.0.0.1:1"}, 1, "http://127.0.0.1:1 can't be reached: "),
        ({"BQ_URL": "127.0.0.1:8080"}, 2, "must start with http://"),
        ({"BQ_API_KEY": "bq_test_" + "0" * 32}, 1, "Send a valid API key"),
        ({"BQ_API_KEY": bq.keys["test:ingest"]}, 1, "This needs the scope read"),
        ({"BQ_URL": server.url + "/docs"}, 1, "There is nothing at"),
    ):
        done = run(*arguments, env=environment(bq, server) | env)
        assert (done.returncode, words in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr


def test_listening_forwards_what_happens_signed_as_webhooks_are(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    with receiving() as receiver:
        with Following("listen", "--forward-to", receiver.url, env=environment(bq, server)) as listen:
            secret = listen.next().removeprefix("secret ")
            listen.until_said("following")
            body = {"event_name": "purchase_completed", "participant_id": "ada", "properties": {"amount": 40}}
            fact_id = bq.told(body)["fact_id"]
            lines = [listen.next() for _ in range(2)]
            receiver.reply = lambda _: (500, {})
            bq.told({"event_name": "login", "participant_id": "ada"})
            failed = listen.next()
            assert listen.interrupt() == 0
        first, second, third = receiver.received
    assert re.fullmatch(r"\S+Z  fact.created ada  -> 204 in \d+ ms", lines[0])
    assert re.fullmatch(r"\S+Z  points.changed ada  -> 204 in \d+ ms", lines[1])
    assert re.fullmatch(r"\S+Z  fact.created ada  -> 500 in \d+ ms", failed)
    for each in (first, second, third):
        assert Webhook(secret).verify(each.raw, dict(each.headers))
    assert first.body["data"]["properties"] == {"amount": 40}
    assert (second.body["type"], second.body["data"]["fact_id"]) == ("points.changed", fact_id)
    assert second.body["data"]["effect"] == bq.get(f"/facts/{fact_id}/effects").json()["effects"][0]
    assert len({each.id for each in (first, second, third)}) == 3


def test_listening_forwards_what_no_fact_tells(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server, server.client() as client, receiving() as receiver:
        client.put("/gamify/admin/game", json={**STREAK, **BOARD})
        client.put("/sandbox/clock", json={"now": NOON})
        env = {"BQ_URL": server.url, "BQ_API_KEY": server.key}
        wanted = ["streak.broken", "leaderboard.rank_changed", "message.dead", "badge.awarded"]
        chosen = [each for name in wanted for each in ("--event", name)]
        with Following("listen", "--forward-to", receiver.url, *chosen, env=env) as listen:
            secret = listen.next().removeprefix("secret ")
            listen.until_said("following")
            client.post("/ingest/events/sync", json={**score("ada", 5), "idempotency_key": "k"})
            assert "leaderboard.rank_changed ada  -> 204" in listen.next()
            client.post("/sandbox/clock/advance", json={"by": "P3D"})
            assert "streak.broken ada  -> 204" in listen.next()
            with stream_of(data_dir) as stream:
                dead_letter_a_conflict(stream)
            assert "message.dead u  -> 204" in listen.next()
            badge = {"code": "b", "name": "B", "criteria": {"on": "act", "target": 1}}
            client.put("/gamify/admin/game", params={"backfill": "true"}, json={**STREAK, **BOARD, "badges": [badge]})
            assert "badge.awarded ada  -> 204" in listen.next()
            assert listen.interrupt() == 0
        assert server.stop() == 0
    assert [each.body["type"] for each in receiver.received] == [wanted[1], wanted[0], *wanted[2:]]
    for each in receiver.received:
        assert Webhook(secret).verify(each.raw, dict(each.headers))
    assert len({each.id for each in receiver.received}) == 4


def test_listening_chooses_takes_a_secret_and_leaves_nothing_when_it_is_killed(
    bq: Project, server: ServerProcess
) -> None:
    bq.apply(GAME)
    secret = "whsec_" + "c2VjcmV0" * 5
    arguments = ("listen", "--forward-to", "http://127.0.0.1:1/nobody", "--event", "badge.awarded", "--secret", secret)
    with Following(*arguments, env=environment(bq, server, "test:read")) as listen:
        assert listen.next() == f"secret {secret}"
        listen.until_said("following")
        for _ in range(2):
            bq.told({"event_name": "purchase_completed", "participant_id": "ada", "properties": {"amount": 40}})
        assert re.search(r"badge.awarded ada  -> no answer: .*refused", listen.next())
        listen.process.kill()
        listen.wait()
    assert bq.get("/webhooks/endpoints").json() == {"endpoints": []}
    until("the feed is closed", lambda: everything(server.url, bq.keys["test"]) != [])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--forward-to", "localhost:3000"), "must start with http://"),
        (("--forward-to", "http://x", "--event", "badge"), "badge can't be forwarded"),
        (("--forward-to", "http://x", "--secret", "whsec_%"), "must be whsec_ and base64"),
    ],
)
def test_mistakes_of_listening_are_told_before_anything_is_done(flags: tuple[str, ...], words: str) -> None:
    done = run("listen", *flags)
    assert (done.returncode, words in done.stderr, done.stdout) == (2, True, ""), done.stderr
