"""No command destroys what it wasn't pointed at: another environment, a live game, somebody's clock."""

import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.client import Client
from tests.support.process import COMMAND, ServerProcess, run, until

STORY = """\
name: A point for each purchase
game: {points: [{code: spend, on: buy, award: 1}]}
clock: 2020-01-01T00:00:00Z
steps:
  - send: {event_name: buy, participant_id: ada}
  - expect: {participant: ada, points: 1}
"""
OURS = {"badges": [{"code": "ours", "name": "Ours"}]}
FACTS_AND_GAME = "1 fact and a game of 1 definition"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("commands") / "data") as server:
        yield server
        assert server.stop() == 0


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    """Of the test environment, which has a fact and a game that somebody cares for."""
    with Client(server.url, server.key) as client:
        client.reset(game=True)
        client.apply(OURS)
        client.send_sync("worth_keeping", "zoe")
        yield client


@pytest.fixture(scope="module")
def live(server: ServerProcess) -> str:
    """A key that may do everything, of the live environment."""
    made = run("keys", "create", "--env", "live", "--scope", "admin", "--data-dir", str(server.data_dir))
    key = made.stdout.strip()
    until("the key is known", lambda: server.request("GET", "/facts", key).status_code == 200)
    return key


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.yaml"
    path.write_text(STORY)
    return path


def variables(server: ServerProcess, key: str | None = None) -> dict[str, str]:
    return {"BQ_URL": server.url, "BQ_API_KEY": key or server.key}


def at_a_terminal(answer: str, *arguments: str, env: dict[str, str]) -> tuple[int, str]:
    """Run a command with a person before it, who types this; its exit code and what the person saw."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | env
    ) as process:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        shown = b""
        with suppress(OSError):  # Linux tells the end of a terminal so
            while part := os.read(ours, 65536):
                shown += part
        os.close(ours)
        return process.wait(timeout=30), " ".join(shown.decode().split())


def names(client: Client) -> list[str]:
    return [fact["event_name"] for fact in client.facts()]


def game(client: Client) -> object:
    return client.call("GET", "/gamify/admin/game")["game"]


def test_a_run_empties_no_environment_that_only_variables_name(
    server: ServerProcess, client: Client, story: Path
) -> None:
    ended = run("harness", "run", str(story), env=variables(server))
    assert ended.returncode == 2
    assert f"this empties the test environment of {server.url} (BQ_URL), which has {FACTS_AND_GAME}" in ended.stderr
    assert "--url or --yes" in ended.stderr
    code, shown = at_a_terminal("n", "harness", "run", str(story), env=variables(server))
    assert (code, "Empty it?" in shown, "nothing was done" in shown) == (1, True, True)
    assert (names(client), game(client)) == (["worth_keeping"], OURS)


@pytest.mark.parametrize("consent", ["--url", "--yes", "a person"])
def test_a_run_puts_the_game_and_the_clock_back(
    server: ServerProcess, client: Client, story: Path, consent: str
) -> None:
    client.clock.set("2031-05-06T07:08:09Z")
    if consent == "a person":
        code, shown = at_a_terminal("y", "harness", "run", str(story), env=variables(server))
    else:
        flags = ["--url", server.url] if consent == "--url" else ["--yes"]
        ended = run("harness", "run", str(story), *flags, env=variables(server))
        code, shown = ended.returncode, ended.stdout + ended.stderr
    assert code == 0, shown
    assert (names(client), game(client)) == (["buy"], OURS)
    assert client.clock.now() == "2031-05-06T07:08:09Z"
    assert client.call("GET", "/sandbox/clock")["frozen"] is True


def test_a_run_that_fails_puts_them_back_and_a_clock_that_went_on_goes_on(
    server: ServerProcess, client: Client, story: Path
) -> None:
    story.write_text(STORY.replace("points: 1}\n", "points: 2}\n"))
    client.clock.set("2031-05-06T07:08:09Z", frozen=False)
    assert run("harness", "run", str(story), "--url", server.url, env=variables(server)).returncode == 1
    clock = client.call("GET", "/sandbox/clock")
    assert (game(client), clock["real"], clock["frozen"]) == (OURS, False, False)
    assert clock["now"][:19] >= "2031-05-06T07:08:09"
    client.clock.reset()
    assert run("harness", "run", str(story), "--url", server.url, env=variables(server)).returncode == 1
    assert client.call("GET", "/sandbox/clock")["real"] is True


def test_a_run_needs_no_consent_where_nothing_is_lost(server: ServerProcess, client: Client, story: Path) -> None:
    client.reset(game=True)
    ended = run("harness", "run", str(story), env=variables(server))
    assert ended.returncode == 0, ended.stderr
    assert names(client) == ["buy"]


def test_the_example_is_not_played_in_a_live_environment(server: ServerProcess, live: str) -> None:
    with Client(server.url, live) as client:
        client.apply(OURS)
        before = game(client)
        ended = run("game", "example", env=variables(server, live))
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "it needs a key of a test environment" in ended.stderr
        assert (game(client), names(client)) == (before, [])


def test_the_example_replaces_a_test_game_only_with_consent(server: ServerProcess, client: Client) -> None:
    ended = run("game", "example", env=variables(server))
    assert ended.returncode == 2
    assert f"this would replace the test game of {server.url}, 1 definition" in ended.stderr
    assert (game(client), names(client)) == (OURS, ["worth_keeping"])
    ended = run("game", "example", "--yes", env=variables(server))
    assert ended.returncode == 0, ended.stderr
    assert "the example game is applied" in ended.stdout


def test_live_definitions_are_removed_only_with_consent(server: ServerProcess, live: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("points: []\n")
    with Client(server.url, live) as client:
        client.apply(OURS)
        ended = run("game", "apply", str(empty), env=variables(server, live))
        assert ended.returncode == 2
        assert "- badge/ours" in ended.stdout
        assert f"this would remove 1 definition from the live game of {server.url}" in ended.stderr
        assert "--allow-removal" in ended.stderr
        assert run("game", "apply", str(empty), "--dry-run", env=variables(server, live)).returncode == 0
        code, shown = at_a_terminal("n", "game", "apply", str(empty), env=variables(server, live))
        assert (code, "nothing was done" in shown) == (1, True)
        assert game(client) == OURS
        code, shown = at_a_terminal("y", "game", "apply", str(empty), env=variables(server, live))
        assert (code, game(client)) == (0, {}), shown
        client.apply(OURS)
        ended = run("game", "apply", str(empty), "--allow-removal", env=variables(server, live))
        assert (ended.returncode, game(client)) == (0, {}), ended.stderr


def test_adding_to_a_live_game_asks_nothing(server: ServerProcess, live: str, tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("badges: [{code: ours, name: Ours}, {code: more, name: More}]\n")
    with Client(server.url, live) as client:
        client.apply(OURS)
    ended = run("game", "apply", str(more), env=variables(server, live))
    assert ended.returncode == 0, ended.stderr
