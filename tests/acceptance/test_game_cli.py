"""`bq-server game`, and a server that keeps its game the same as a file."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bq_server.game.document.parser import read_document
from tests.support.client import Json, event
from tests.support.game import SPRING
from tests.support.process import ServerProcess, run, until
from tests.support.valkey import free_port

# Each line with a mistake ends with where the mistake is, in quotes, and a word that tells it.
MISTAKES = """\
points:
  - {code: a, on: act, award: 1, wen: "true"}  # "wen:" when
  - {code: b, on: act, award: properties.x +}  # "}" award
  - {code: c, on: act, award: 1}
  - {code: c, on: act, award: 1}  # "c," twice
  - {code: d, award: 1}  # "{code" on
  - {code: e, on: act, when: nope == 1, award: 1}  # "nope" nope
  - {code: a/b, on: act, award: 1}  # "a/b" slash
  - {code: f, on: act, award: 1, starts_at: yesterday}  # "yesterday" ISO
  - {code: g, on: [], award: 1}  # "[]" least
badges:
  - {code: h, name: H, rarity: shiny}  # "shiny" legendary
  - {code: i, name: I, criteria: {on: act, aggregate: sum, target: 1}}  # "{on" of
  - {code: j, name: J, criteria: {on: act, target: 1.5}}  # "{on" whole
  - {code: k, name: K, criteria: {on: act, target: 0}}  # "0}" greater
challenges:
  - {code: x, name: X, enrolment: none, objectives: [{code: o, on: act, target: 1}]}  # "none" explicit
  - {code: y, name: Y, objectives: []}  # "[]" least
  - code: cycle
    name: Cycle
    objectives:
      - {code: a, on: act, target: 1, prerequisites: [b]}  # "[b]" itself
      - {code: b, on: act, target: 1, prerequisites: [a]}  # "[a]" itself
      - {code: c, on: act, target: 1, prerequisites: [zzz]}  # "zzz" zzz
    milestones:
      - {at: 0.5, rewards: [{badge: ghost}]}  # "ghost" ghost
    rewards: [{badge: phantom}]  # "phantom" phantom
  - code: dates
    name: Dates
    objectives: [{code: o, on: act, target: 1}]
    duration: {type: fixed, starts_at: 2026-05-01T00:00:00Z, ends_at: 2026-04-01T00:00:00Z}  # "{type" before
  - code: lasting
    name: Lasting
    objectives: [{code: o, on: act, target: 1}]
    duration: {type: eternal}  # "{type" perpetual
streaks:
  - {code: s, on: act, period: minutely}  # "minutely" weekly
  - {code: t, on: act, timezone: Mars/Olympus}  # "Mars" zone
  - {code: u, on: act, milestones: [{at: 3, rewards: [{points: 1, badge: h}]}]}  # "{points" either
tiers:
  - {code: bronze, name: Bronze, level: 1, min_points: 0}
  - {code: silver, name: Silver, level: 2, min_points: 500}
  - {code: gold, name: Gold, level: 3, min_points: 500}  # "500" overlaps
  - {code: ruby, name: Ruby, level: 3, min_points: 700}  # "3," level
  - {code: cheap, name: Cheap, level: 9, min_points: 10}  # "10}" fewer
leaderboards:
  - {code: l, name: L, metric: score}  # "score" points
  - {code: m, name: M, metric: points, window: [daily, daily]}  # "[daily" twice
  - {code: n, name: N, metric: points, window: hourly}  # "hourly" daily
"""


@pytest.fixture
def server(data_dir: Path) -> Iterator[ServerProcess]:
    """A server of its own, whose first key may do everything."""
    with ServerProcess(data_dir) as server:
        yield server
        assert server.stop() == 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good game."""
    path = tmp_path / "game.yaml"
    path.write_text(SPRING)
    return path


def game_of(server: ServerProcess) -> Json:
    answer: Json = server.request("GET", "/gamify/admin/game").json()
    return answer


def test_a_good_file_is_good(file: Path) -> None:
    checked = run("game", "check", str(file))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "1 challenges" in checked.stdout
    file.write_text(json.dumps(read_document(SPRING).data))
    assert run("game", "check", str(file)).returncode == 0, "and so it is in JSON"


@pytest.mark.parametrize("more", ["points_expire: {after: P30D}", "transfers: true", "overdraft: allowed"])
def test_what_is_no_list_is_not_counted(tmp_path: Path, more: str) -> None:
    file = tmp_path / "game.yaml"
    file.write_text(f"points: [{{code: a, on: act, award: 1}}]\n{more}\n")
    checked = run("game", "check", str(file))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == f"{file}: ok: 1 points\n"


