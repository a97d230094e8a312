"""`bq-server harness run` and `bq-server harness schema`, as a person or a CI job runs them."""

import json
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from runpy import run_path
from xml.etree import ElementTree as ET

import pytest

from harness.client import Client
from harness.private_server import PrivateServer
from tests.support.process import COMMAND, run

GOOD = """\
name: A point for each purchase
game: {points: [{code: spend, on: buy, award: 1}]}
steps:
  - send: {event_name: buy, participant_id: ada}
  - expect: {participant: ada, points: 1}
"""
BAD = GOOD.replace("A point", "Two points").replace("points: 1}\n", "points: 2}\n")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("BQ_")}


def processes_of(directory: Path) -> list[str]:
    """The command lines of running programs that name a directory."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(each.read_text("utf-8", errors="replace").replace("\0", " "))
    return [line for line in found if str(directory) in line]


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    """A directory with a story that holds and one that doesn't, and a game."""
    directory = tmp_path / "stories"
    (directory / "points").mkdir(parents=True)
    (directory / "points" / "one.yaml").write_text(GOOD)
    (directory / "two.yml").write_text(BAD)
    (directory / "game.yaml").write_text("points: []\n")
    return directory


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    with PrivateServer() as server:
        yield server


def test_stories_that_hold(stories: Path, tmp_path: Path) -> None:
    ended = run("harness", "run", str(stories), "-k", "one", env={"TMPDIR": str(tmp_path)})
    assert ended.returncode == 0, ended.stderr
    story, summary = ended.stdout.splitlines()
    assert story.startswith(f"passed  {stories}/points/one.yaml  A point for each purchase  (")
    assert summary.startswith("1 scenario, mode stream: 1 passed, 0 failed in ")
    assert ended.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["stories"]


