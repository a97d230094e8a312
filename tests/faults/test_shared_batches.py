"""Workers that process a backlog together, and one of the processes that is gone or held up meanwhile."""

import itertools
import random
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

from bq_server.store.backend import backend_of
from harness.private_postgres import PrivatePostgres
from tests.support.client import event
from tests.support.fleet import Fleet, Harm, WorkerProcess, fleet, hold_up, kill
from tests.support.process import ServerProcess, until
from tests.support.store import changed
from tests.support.threads import going_on

GAME = {
    "points": [{"code": "each", "on": "purchase_completed", "award": 1}],
    "leaderboards": [{"code": "ever", "name": "Ever", "metric": "points"}],
}
PARTICIPANTS = 40
A_BATCH = 100


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, start_postgres: Callable[[], PrivatePostgres]) -> Iterator[Fleet]:
    """Two that answer, and three workers, with a game."""
    with fleet(tmp_path_factory.mktemp("fleet"), start_postgres().database(), workers=3) as processes:
        with processes.client(random.Random(1)) as client:
            assert client.put("/api/v1/gamify/admin/game", json=GAME).status_code == 200
            backlog = Backlog(processes)
            backlog.send(20)
            assert client.post("/api/v1/sandbox/drain", json={}).status_code == 200
        # As it does by itself elsewhere: otherwise it looks for keys as in a table that is nearly empty.
        changed(processes.store_url, "ANALYZE facts")
        yield processes


@pytest.fixture
def processes(started: Fleet) -> Iterator[Fleet]:
    """All of them, and no facts; at the end whoever is gone is started again."""
    apis, workers = [*started.apis], [*started.workers]
    with started.client(random.Random(1)) as client:
        assert client.post("/api/v1/sandbox/reset", json={}).status_code == 200
    until("all workers are heard of", lambda: all(alive(each, started.key) == 3 for each in workers))
    yield started
    started.apis[:], started.workers[:] = apis, workers
    for each in (*apis, *workers):
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGCONT)
        else:
            each.start()


def metric(process: ServerProcess, key: str, name: str) -> float:
    found = httpx.get(f"{process.url}/metrics", headers={"X-API-Key": key}, verify=False, timeout=10).text
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", found, re.MULTILINE)
    return float(value)


def alive(process: ServerProcess, key: str) -> float:
    return metric(process, key, 'bq_processes{role="worker",state="alive"}')


