"""What commands print of what others sent: nothing in it controls the terminal that an operator reads it on."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from tests.faults.test_dead_letters import given_up
from tests.support.client import event
from tests.support.process import ServerProcess, run
from tests.support.store import address_of, changed

STEERING = "\x1b]0;x\x07\x1b[2J\x9b31m\u202e\r\x7f"
"""A new title, a cleared screen, a colour, letters from right to left, a line written over, a deletion."""


@pytest.fixture
def server(data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir) as started:
        yield started
        assert "Traceback" not in started.log


def printed(server: ServerProcess, *arguments: str, code: int = 0) -> str:
    told = run(*arguments, "--data-dir", str(server.data_dir))
    assert told.returncode == code, told.stderr
    text = told.stdout + told.stderr
    assert all(each.isprintable() or each == "\n" for each in text), arguments
    return text


def test_a_dead_letter_does_not_control_the_terminal(server: ServerProcess) -> None:
    with closing(redis.Redis(unix_socket_path=str(server.data_dir / "stream" / "valkey.sock"))) as stream:
        more = {"idempotency_key": f"k{STEERING}", "properties": {f"x{STEERING}": [f"y{STEERING}"]}}
        message_id = given_up(server, stream, f"p{STEERING}", **more)
    document = printed(server, "dead", "show", message_id)
    assert [document.count(f'"{letter}\\u001b]0;x') for letter in "pkxy"] == [1, 1, 1, 1]
    for command in (["dead", "list"], ["dead", "export"]):
        assert "[2J" in printed(server, *command)


def test_the_audit_log_does_not_control_the_terminal(server: ServerProcess) -> None:
    printed(server, "keys", "create", "--env", "test", "--scope", "read", "--name", f"n{STEERING}")
    for command in (["audit", "list"], ["audit", "list", "--json"], ["keys", "list"]):
        assert "[2J" in printed(server, *command)


def test_a_difference_does_not_control_the_terminal(server: ServerProcess) -> None:
    sent = server.request("POST", "/ingest/events/sync", json=event(participant_id=f"p{STEERING}"))
    assert sent.status_code == 200
    assert changed(address_of(server.data_dir), "UPDATE participants SET total_events = 7") == 1
    assert "p\\x1b]0;x" in printed(server, "verify", code=1)
    assert "p\\u001b]0;x" in printed(server, "verify", "--json", code=1)