def test_a_story_that_does_not_hold(stories: Path, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    ended = run("harness", "run", str(stories), "-j", "2", "--seed", "7", "--junit", str(junit))
    assert ended.returncode == 1, ended.stderr
    assert "\x1b" not in ended.stdout
    lines = ended.stdout.splitlines()
    assert sum(line.startswith("passed  ") for line in lines) == 1
    failed = next(index for index, line in enumerate(lines) if line.startswith("FAILED  "))
    assert "Two points for each purchase" in lines[failed]
    assert lines[failed + 1] == f"  {stories}/two.yml:5: step 2, expect of ada: not as expected"
    assert lines[failed + 2].split() == ["expected", "actual"]
    assert lines[failed + 3].split() == ["points.balance", "2", "1"]
    assert any("applied: points/spend" in line for line in lines)
    assert lines[-1].startswith("2 scenarios, mode stream: 1 passed, 1 failed in ")
    assert lines[-1].endswith(" s (seed 7)")
    (suite,) = ET.parse(junit).getroot()  # noqa: S314 - written by ourselves
    assert {name: suite.attrib[name] for name in ("tests", "failures", "errors")} == {
        "tests": "2",
        "failures": "1",
        "errors": "0",
    }
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    assert cases.keys() == {"A point for each purchase", "Two points for each purchase"}
    assert all(float(case.attrib["time"]) > 0 for case in cases.values())
    assert cases["A point for each purchase"].attrib["classname"].endswith("stories.points.one")
    (failure,) = cases["Two points for each purchase"]
    assert failure.attrib["message"].endswith("not as expected")
    assert "points.balance  2         1" in (failure.text or "")


@pytest.mark.parametrize("mode", ["sync", "both", "shuffled"])
def test_json_tells_the_same(stories: Path, server: PrivateServer, mode: str) -> None:
    ended = run(
        *("harness", "run", str(stories), "--mode", mode, "--json", "--seed", "3"),
        *("--url", server.url, "--api-key", server.key),
    )
    assert ended.returncode == 1, ended.stderr
    told = json.loads(ended.stdout)
    assert {name: told[name] for name in ("mode", "seed", "total", "passed", "failed")} == {
        "mode": mode,
        "seed": 3,
        "total": 2,
        "passed": 1,
        "failed": 1,
    }
    good, bad = sorted(told["scenarios"], key=lambda each: each["name"])
    assert (good["passed"], good["failures"]) == (True, [])
    assert bad["path"] == f"{stories}/two.yml"
    assert {(each["step"], each["line"]) for each in bad["failures"]} == {(2, 5)}


def test_a_mistake_in_any_file_plays_nothing(stories: Path, server: PrivateServer) -> None:
    (stories / "three.yaml").write_text("name: x\nsteps:\n  - sned: {}\n  - advance: P1D\n    by: 1\n")
    with Client(server.url, server.key) as client:
        client.send_sync("buy", "zoe")
        ended = run("harness", "run", str(stories), "--url", server.url, "--api-key", server.key)
        assert ended.returncode == 2
        assert ended.stdout == ""
        first, second, last = ended.stderr.splitlines()
        assert first.startswith(f"{stories}/three.yaml:3:5: a step needs one of send, ")
        assert second == f"{stories}/three.yaml:5:5: unknown key by"
        assert last == "bq-server: 2 mistakes; nothing was played"
        assert client.state("zoe")["total_events"] == 1


def test_what_cannot_be_run(stories: Path, tmp_path: Path, server: PrivateServer) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "tmp").mkdir()
    one = str(stories / "points" / "one.yaml")
    live = run("keys", "create", "--env", "live", "--scope", "admin", "--data-dir", str(server.data_dir)).stdout.strip()
    reader = run(
        "keys", "create", "--env", "test", "--scope", "read", "--data-dir", str(server.data_dir)
    ).stdout.strip()
    assert live.startswith("bq_live_")
    for arguments, sentence in (
        ([str(tmp_path / "empty")], "there is no scenario in "),
        ([str(tmp_path / "nothere")], "can't be read: No such file"),
        ([str(stories / "game.yaml")], "this isn't a scenario: it has no steps"),
        ([str(stories), "-k", "stories"], "none of 2 scenarios is selected by -k 'stories'"),
        ([one, "-k", "nothing"], "none of 1 scenarios is selected by -k 'nothing'"),
        ([one, "-k", "one and"], "-k 'one and': ends too early"),
        ([one, "--junit", str(tmp_path / "no" / "file.xml")], "there is no such directory"),
        ([one, "--url", server.url], "give --api-key, or set BQ_API_KEY"),
        ([one, "--url", "localhost"], "must start with http:// or https://"),
        ([one, "--url", "http://127.0.0.1:9", "--api-key", server.key], "http://127.0.0.1:9/api/v1/ can't be reached"),
        ([one, "--url", server.url, "--api-key", live], "refuses to run scenarios with this key"),
        ([one, "--url", server.url, "--api-key", reader], "refuses to run scenarios with this key"),
        ([one, "--url", server.url, "--api-key", "bq_test_"], "refuses to run scenarios with this key"),
        ([one, "--url", server.url, "--api-key", server.key, "-j", "2"], "-j 2 can't be used with --url"),
        ([one, "--mode", "backwards"], "'backwards' is not one of"),
    ):
        ended = run("harness", "run", *arguments, env={"TMPDIR": str(tmp_path / "tmp")})
        assert list((tmp_path / "tmp").iterdir()) == []
        assert ended.returncode == 2, (arguments, ended.stdout, ended.stderr)
        assert sentence in " ".join(ended.stderr.split()), (arguments, ended.stderr)
        assert "Traceback" not in ended.stderr


def test_a_running_server_is_named_by_variables(stories: Path, server: PrivateServer) -> None:
    variables = {"BQ_URL": server.url, "BQ_API_KEY": server.key}
    ended = run("harness", "run", str(stories / "two.yml"), "--yes", env=variables)
    assert ended.returncode == 1, ended.stderr
    with Client(server.url, server.key) as client:
        assert client.state("ada")["points"]["balance"] == 1


