"""`bq-server harness conform`: what it prints, and what it says when there is nothing to examine."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from bq_server.cli import app
from tests.support.client import Project
from tests.support.process import ServerProcess, run
from tests.support.proxy import Answer, Forward, Sent, faulty

Conform = Callable[..., Result]


@pytest.fixture
def conform(bq: Project, server: ServerProcess) -> Conform:
    """Run the command against the server, or whatever the options say instead."""

    def invoke(*options: str) -> Result:
        aim = ("--url", server.url) if "--url" not in options else ()
        key = ("--api-key", bq.keys["test"]) if "--api-key" not in options else ()
        return CliRunner().invoke(app, ["harness", "conform", *aim, *key, *options])

    return invoke


def sentence(result: Result) -> str:
    """What it said when it couldn't run."""
    assert result.exit_code == 2, result.output
    (said,) = result.stderr.splitlines()
    assert said.startswith("bq-server: ")
    return said


def test_lines_read_like_the_page(bq: Project, server: ServerProcess) -> None:
    env = {"BQ_URL": server.url, "BQ_API_KEY": bq.keys["test"]}
    done = run("harness", "conform", "-k", "endpoint or single.status", "--seed", "7", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{server.url}/api/v1: 4 statements of the Events API, seed 7",
        "It will keep 5 facts of participants and events named conform-00000007...",
        "",
        "Endpoints",
        "  pass     endpoint.single  POST /ingest/events takes one event.",
        "  pass     endpoint.batch   POST /ingest/events/batch takes several events.",
        "  pass     endpoint.sync    POST /ingest/events/sync takes one event to process at once.",
        "",
        "Async Event Ingestion",
        "  pass     single.status    The event is queued, not yet processed: the status is 202 "
        "(as the wider documentation has it).",
        "",
        "4 passed, 0 failed, 0 skipped",
    ]


def test_a_failure_tells_what_was_sent_expected_and_came(conform: Conform, server: ServerProcess) -> None:
    def fault(sent: Sent, forward: Forward) -> Answer:
        return Answer(200, b'{"accepted": 1}') if sent.route == "/ingest/events" else forward(sent)

    with faulty(server.url, fault) as url:
        result = conform("--url", url, "-k", "single.accepted or single.status or sync.status")
    assert result.exit_code == 1
    told = result.stdout.split("Async Event Ingestion\n")[1].splitlines()
    assert told[0].startswith("  FAIL     single.accepted  An event is accepted")
    assert told[1].startswith('           sent      POST /ingest/events {"event_name": "conform-')
    assert told[2:4] == [
        '           expected  a success with "accepted": true',
        '           came      200 {"accepted": 1}',
    ]
    assert "\n1 passed, 2 failed, 0 skipped\n" in result.stdout


def test_json(conform: Conform) -> None:
    result = conform("--json", "-k", "sync.status or auth.prefix")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert (document["passed"], document["failed"], document["skipped"]) == (3, 0, 0)
    assert [each["name"] for each in document["statements"]] == ["auth.prefix", "auth.prefix.part", "sync.status"]
    assert document["statements"][2]["section"] == "Synchronous Ingestion"
    assert document["statements"][2]["outcome"] == "passed"
    assert document["prefix"] == f"conform-{document['seed']:08x}"


def test_junit(conform: Conform, server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "report.xml"

    def fault(sent: Sent, forward: Forward) -> Answer:
        answer = forward(sent)
        return Answer(500, b"\x00 <oops>") if sent.route.endswith("batch") else answer

    with faulty(server.url, fault) as url:
        result = conform("--url", url, "--junit", str(file), "-k", "batch.accepted or batch.status or endpoint")
    assert result.exit_code == 1
    (suite,) = ET.parse(file).getroot()  # noqa: S314 - our own file
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped", "errors")} == {
        "tests": "5",
        "failures": "1",
        "skipped": "1",
        "errors": "0",
    }
    cases = {case.get("name"): case for case in suite}
    failure = cases["batch.accepted"].find("failure")
    assert failure is not None
    assert "came: 500" in (failure.text or "")
    assert cases["batch.status"].find("skipped") is not None


def test_a_junit_file_that_can_not_be_written(conform: Conform, tmp_path: Path) -> None:
    result = conform("--junit", str(tmp_path / "no" / "file.xml"), "-k", "sync.status")
    assert result.exit_code == 2
    assert "can't be written" in result.stderr


def test_the_key_is_never_printed(bq: Project, conform: Conform, server: ServerProcess) -> None:
    with faulty(server.url, lambda *_: Answer(202, b'{"detail": "no"}')) as url:
        result = conform("--url", url, "--timeout", "1")
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
    assert bq.keys["test"].removeprefix("bq_test_") not in result.output