class Backlog:
    """Events that are sent in batches, each until it is accepted."""

    def __init__(self, processes: Fleet) -> None:
        self._processes = processes
        self._ended = threading.Event()
        self._batches = itertools.count()
        self._accepted = itertools.count()
        self.accepted = 0

    def _send(self) -> None:
        with self._processes.client(random.Random(4)) as client:
            while not self._ended.is_set():
                self._send_batch(client)

    def _send_batch(self, client: httpx.Client) -> None:
        """Send it until it is accepted, however often."""
        first = next(self._batches) * A_BATCH
        events = [
            event(participant_id=f"p{number % PARTICIPANTS}", idempotency_key=f"k{number}")
            for number in range(first, first + A_BATCH)
        ]

        def accepted() -> bool:
            try:
                answer = client.post("/api/v1/ingest/events/batch", json={"events": events}, timeout=5)
            except httpx.TransportError:
                return False
            assert answer.status_code in (202, 503), answer.text
            return answer.status_code == 202

        until("they are accepted", accepted, seconds=60)
        self.accepted = (next(self._accepted) + 1) * A_BATCH

    def send(self, batches: int) -> None:
        """Send so many while nobody can process them, so that they are all there at once."""
        with closing(backend_of(self._processes.store_url).connect(5)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            with self._processes.client(random.Random(5)) as client:
                for _ in range(batches):
                    self._send_batch(client)
            blocker.execute("ROLLBACK")

    @contextmanager
    def growing(self) -> Iterator[None]:
        """Send meanwhile."""
        with going_on(self._ended, self._send, self._send):
            yield

    def wait_for(self, more: int) -> None:
        target = self.accepted + more
        until(f"{more} more events are accepted", lambda: self.accepted >= target, seconds=60)


def check(processes: Fleet, accepted: int) -> None:
    """Each accepted event is one fact, and everyone's state is what one process would have made of them."""
    with processes.client(random.Random(2)) as client:
        drained = client.post("/api/v1/sandbox/drain", json={"timeout_ms": 60_000})
        assert drained.status_code == 200, drained.text
        found = drained.json()
        assert (found["facts"], found["dead"]) == (accepted, 0)
        for number in range(PARTICIPANTS):
            own = client.get(f"/api/v1/gamify/participants/p{number}/points").json()["balance"]
            assert own == accepted // PARTICIPANTS + (number < accepted % PARTICIPANTS)
    processes.verify()


def test_all_workers_process_a_backlog(processes: Fleet) -> None:
    before = [metric(each, processes.key, "bq_facts_total") for each in processes.workers]
    backlog = Backlog(processes)
    backlog.send(20)
    check(processes, backlog.accepted)
    made = [
        metric(each, processes.key, "bq_facts_total") - earlier
        for each, earlier in zip(processes.workers, before, strict=True)
    ]
    assert sum(made) == backlog.accepted
    assert all(made), "each tells what it has processed itself"
    assert "worker.shares" in processes.until_one_leads().log


def freeze_one(processes: Fleet) -> WorkerProcess:
    """A worker that doesn't lead, held up, so that it has what it is handed next, and does nothing about it."""
    victim = processes.follower()
    victim.process.send_signal(signal.SIGSTOP)
    return victim


def until_it_is_given_up(processes: Fleet) -> None:
    leader = processes.until_one_leads()
    told = leader.log.count("share.unanswered")
    until("its part is taken back", lambda: leader.log.count("share.unanswered") > told, seconds=20)


def test_the_part_of_a_worker_that_is_killed_is_taken_back(processes: Fleet) -> None:
    backlog = Backlog(processes)
    victim = freeze_one(processes)
    backlog.send(20)
    until_it_is_given_up(processes)
    victim.kill()
    check(processes, backlog.accepted)


def test_a_worker_that_wakes_up_after_a_reset_makes_no_fact_of_what_it_was_handed_before(processes: Fleet) -> None:
    backlog = Backlog(processes)
    victim = freeze_one(processes)
    backlog.send(20)
    check(processes, backlog.accepted)
    with processes.client(random.Random(6)) as client:
        assert client.post("/api/v1/sandbox/reset", json={}).status_code == 200
        victim.process.send_signal(signal.SIGCONT)
        until("it goes on", lambda: "share.not_" in victim.log)
        assert client.post("/api/v1/sandbox/drain", json={}).json()["facts"] == 0
    processes.verify()


@pytest.mark.parametrize(
    ("harm", "whom"),
    [
        (kill, "the worker that leads"),
        (hold_up, "the worker that leads"),
        (kill, "another worker"),
        (hold_up, "another worker"),
        (kill, "one that answers"),
    ],
)
def test_each_accepted_event_is_one_fact(processes: Fleet, harm: Harm, whom: str) -> None:
    backlog, leader, answering = Backlog(processes), processes.until_one_leads(), processes.apis[1]
    victim = {"the worker that leads": leader, "another worker": processes.follower(), "one that answers": answering}
    chosen = victim[whom]

    def meanwhile() -> None:
        if chosen is answering:
            processes.apis.remove(answering)  # as a load balancer does
        elif chosen is leader:
            processes.until_one_leads(but=leader)
        else:
            until("it is missed", lambda: alive(leader, processes.key) < len(processes.workers), seconds=20)

    with backlog.growing():
        backlog.wait_for(1000)
        harm(chosen, meanwhile)
        if harm is kill:
            meanwhile()
        backlog.wait_for(1000)
    check(processes, backlog.accepted)
    assert any("worker.shares" in each.log for each in processes.workers)