def test_a_scenario_that_breaks_the_harness_is_one_that_fails(stories: Path, tmp_path: Path) -> None:
    # A server that answers without saying anything, as no bq-server does.
    class Empty(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - the names are given

        def log_message(self, *_: object) -> None:
            pass

    junit = tmp_path / "junit.xml"
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as nobody:
        threading.Thread(target=nobody.serve_forever).start()
        url = f"http://127.0.0.1:{nobody.server_port}"
        ended = run("harness", "run", str(stories), "--url", url, "--api-key", "k", "--json", "--junit", str(junit))
        nobody.shutdown()
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    told = json.loads(ended.stdout)
    assert (told["passed"], told["failed"]) == (0, 2)
    assert all("the harness failed: KeyError: " in each["failures"][0]["text"] for each in told["scenarios"])
    assert len(list(ET.parse(junit).iter("failure"))) == 2  # noqa: S314 - written by ourselves


def test_a_server_that_does_not_start_is_reported_too(stories: Path, tmp_path: Path) -> None:
    broken = tmp_path / "python" / "sitecustomize.py"
    broken.parent.mkdir()
    broken.write_text("import os, sys\nif 'serve' in sys.orig_argv: os._exit(7)\n")
    junit = tmp_path / "junit.xml"
    arguments = ("harness", "run", str(stories), "--json", "--junit", str(junit))
    path = os.pathsep.join([str(broken.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = run(*arguments, env={"PYTHONPATH": path})
    assert ended.returncode == 2, ended.stderr
    assert "bq-server: the server ended with 7" in ended.stderr
    assert "Traceback" not in ended.stderr
    told = json.loads(ended.stdout)
    assert (told["total"], told["scenarios"]) == (2, [])
    assert len(list(ET.parse(junit).iter("testcase"))) == 0  # noqa: S314 - written by ourselves


def _in_the_background() -> None:
    """As a shell starts what ends with `&`, and not as `nohup` does, whatever started these tests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_broken_off_tells_what_was_played_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    directory, temporary, junit = tmp_path / "stories", tmp_path / "tmp", tmp_path / "junit.xml"
    directory.mkdir()
    temporary.mkdir()
    for story in range(400):
        (directory / f"{story:03}.yaml").write_text(GOOD)
    process = subprocess.Popen(
        [*COMMAND, "harness", "run", str(directory), "--junit", str(junit)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=CLEAN | {"TMPDIR": str(temporary)},
        preexec_fn=_in_the_background,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("passed  "), first + process.communicate()[1]
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "bq-server: interrupted" in errors
    assert "Traceback" not in errors
    summary = output.splitlines()[-1]
    assert summary.startswith("400 scenarios, mode stream: ")
    assert " not played in " in summary
    assert len(list(ET.parse(junit).iter("testcase"))) > 0  # noqa: S314 - written by ourselves
    assert list(temporary.glob("bq-harness-*")) == []
    assert processes_of(temporary) == []


def test_a_terminal_shows_only_what_fails(stories: Path, server: PrivateServer) -> None:
    ours, theirs = pty.openpty()
    arguments = ["harness", "run", str(stories), "--url", server.url, "--api-key", server.key]
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=theirs, stderr=theirs, env=CLEAN | {"TERM": "xterm", "COLUMNS": "200"}
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # Linux tells the end of a terminal so
            pass
        finally:
            os.close(ours)
        assert process.wait(timeout=30) == 1
    text = shown.decode()
    assert "\x1b[" in text
    assert "FAILED" in text
    assert "A point for each purchase" not in text
    assert "2 scenarios, mode stream: 1 passed, 1 failed" in text


def test_the_schema_is_printed() -> None:
    ended = run("harness", "schema")
    assert ended.returncode == 0
    schema = json.loads(ended.stdout)
    assert schema["title"] == "bq-server scenario"
    assert schema["required"] == ["name", "steps"]


@pytest.mark.parametrize("packed", [False, True], ids=["files", "archive"])
def test_shipped_stories_are_named_as_in_the_source_wherever_the_program_is(tmp_path: Path, packed: bool) -> None:
    # As in the executable, where what is shipped is an archive, in a directory that has another name in each run.
    unpacked, source = tmp_path / "_MEI123456", Path(__file__).parents[2]
    (unpacked / "harness").mkdir(parents=True)
    (unpacked / "bq_server").symlink_to(source / "bq_server")
    for each in (source / "harness").iterdir():
        if each.name != "scenarios" or not packed:
            (unpacked / "harness" / each.name).symlink_to(each)
    if packed:
        written = run_path(str(source / "packaging" / "stored.py"))["write_scenarios"]
        written(unpacked / "harness", source / "harness" / "scenarios")
    junit = tmp_path / "junit.xml"
    ended = run(
        *("harness", "run", "-k", "badges and by_hand or spring_sale", "--json", "--junit", str(junit)),
        env={"PYTHONPATH": str(unpacked), "PYTHONSAFEPATH": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    # The second has its game in another file.
    names = [f"harness/scenarios/{name}.yaml" for name in ("badges/by_hand", "challenges/spring_sale")]
    assert [each["path"] for each in json.loads(ended.stdout)["scenarios"]] == names
    assert unpacked.name not in ended.stdout + junit.read_text()
