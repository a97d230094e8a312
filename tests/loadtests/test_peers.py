"""The peers are worth comparing with only if they decide as this server does."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from loadtests import subjects
from loadtests.peers.valkey import private_valkey
from loadtests.subjects import FASTIFY, Subject, SubjectNotFound

ROOT = Path(__file__).parents[2]
EVENTS, BATCH = "/api/v1/ingest/events", "/api/v1/ingest/events/batch"
EVENT: dict[str, Any] = {"event_name": "purchase", "participant_id": "user_1"}

SINGLES: dict[str, Any] = {
    "plain": EVENT,
    "every field": EVENT
    | {
        "properties": {"amount": 1.5, "tags": ["é", None]},
        "timestamp": "2026-04-10T10:30:00Z",
        "idempotency_key": "k1",
    },
    "nulls": {**EVENT, "properties": None, "timestamp": None, "idempotency_key": None},
    "another field": EVENT | {"colour": "red"},
    "a moment without an offset": EVENT | {"timestamp": "2026-04-10T10:30:00"},
    "the longest name": EVENT | {"event_name": "x" * 100},
    "too long a name": EVENT | {"event_name": "x" * 101},
    "an empty name": EVENT | {"event_name": ""},
    "no name": {"participant_id": "user_1"},
    "a number for a participant": EVENT | {"participant_id": 5},
    "too long a participant": EVENT | {"participant_id": "x" * 256},
    "an empty key": EVENT | {"idempotency_key": ""},
    "a list of properties": EVENT | {"properties": []},
    "no moment": EVENT | {"timestamp": "yesterday"},
    "a number for a moment": EVENT | {"timestamp": 1_775_667_600},
    "a list": [EVENT],
    "half of JSON": b'{"event_name"',
    "nothing": b"",
}
BATCHES: dict[str, Any] = {
    "two": {"events": [EVENT, EVENT]},
    "one of two": {"events": [EVENT, {"event_name": ""}]},
    "none of two": {"events": [{}, 5]},
    "no events": {"events": []},
    "too many": {"events": [EVENT] * 101},
    "no list": {"events": "all"},
    "no field": {},
    "half of JSON": b'{"events": [',
}
HEADERS: dict[str, dict[str, str | None]] = {
    "no key": {"X-API-Key": None},
    "a wrong key": {"X-API-Key": "bq_test_" + "0" * 32},
    "not JSON": {"Content-Type": "text/plain"},
}


def decisions(subject: Subject) -> Iterator[tuple[str, int, int | None]]:
    """For each request what it is, the status, and how many events were accepted."""
    with httpx.Client(base_url=subject.url, trust_env=False, timeout=30) as client:

        def post(path: str, body: Any, headers: dict[str, str | None]) -> httpx.Response:
            given = {"X-API-Key": subject.key, "Content-Type": "application/json", **headers}
            sent = {name: value for name, value in given.items() if value is not None}
            return client.post(path, content=body if isinstance(body, bytes) else json.dumps(body), headers=sent)

        for name, body in SINGLES.items():
            answer = post(EVENTS, body, {})
            yield name, answer.status_code, int("message_id" in answer.json())
        for name, body in BATCHES.items():
            answer = post(BATCH, body, {})
            found = answer.json()
            yield f"batch: {name}", answer.status_code, found.get("accepted")
            assert len(found.get("message_ids", [])) == (found.get("accepted") or 0)
        for name, headers in HEADERS.items():
            yield name, post(EVENTS, EVENT, headers).status_code, None


@pytest.fixture(scope="module")
def ours() -> list[tuple[str, int, int | None]]:
    with subjects.ours() as subject:
        return list(decisions(subject))


@pytest.mark.parametrize("peer", [subjects.fastapi, subjects.fastify])
def test_a_peer_decides_as_this_server_does(
    peer: Callable[[], AbstractContextManager[Subject]], ours: list[tuple[str, int, int | None]]
) -> None:
    try:
        with peer() as subject:
            assert list(decisions(subject)) == ours
    except SubjectNotFound as reason:
        pytest.skip(str(reason))


def test_an_accepted_event_is_one_entry_of_a_stream_that_is_synced_always(tmp_path: Path) -> None:
    with private_valkey(tmp_path) as (path, _), redis.Redis(unix_socket_path=str(path)) as client:
        config: Any = client.config_get("append*")
        assert (config["appendonly"], config["appendfsync"]) == ("yes", "always")


def test_a_peer_that_cannot_run_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SubjectNotFound, match=r"no node: install Node\.js"), subjects.fastify():
        pass


@pytest.mark.parametrize("file", ["package.json", "package-lock.json"])
def test_the_packages_of_the_peer_name_no_host(file: str) -> None:
    text = (FASTIFY / file).read_text("utf-8")
    assert "://" not in text
    json.loads(text)


def test_every_package_in_the_lock_file_has_a_hash() -> None:
    packages = json.loads((FASTIFY / "package-lock.json").read_text("utf-8"))["packages"]
    assert all("integrity" in found for name, found in packages.items() if name)
    assert {"node_modules/fastify", "node_modules/ioredis"} <= packages.keys()


def test_the_pinned_requirements_name_no_host() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in file.read_text("utf-8"), file
