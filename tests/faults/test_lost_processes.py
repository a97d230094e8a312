"""Processes that are killed, or held up for longer than their lease, while events arrive at the others."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import pytest

from harness.private_postgres import PrivatePostgres
from tests.support.client import event
from tests.support.fleet import Fleet, Harm, fleet, hold_up, kill
from tests.support.process import ServerProcess, until
from tests.support.threads import going_on

GAME = {"points": [{"code": "each", "on": "purchase_completed", "award": 1}]}
PARTICIPANTS = 7


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, start_postgres: Callable[[], PrivatePostgres]) -> Iterator[Fleet]:
    """Two of each kind, with a game."""
    with fleet(tmp_path_factory.mktemp("fleet"), start_postgres().database()) as processes:
        with processes.client(random.Random(1)) as client:
            assert client.put("/api/v1/gamify/admin/game", json=GAME).status_code == 200
        yield processes


@pytest.fixture
def processes(started: Fleet) -> Iterator[Fleet]:
    """All of them, and no facts; at the end whoever is gone is started again."""
    apis, workers = [*started.apis], [*started.workers]
    with started.client(random.Random(1)) as client:
        assert client.post("/api/v1/sandbox/reset", json={}).status_code == 200
    yield started
    started.apis[:], started.workers[:] = apis, workers
    for each in (*apis, *workers):
        if each.process.poll() is not None:
            each.start()


class Senders:
    """Clients that send events until they are acknowledged, each under its key."""

    def __init__(self, processes: Fleet, chance: random.Random) -> None:
        self._processes = processes
        self._chance = chance
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self.acknowledged: set[int] = set()
        self.refused = 0

    @property
    def count(self) -> int:
        return len(self.acknowledged)

    def _send(self, path: str) -> None:
        with self._processes.client(random.Random(self._chance.random())) as client:
            while not self._ended.is_set():
                number = next(self._numbers)
                body = event(participant_id=f"p{number % PARTICIPANTS}", idempotency_key=f"k{number}")
                while not self._ended.is_set():
                    try:
                        answer = client.post(path, json=body, timeout=3)
                    except httpx.TransportError:
                        self.refused += 1
                        continue
                    if answer.status_code in (200, 202):
                        self.acknowledged.add(number)
                        break
                    assert answer.status_code == 503, answer.text
                    self.refused += 1

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send by both paths meanwhile."""
        paths = ["/api/v1/ingest/events"] * 2 + ["/api/v1/ingest/events/sync"]
        with going_on(self._ended, *[partial(self._send, path) for path in paths]):
            yield

    def wait_for(self, more: int) -> None:
        """Wait until so many more are acknowledged."""
        target = self.count + more
        until(f"{more} more events are acknowledged", lambda: self.count >= target, seconds=60)


@pytest.mark.parametrize("harm", [kill, hold_up])
@pytest.mark.parametrize("whom", ["the worker that leads", "the other worker", "one that answers"])
def test_nothing_is_lost_or_doubled(processes: Fleet, harm: Harm, whom: str) -> None:
    senders = Senders(processes, random.Random(len(whom)))
    leader = processes.until_one_leads()
    answering = processes.apis[1]
    victim = {"the worker that leads": leader, "the other worker": processes.follower(), "one that answers": answering}
    chosen = victim[whom]

    def meanwhile() -> None:
        if chosen is answering:
            processes.apis.remove(answering)  # as a load balancer does
        elif chosen is leader:
            processes.until_one_leads(but=leader)
        others = [each for each in (*processes.apis, *processes.workers) if each is not chosen]
        for each in others:
            until("the others tell that one is missing", lambda each=each: is_missing(each, processes.key), seconds=20)

    with senders.sending():
        senders.wait_for(50)
        harm(chosen, meanwhile)
        if harm is kill:
            meanwhile()
        senders.wait_for(100)
    with processes.client(random.Random(2)) as client:
        drained = client.post("/api/v1/sandbox/drain", json={"timeout_ms": 60_000})
        assert drained.status_code == 200, drained.text
        found = drained.json()
        sent_again = found["facts"] - senders.count
        assert 0 <= sent_again <= 3, "each sender may have been stopped before its last answer"
        assert found["dead"] == 0
        balances = [
            client.get(f"/api/v1/gamify/participants/p{number}/points").json()["balance"]
            for number in range(PARTICIPANTS)
        ]
        assert sum(balances) == found["facts"]
    processes.verify()
    for each in (*processes.apis, *processes.workers):
        if each.process.poll() is None:
            assert ready(each)["warnings"].keys() <= {"processes"}, each.log


def ready(process: ServerProcess) -> dict[str, dict[str, str]]:
    """What it tells when it is ready."""
    until("it is ready", lambda: httpx.get(f"{process.url}/readyz", verify=False, timeout=10).status_code == 200)
    found: dict[str, dict[str, str]] = httpx.get(f"{process.url}/readyz", verify=False, timeout=10).json()
    return found


def is_missing(process: ServerProcess, key: str) -> bool:
    """Whether a process tells that another is missing, both people and machines."""
    answer = httpx.get(f"{process.url}/readyz", verify=False, timeout=10)
    told = answer.json().get("warnings", {}).get("processes", "")  # not while it has just begun to lead
    metrics = httpx.get(f"{process.url}/metrics", headers={"X-API-Key": key}, verify=False, timeout=10).text
    return "was not heard of for" in told and 'state="missing"} 1.0' in metrics


def test_a_worker_that_stops_hands_over_at_once(processes: Fleet) -> None:
    leader = processes.until_one_leads()
    assert leader.stop() == 0
    processes.until_one_leads(but=leader)
    with processes.client(random.Random(3)) as client:
        taken = client.post("/api/v1/ingest/events", json=event(), params={"wait": "fact"})
        assert taken.status_code == 202, taken.text
    told = [ready(each) for each in processes.apis]
    assert all("processes" not in each["warnings"] for each in told), "it left: nobody misses it"


def test_without_a_worker_events_wait_and_it_is_told(processes: Fleet) -> None:
    for worker in processes.workers:
        assert worker.stop() == 0
    with processes.client(random.Random(4)) as client:
        sent = client.post("/api/v1/ingest/events", json=event())
        assert sent.status_code == 202
        one = processes.apis[0]
        until("it is told", lambda: "no worker is there" in ready(one)["warnings"].get("processes", ""))
        with processes.worker():
            drained = client.post("/api/v1/sandbox/drain", json={}).json()
            assert (drained["facts"], drained["dead"]) == (1, 0)