def test_every_mistake_is_told_with_its_line_and_column(file: Path) -> None:
    file.write_text(MISTAKES)
    checked = run("game", "check", str(file))
    assert checked.returncode == 1
    assert "Traceback" not in checked.stderr
    told = checked.stderr.splitlines()
    missing = []
    places = set()
    for number, line in enumerate(MISTAKES.splitlines(), 1):
        if match := re.search(r'^(.*)  # "(.*)" (\w+)$', line):
            column = match[1].rindex(match[2]) + 1
            places.add(f"{file}:{number}:")
            if not any(each.startswith(f"{file}:{number}:{column}: error: ") and match[3] in each for each in told):
                missing.append((f"{number}:{column}", match[3], [each for each in told if f":{number}:" in each]))
    assert missing == []
    assert [each for each in told if not each.startswith(tuple(places))] == [], "nothing else is wrong"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (b"points: [\n  {code: a\n", "3:1", "not YAML"),
        (b'{"points": [\n  {"code": "a" "b"}]}', "2:16", "not"),
        (b"points: []\npoints: []\n", "2:1", "twice"),
        (b"", "1:1", "mapping"),
        (b"points: 7\n", "1:9", "list"),
        (b"quests: []\n", "1:1", "quests"),
        (b"points:\n  - \xff\n", "2:5", "UTF-8"),
    ],
)
def test_what_is_no_game_at_all(file: Path, text: bytes, place: str, said: str) -> None:
    file.write_bytes(text)
    checked = run("game", "check", str(file))
    assert checked.returncode == 1
    (line,) = checked.stderr.splitlines()
    assert line.startswith(f"{file}:{place}: error: ")
    assert said in line


def test_a_doubtful_expression_is_a_warning_and_the_file_is_good(file: Path) -> None:
    file.write_text("points:\n  - {code: a, on: act, award: properties.amount * 2}\n")
    checked = run("game", "check", str(file))
    assert checked.returncode == 0
    assert f"{file}:2:51: warning: " in checked.stdout + checked.stderr
    assert "2.0" in checked.stdout + checked.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for command in ("check", "apply"):
        ended = run("game", command, str(tmp_path / "none.yaml"))
        assert ended.returncode == 2
        assert "none.yaml" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_the_schema_is_one_that_the_game_satisfies() -> None:
    shown = run("game", "schema")
    assert shown.returncode == 0
    schema = json.loads(shown.stdout)
    assert {"points", "badges", "challenges", "streaks", "tiers", "leaderboards"} <= schema["properties"].keys()
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    validator.check_schema(schema)
    good = read_document(SPRING).data
    assert list(validator(schema).iter_errors(good)) == []
    mistaken: list[Json] = [
        {"quests": []},
        {"points": [{"code": "a", "on": "act", "award": 1, "wen": "true"}]},
        {"badges": [{"code": "a", "name": "A", "rarity": "shiny"}]},
        {"badges": [{"code": "a" * 51, "name": "A"}]},
        {"streaks": [{"code": "a"}]},
    ]
    for wrong in mistaken:
        assert list(validator(schema).iter_errors(wrong)), wrong


# Applying


def apply(server: ServerProcess, file: Path, *flags: str, key: str | None = None) -> tuple[int, str, str]:
    ended = run("game", "apply", str(file), "--url", server.url, "--api-key", key or server.key, *flags)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout, ended.stderr


def test_a_game_is_applied_with_its_plan_first(server: ServerProcess, file: Path) -> None:
    code, out, _ = apply(server, file, "--dry-run")
    assert (code, game_of(server)["version"]) == (0, 0)
    assert "+ challenge/spring_sale" in out.splitlines()
    assert "9 added, 0 changed, 0 removed, 0 unchanged; 0 participants affected" in out
    code, again, _ = apply(server, file)
    assert code == 0
    assert again.startswith(out)
    assert "applied as version 1" in again
    assert game_of(server)["version"] == 1

    bought = event(properties={"amount": 40, "currency": "USD"})
    for _ in range(2):
        assert server.request("POST", "/ingest/events/sync", json=bought).status_code == 200
    file.write_text(SPRING.replace("target: 1}\n  - {code: champion", "target: 2}\n  - {code: champion"))
    code, out, _ = apply(server, file)
    assert code == 0
    assert "~ badge/first_purchase" in out.splitlines()
    assert "0 added, 1 changed, 0 removed, 8 unchanged; 1 participants affected" in out
    (refold,) = game_of(server)["refolds"]
    assert refold["finished_at"], "it waits until all is computed"

    file.write_text("{}")
    code, out, _ = apply(server, file, "--dry-run")
    assert "- tier/gold" in out.splitlines()
    assert game_of(server)["game"] != {}