def test_a_live_key_needs_a_word(bq: Project, conform: Conform) -> None:
    live = bq.keys["live"]
    assert "say --live" in sentence(conform("--api-key", live, "-k", "sync"))
    with bq.using("live") as project:
        assert project.facts() == []
    assert conform("--api-key", live, "--live").exit_code == 0


def test_a_seed_can_not_meet_its_own_facts(conform: Conform) -> None:
    assert conform("--seed", "5", "-k", "sync.status").exit_code == 0
    assert "an earlier run with --seed 5" in sentence(conform("--seed", "5", "-k", "sync.status"))
    assert conform("--seed", "6", "-k", "sync.status").exit_code == 0


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("nothing", "names no statement"),
        ("batch and", "too early"),
        ("(batch", "not closed"),
        ("batch sync", "didn't expect sync"),
    ],
)
def test_an_expression_that_can_not_be_used(conform: Conform, expression: str, said: str) -> None:
    assert said in sentence(conform("-k", expression))


@pytest.mark.parametrize(
    ("expression", "number"),
    [("endpoint and not sync", 2), ("endpoint.(", None), ("( endpoint or auth.header ) and not (single)", 3)],
)
def test_expressions(conform: Conform, expression: str, number: int | None) -> None:
    result = conform("-k", expression)
    if number is None:
        assert result.exit_code == 2
    else:
        assert f"\n{number} passed" in result.stdout


@pytest.mark.parametrize("key", ["", "bq_test_" + "0" * 32, "bq_test_\n", "bq_test_é"])
def test_a_key_that_is_none(conform: Conform, key: str) -> None:
    assert "key" in sentence(conform("--api-key", key))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8080", "must start with http"),
        ("ftp://127.0.0.1", "must start with http"),
        ("http://", "name a host"),
        ("http://[::1", "can't be used"),
        ("http://127.0.0.1:99999", "out of range"),
        ("http://127.0.0.1:1", "connection failed"),
        ("http://no-such-host.invalid", "connection failed"),
    ],
)
def test_a_url_where_nobody_is(conform: Conform, url: str, said: str) -> None:
    assert said in sentence(conform("--url", url, "--timeout", "2"))


def test_https_where_plain_http_is_spoken(conform: Conform, server: ServerProcess) -> None:
    assert "begins with http://" in sentence(conform("--url", server.url.replace("http:", "https:")))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(301, b"", {"Location": "https://elsewhere.invalid/"}), "redirects to https://elsewhere.invalid/"),
        (Answer(200, b"<html></html>", {"Content-Type": "text/html"}), "doesn't speak the Events API"),
        (Answer(404, b"not found"), "has no Events API"),
        (Answer(503, b'{"detail": "later"}'), "takes no events now"),
        (Answer(401, b'{"detail": "who are you?"}'), "refuses the key (401): who are you?"),
        (Answer(403, b""), "refuses the key (403)"),
        (Answer(429, b"", {"Retry-After": "9999"}), "ask so often"),
    ],
)
def test_something_else_is_there(conform: Conform, server: ServerProcess, answer: Answer, said: str) -> None:
    with faulty(server.url, lambda *_: answer) as url:
        assert said in sentence(conform("--url", url))


@contextmanager
def speaking(first: bytes, then: bytes = b"") -> Iterator[str]:
    """A listener that says something to whoever connects, and something else again and again."""
    over = threading.Event()

    def talk(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(1)
                    connection.sendall(first)
                    while then and not over.wait(0.05):
                        connection.sendall(then)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=talk, args=[listening])
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_what_is_there_speaks_no_http(conform: Conform) -> None:
    with speaking(b"SSH-2.0-OpenSSH_9.6\r\n") as url:
        assert "the connection failed" in sentence(conform("--url", url))


def test_an_answer_in_drips_is_none(conform: Conform) -> None:
    with speaking(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100000\r\n\r\n", b" ") as url:
        assert "none within 0.5 s" in sentence(conform("--url", url, "--timeout", "0.5"))


def test_an_answer_without_end_is_none(conform: Conform) -> None:
    with speaking(b"HTTP/1.1 202 Accepted\r\n\r\n", b" " * (1 << 20)) as url:
        assert "more than" in sentence(conform("--url", url))


def test_the_help_tells_the_exit_codes(conform: Conform) -> None:
    result = conform("--help")
    assert result.exit_code == 0
    assert re.search(r"Exit codes: 0 nothing failed, 1 a statement failed, 2 there was\s+nothing", result.stdout)
