"""What is lost from the stream by somebody else's hand is noticed, counted and told, until somebody has seen it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from bq_server.cli import app
from bq_server.refusals import Code
from bq_server.store import database_copy
from bq_server.store.database_copy import open_losses
from bq_server.store.losses import Loss
from tests.support.client import Json, event
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until
from tests.support.store import address_of, changed, no_new_facts, opened, unreadable_game
from tests.support.valkey import Valkey

EVENTS = 250
"""More than the consumer takes in hand at once, so that some wait in the stream alone."""


@pytest.fixture
def server(outside: Valkey, data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir, "--redis-url", outside.url) as started:
        yield started
        assert "Traceback" not in started.log


def sent(server: ServerProcess, count: int = EVENTS) -> list[str]:
    """Accept so many events, each with a key."""
    ids: list[str] = []
    for start in range(0, count, 50):
        events = [event("e", idempotency_key=f"k{number}") for number in range(start, start + 50)]
        ids += server.request("POST", "/ingest/events/batch", json={"events": events}).json()["message_ids"]
    return ids


def statuses(server: ServerProcess, ids: list[str]) -> list[str]:
    with server.client() as client:
        return [client.get(f"/ingest/messages/{message_id}").json().get("status", "none") for message_id in ids]


def readiness(server: ServerProcess) -> dict[str, str]:
    """What /readyz finds wrong, by part."""
    answer = httpx.get(f"{server.url}/readyz").json()
    return {each["field"]: each["detail"] for each in answer.get("errors", ())}


def noticed(server: ServerProcess) -> str:
    until("the loss is noticed", lambda: "losses" in readiness(server))
    return readiness(server)["losses"]


def doctor(server: ServerProcess, outside: Valkey, *flags: str) -> str:
    at = ("--data-dir", str(server.data_dir), "--redis-url", outside.url, "--port", "0")
    return run("doctor", *at, *flags).stdout


def accounted(server: ServerProcess, ids: list[str]) -> int:
    """Each message is a fact or lost; how many are lost."""
    until("nothing waits", lambda: "queued" not in statuses(server, ids))
    found = statuses(server, ids)
    assert set(found) <= {"processed", "lost"}
    return found.count("lost")


def known(server: ServerProcess) -> int:
    """How many messages have come, as far as the store knows."""
    with opened(server.data_dir) as connection:
        ((appended,),) = connection.execute("SELECT appended FROM stream_account").fetchall()
    return int(appended)


def losses(server: ServerProcess) -> list[tuple[int, int | None]]:
    with opened(server.data_dir) as connection:
        rows = connection.execute("SELECT messages, acknowledged_at FROM losses ORDER BY loss").fetchall()
    return [tuple(row) for row in rows]


def test_a_trimmed_stream(server: ServerProcess, outside: Valkey) -> None:
    with no_new_facts(server.data_dir), outside.client() as stream:
        ids = sent(server)
        stream.xtrim("bq:events", maxlen=0)
        said = noticed(server)
        assert "accepted events are lost" in said
        assert "doctor --acknowledge" in said
    assert "stream.lost" in server.log
    lost = accounted(server, ids)
    assert 0 < lost < EVENTS
    until("it is counted to the last", lambda: losses(server) == [(lost, None)])
    told: Json = server.request("GET", f"/ingest/messages/{ids[-1]}").json()
    assert (told["status"], told["fact_id"]) == ("lost", None)
    assert f"{lost} accepted events are lost" in told["reason"]
    check(server.request("GET", "/ingest/messages/1-1"), Code.NOT_FOUND)
    # A repeat of a lost one is taken again, of another is a repeat.
    sent_again = event("e", idempotency_key=f"k{EVENTS - 1}")
    again = server.request("POST", "/ingest/events", json=sent_again).json()["message_id"]
    assert again != ids[-1]
    until("it is a fact", lambda: statuses(server, [again]) == ["processed"])
    assert (
        server.request("POST", "/ingest/events", json=event("e", idempotency_key="k0")).json()["message_id"] == ids[0]
    )
    # Until somebody says that they know of it, also over a restart.
    assert server.stop() == 0
    assert f"{lost} accepted events are lost" in doctor(server, outside)
    assert "acknowledged" in doctor(server, outside, "--acknowledge")
    server.start()
    assert "losses" not in readiness(server)
    assert "losses" not in doctor(server, outside)
    assert statuses(server, ids[-2:-1]) == ["lost"], "it stays lost"
    assert server.stop() == 0


def test_a_flushed_stream_server(server: ServerProcess, outside: Valkey) -> None:
    with no_new_facts(server.data_dir), outside.client() as stream:
        ids = sent(server)
        stream.flushall()
        said = noticed(server)
        assert "emptied or replaced" in said
    lost = accounted(server, ids)
    assert 0 < lost < EVENTS
    ((messages, _),) = losses(server)
    assert lost <= messages <= EVENTS
    with outside.client() as stream:
        assert stream.get("bq:owner") is not None
    doctor(server, outside, "--acknowledge")
    until("it is ready", lambda: not readiness(server))
    fresh = server.request("POST", "/ingest/events", json=event()).json()["message_id"]
    until("it goes on", lambda: statuses(server, [fresh]) == ["processed"])
    assert server.stop() == 0


def test_a_stream_that_went_while_no_server_ran(server: ServerProcess, outside: Valkey) -> None:
    with unreadable_game(server.data_dir):
        ids = sent(server)
        until("the store knows of them", lambda: known(server) == EVENTS)
        server.kill()
    with outside.client() as stream:
        stream.flushall()
    server.start(ready=False)
    until("it answers", lambda: readiness(server))
    said = readiness(server)["losses"]
    assert "emptied or replaced" in said
    assert f"at least {EVENTS} accepted events are lost" in said, "the last of a killed server may be in no count"
    assert '"at_least": true' in server.log
    assert set(statuses(server, ids)) == {"lost"}
    told = server.request("GET", f"/ingest/messages/{ids[0]}").json()
    assert f"at least {EVENTS}" in told["reason"]
    assert f"at least {EVENTS}" in doctor(server, outside, "--acknowledge")
    until("it is ready", lambda: not readiness(server))
    assert server.stop() == 0


def test_what_is_noticed_while_others_are_acknowledged_is_not_acknowledged_unread(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.stop() == 0
    address = address_of(server.data_dir)
    add = "INSERT INTO losses (noticed_at, what, messages, first, last) VALUES (0, ?, ?, '1-0', '2-0')"
    changed(address, add, "the first", 11)

    def look(*args: Any) -> list[Loss]:
        found = open_losses(*args)
        changed(address, add, "the second", 22)
        return found

    monkeypatch.setattr(database_copy, "open_losses", look)
    told = (
        CliRunner().invoke(app, ["doctor", "--acknowledge", "--data-dir", str(server.data_dir), "--port", "0"]).output
    )
    acknowledged = [line for line in told.splitlines() if line.endswith("; acknowledged")]
    assert ["11" in line for line in acknowledged] == [True, False]
    assert ["22" in line for line in acknowledged] == [False, True]
    assert [messages for messages, moment in losses(server) if moment is not None] == [11, 22]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda stream: stream.delete("bq:owner"), "lost the mark of its owner"),
        (lambda stream: stream.xgroup_destroy("bq:events", "bq"), "lost its consumer group"),
    ],
)
def test_a_mark_or_a_group_that_vanished(server: ServerProcess, outside: Valkey, break_it: Any, said: str) -> None:
    with outside.client() as stream:
        break_it(stream)
        assert said in noticed(server)
        assert "no accepted event is missing" in noticed(server)
        message_id = server.request("POST", "/ingest/events", json=event()).json()["message_id"]
        until("it goes on", lambda: statuses(server, [message_id]) == ["processed"])
        doctor(server, outside, "--acknowledge")
        until("it is ready", lambda: not readiness(server))
        assert stream.get("bq:owner") is not None
    assert server.stop() == 0


def test_a_stream_that_another_installation_took_is_said_for_as_long_as_it_has_it(
    server: ServerProcess, outside: Valkey
) -> None:
    with outside.client() as stream:
        own = stream.get("bq:owner")
        stream.set("bq:owner", "inst_other")
        assert "inst_other" in noticed(server)
        stream.set("bq:owner", own)
        until("it is ready", lambda: not readiness(server))


def test_what_is_whole_adds_up(server: ServerProcess, outside: Valkey) -> None:
    ids = sent(server, 100)
    server.kill()
    server.start()
    accounted(server, ids)
    with outside.client() as stream:
        until("all is settled", lambda: stream.xlen("bq:events") == 0)
        counts = stream.hgetall("bq:counts")
        assert (counts[b"appended"], counts[b"settled"]) == (b"100", b"100")
        stream.xadd("bq:events", {"e": b"from elsewhere"})
        until("it is dead", lambda: stream.hlen("bq:dead") == 1)
        until("it is counted in", lambda: stream.hget("bq:counts", "appended") == b"101")
    assert losses(server) == []
    assert not readiness(server)
    assert server.stop() == 0
