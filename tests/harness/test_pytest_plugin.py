"""The pytest plugin, seen as a team sees it: a directory of tests, and what pytest prints."""

import importlib.metadata
import os
from pathlib import Path

import pytest

from tests.support.client import Project
from tests.support.process import ServerProcess

pytest_plugins = ["pytester"]

REPOSITORY = Path(__file__).parents[2]
INSTALLED = any(each.value == "harness.pytest_plugin" for each in importlib.metadata.entry_points(group="pytest11"))

TESTS = """
def test_sent_is_counted(bq):
    bq.apply({"points": [{"code": "login", "on": "login", "award": 10}]})
    bq.clock.set("2026-04-02T09:00:00Z")
    bq.send("login", "ada")
    bq.send_batch([{"event_name": "login", "participant_id": "ada"}])
    assert bq.drain()["facts"] == 2
    assert bq.state("ada")["points"]["balance"] == 20
    assert {fact["occurred_at"] for fact in bq.facts()} == {"2026-04-02T09:00:00Z"}

def test_nothing_is_left_of_it(bq):
    bq.send("login", "ada")
    bq.drain()
    assert bq.state("ada")["points"]["balance"] == 0
    assert not bq.clock.now().startswith("2026-04-02T09:00:00")
    assert len(bq.facts()) == 1
"""

STORY = """\
name: Two logins are two facts
clock: 2026-04-02T09:00:00Z
game: {points: [{code: login, on: login, award: 10}]}
steps:
  - send: {event_name: login, participant_id: ada}
    times: 2
  - expect: {participant: ada, facts: 2, points: 20}
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty project in which the package can be imported."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY), prepend=os.pathsep)
    monkeypatch.delenv("BQ_API_KEY", raising=False)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    plugin = () if INSTALLED else ("-p", "harness.pytest_plugin")
    return project.runpytest_subprocess(*plugin, "-W", "error", *arguments)


def test_a_client_on_a_clean_environment_and_scenarios_as_tests(project: pytest.Pytester) -> None:
    project.makepyfile(TESTS)
    project.path.joinpath("login.bq.yaml").write_text(STORY)
    project.path.joinpath("login.yaml").write_text("no: scenario")
    result = run(project, "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["login.bq.yaml::Two logins are two facts PASSED*"])


def test_a_game_is_a_file_beside_the_test_or_in_the_working_directory_or_a_text(project: pytest.Pytester) -> None:
    game = "points: [{code: login, on: login, award: %d}]"
    deep = project.mkdir("deep")
    (deep / "game.yaml").write_text(game % 1)
    (project.path / "game.yaml").write_text(game % 2)
    (project.path / "other.yml").write_text(game % 3)
    (deep / "test_games.py").write_text(f"""
from pathlib import Path
import pytest

@pytest.mark.parametrize(
    ("game", "points"),
    [
        ("game.yaml", 1),
        (Path("game.yaml"), 1),
        ("../game.yaml", 2),
        ("other.yml", 3),
        (Path(__file__).with_name("game.yaml"), 1),
        ("{game % 4}", 4),
        ("{game % 5}\\n# not game.yaml", 5),
        ("points: []", 0),
    ],
)
def test_it(bq, game, points):
    bq.apply(game)
    bq.send_sync("login", "ada")
    assert bq.state("ada")["points"]["balance"] == points

def test_nothing_is_there(bq):
    with pytest.raises(FileNotFoundError, match="nothere.yaml"):
        bq.apply("nothere.yaml")
""")
    run(project).assert_outcomes(passed=9)


def test_a_failing_scenario_tells_its_story_and_no_traceback(project: pytest.Pytester) -> None:
    project.path.joinpath("login.bq.yaml").write_text(STORY.replace("points: 20}", "points: 30}"))
    result = run(project, "--bq-mode", "shuffled", "--bq-seed", "7")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*login.bq.yaml:7: step 2, expect of ada*", "*expected*actual*", "*points.balance*30*20*"]
    )
    result.stdout.fnmatch_lines(["played by --bq-mode shuffled; --bq-seed 7 repeats it"])
    assert "Traceback" not in result.stdout.str()
    assert "runtest" not in result.stdout.str()


def test_a_mistake_in_a_file_is_an_error_of_collection(project: pytest.Pytester) -> None:
    project.path.joinpath("login.bq.yaml").write_text(STORY.replace("times: 2", "tims: 2"))
    result = run(project)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*login.bq.yaml:6:5: unknown key tims; did you mean times?"])
    assert "Traceback" not in result.stdout.str()


def test_every_worker_has_a_server_of_its_own(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import os, pytest

        @pytest.mark.parametrize("number", range(6))
        def test_alone(bq, bq_server, number):
            with open("servers.txt", "a") as file:
                file.write(f"{os.environ['PYTEST_XDIST_WORKER']} {bq_server.url}\\n")
            for _ in range(10):
                bq.send("login", "ada")
            assert bq.drain()["facts"] == 10
    """)
    project.path.joinpath("login.bq.yaml").write_text(STORY)
    run(project, "-n", "2").assert_outcomes(passed=7)
    used = {tuple(line.split()) for line in (project.path / "servers.txt").read_text().splitlines()}
    assert len(used) == len({worker for worker, _ in used}) == len({url for _, url in used}) == 2


def test_without_use_it_imports_and_starts_nothing(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    project.makepyfile("""
        import sys

        def test_of_others():
            costly = {"httpx", "yaml", "pydantic", "rich", "asyncio", "bq_server", "harness.client"}
            assert "harness.pytest_plugin" in sys.modules
            assert not costly & sys.modules.keys()
    """)
    # Not `run`: nothing but this plugin.
    result = project.runpytest_subprocess("-p", "harness.pytest_plugin", "-W", "error")
    result.assert_outcomes(passed=1)


def test_against_a_running_server(project: pytest.Pytester, server: ServerProcess, bq: Project) -> None:
    project.makepyfile(TESTS)
    project.path.joinpath("login.bq.yaml").write_text(STORY)
    bq.apply({"badges": [{"code": "ours", "name": "Ours"}]})
    assert bq.request("PUT", "/sandbox/clock", json={"now": "2031-05-06T07:08:09Z"}).status_code == 200
    run(project, "--bq-url", server.url, "--bq-api-key", bq.keys["test"]).assert_outcomes(passed=3)
    (fact,) = bq.facts()
    assert fact["participant_id"] == "ada"
    assert bq.game()["game"] == {"badges": [{"code": "ours", "name": "Ours"}]}, "it is put back"
    assert bq.get("/sandbox/clock").json()["now"] == "2031-05-06T07:08:09Z"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bq-url", "http://127.0.0.1:1"], "*--bq-url needs a key of a test environment*"),
        (["--bq-url", "http://127.0.0.1:1", "--bq-api-key", "bq_live_1"], "*--bq-url needs a key of a test*"),
        (["--bq-api-key", "bq_test_1"], "*--bq-api-key needs --bq-url*"),
        (["--bq-url", "http://127.0.0.1:1", "--bq-api-key", "bq_test_1", "-n", "2"], "*can't be used with -n*"),
    ],
)
def test_what_cannot_be_meant_is_refused(project: pytest.Pytester, arguments: list[str], complaint: str) -> None:
    project.makepyfile(TESTS)
    result = run(project, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([complaint])
    assert "Traceback" not in result.stderr.str()
