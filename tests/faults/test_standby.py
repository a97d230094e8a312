"""PostgreSQL's primary is gone while events arrive, and its synchronous standby is promoted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness.private_postgres import PrivatePostgres
from tests.support.keyed_senders import KeyedSenders
from tests.support.process import ServerProcess, run, until
from tests.support.standby import StandbyPostgres
from tests.support.store import asked


@pytest.fixture
def primary() -> Iterator[PrivatePostgres]:
    with PrivatePostgres() as cluster:
        yield cluster


def env_of(standby: StandbyPostgres, name: str) -> dict[str, str]:
    return {"BQ_STORE_URL": standby.url_of_both(name)}


@contextmanager
def serving(
    directory: Path, primary: PrivatePostgres, *, synchronous: bool
) -> Iterator[tuple[StandbyPostgres, ServerProcess, str]]:
    """A standby, a server over whichever takes writes, and the name of its database."""
    name = urlsplit(primary.database()).path[1:]
    with (
        StandbyPostgres(primary, synchronous=synchronous) as standby,
        ServerProcess(directory / "data", env=env_of(standby, name)) as server,
    ):
        yield standby, server, name


def keys_of_facts(url: str) -> list[str]:
    return [key for (key,) in asked(url, "SELECT idempotency_key FROM facts")]


def test_what_was_acknowledged_is_a_fact_once_after_the_standby_is_promoted(
    tmp_path: Path, primary: PrivatePostgres
) -> None:
    with serving(tmp_path, primary, synchronous=True) as (standby, server, name):
        senders = KeyedSenders(server)
        with senders.sending(sync=True):
            until("some are accepted", lambda: len(senders.accepted) >= 200)
            primary.kill()
            until("sync events are refused", lambda: senders.refused > 0)
            standby.promote()
            before = len(senders.accepted)
            with server.client() as client:
                until("one is a fact", lambda: senders.send_sync(client, senders.batch(1)[0]), seconds=20)
            until("more are accepted", lambda: len(senders.accepted) >= before + 200, seconds=20)
        drained = server.request("POST", "/sandbox/drain", json={"timeout_ms": 30_000})
        assert drained.status_code == 200, drained.text
        assert drained.json()["dead"] == 0
        facts = keys_of_facts(standby.url(name))
        assert len({*facts}) == len(facts)
        assert senders.accepted <= {*facts}
        verified = run("verify", "--data-dir", str(server.data_dir), env=env_of(standby, name))
        assert verified.returncode == 0, verified.stdout + verified.stderr


def test_an_asynchronous_standby_lacks_what_was_acknowledged_last(tmp_path: Path, primary: PrivatePostgres) -> None:
    """The control: what the test above looks for does get lost."""
    with serving(tmp_path, primary, synchronous=False) as (standby, server, name):
        senders = KeyedSenders(server)
        tables = "SELECT to_regclass('facts')::text"
        until("the standby has the tables", lambda: asked(standby.url(name), tables) == [("facts",)])
        with standby.held_up(), server.client() as client:
            for body in senders.batch(10):
                assert senders.send_sync(client, body)
            primary.kill()
        standby.promote()
        assert len(senders.accepted) == 10
        assert senders.accepted - {*keys_of_facts(standby.url(name))}