def test_a_backfill_counts_what_was_stored_before(server: ServerProcess, file: Path) -> None:
    bought = event(properties={"amount": 40, "currency": "USD"})
    assert server.request("POST", "/ingest/events/sync", json=bought).status_code == 200
    code, out, _ = apply(server, file, "--backfill")
    assert code == 0
    assert "1 participants affected" in out
    assert server.request("GET", "/gamify/participants/user_123/points").json()["balance"] == 40


def test_the_url_and_the_key_come_from_the_environment_too(server: ServerProcess, file: Path) -> None:
    ended = run("game", "apply", str(file), env={"BQ_URL": server.url + "/", "BQ_API_KEY": server.key})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert game_of(server)["version"] == 1


def test_what_cannot_be_applied_ends_with_a_sentence(server: ServerProcess, file: Path) -> None:
    code, _, err = apply(server, file, key="bq_test_" + "0" * 32)
    assert code == 1
    assert "key" in err
    file.write_text(MISTAKES)
    code, _, err = apply(server, file)
    assert code == 1
    assert "line 2, column 34" in err
    assert game_of(server)["version"] == 0
    nobody = f"http://127.0.0.1:{free_port()}"
    ended = run("game", "apply", str(file), "--url", nobody, "--api-key", server.key)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert f"{nobody} can't be reached" in ended.stderr
    ended = run("game", "apply", str(file), "--url", "localhost:8080", "--api-key", server.key)
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert "http://" in ended.stderr


def test_explain_says_each_rule_and_no_control_character(tmp_path: Path) -> None:
    game = tmp_path / "game.yaml"
    game.write_text('points:\n  - {code: visit, name: "\\e[2JVisit", on: visited, award: 5}\n')
    explained = run("game", "explain", str(game))
    assert explained.returncode == 0, explained.stderr
    assert explained.stdout.splitlines()[:3] == [
        "Points",
        '  visit "\\x1b[2JVisit"',
        "    Each visited gives 5 points.",
    ]
    game.write_text("points: [{code: a}]\n")
    refused = run("game", "explain", str(game))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{game}:1:10: error: points[0]: needs on" in refused.stderr


# A server with a game file


def test_a_server_keeps_its_game_the_same_as_its_file(data_dir: Path, file: Path) -> None:
    with ServerProcess(data_dir, "--game", str(file)) as server:
        first = game_of(server)
        assert (first["version"], first["game"]["badges"][0]["code"]) == (1, "first_purchase")

        file.write_text("badges:\n  - {code: changed, name: Changed}\n")
        until("the new game is applied", lambda: game_of(server)["version"] > 1)
        second = game_of(server)
        assert [badge["code"] for badge in second["game"]["badges"]] == ["changed"]

        file.write_text("badges:\n  - {code: changed, nam: Changed}\n")
        until("the mistake is logged", lambda: "unknown key nam" in server.log)
        assert "2:21" in server.log
        assert game_of(server) == second, "the game is as it was"
        file.unlink()
        until("the lack is logged", lambda: "game.unreadable" in server.log)
        assert game_of(server) == second

        file.write_text(SPRING)
        until("it is applied again", lambda: game_of(server)["game"] == first["game"])
        version = game_of(server)["version"]
        assert server.stop() == 0
        server.start()
        assert game_of(server)["version"] >= version
        assert game_of(server)["game"] == first["game"]
        assert server.stop() == 0


@pytest.mark.parametrize("text", [None, "points: [{code: a}]\n"], ids=["missing", "broken"])
def test_a_server_does_not_start_with_a_game_that_cannot_be_applied(
    data_dir: Path, file: Path, text: str | None
) -> None:
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    ended = run("serve", "--port", "0", "--data-dir", str(data_dir), "--game", str(file))
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert f"the game {file} can't be applied" in ended.stderr


def test_a_start_that_fails_for_its_game_does_not_use_up_the_first_key(tmp_path: Path, data_dir: Path) -> None:
    game = tmp_path / "game.yaml"
    game.write_text("points: nope")
    failed = run("serve", "--port", "0", "--data-dir", str(data_dir), "--game", str(game))
    assert (failed.returncode, "bq_test_" in failed.stdout) == (1, False)
    game.write_text("points: []")
    with ServerProcess(data_dir, "--game", str(game)) as server:
        assert server.key.startswith("bq_test_")
        assert server.request("GET", "/facts").status_code == 200
        assert server.stop() == 0
