"""Several processes over one PostgreSQL and one Valkey, as behind a load balancer."""

import random
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.process import ServerProcess, run, until
from tests.support.store import asked
from tests.support.valkey import Valkey, valkey

VERIFY_SECONDS = 300.0
"""It reads all that a store has, which may be what thousands of tests have left."""

HELD = """SELECT place FROM leases JOIN processes ON process_id = holder
WHERE expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"""


class WorkerProcess(ServerProcess):
    """A process that answers only for itself."""

    last_line = re.compile(r"  ready ")
    address = re.compile(r"(https?://\S+)/readyz\n")


class AnyOf(httpx.BaseTransport):
    """Sends each request to any of these processes, as a load balancer without sticky sessions does."""

    def __init__(self, processes: Sequence[ServerProcess], chance: random.Random) -> None:
        self._processes = processes
        self._chance = chance
        self._transport = httpx.HTTPTransport(verify=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        there = httpx.URL(self._chance.choice(self._processes).url)
        request.url = request.url.copy_with(scheme=there.scheme, host=there.host, port=there.port)
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._transport.close()


@dataclass
class Fleet:
    """Processes that share a store and a stream."""

    directory: Path
    store_url: str
    stream: Valkey
    apis: list[ServerProcess] = field(default_factory=list)
    workers: list[WorkerProcess] = field(default_factory=list)
    key: str = ""
    """Made at the first start."""

    @property
    def env(self) -> Mapping[str, str]:
        """What its processes, and commands about them, are told."""
        return {"BQ_STORE_URL": self.store_url, "BQ_REDIS_URL": self.stream.url}

    def worker(self) -> WorkerProcess:
        """One more worker, not started."""
        made = WorkerProcess(self.directory / f"worker{len(self.workers)}", "--role", "worker", env=self.env)
        self.workers.append(made)
        return made

    def api(self) -> ServerProcess:
        """One more process that answers requests, not started."""
        made = ServerProcess(self.directory / f"api{len(self.apis)}", "--role", "api", env=self.env)
        self.apis.append(made)
        return made

    def client(self, chance: random.Random, *, key: str | None = None) -> httpx.Client:
        """A client of any of them, with a key unless it is empty."""
        headers = {} if key == "" else {"X-API-Key": key or self.key}
        return httpx.Client(transport=AnyOf(self.apis, chance), base_url="http://any", headers=headers, timeout=30)

    def leader(self) -> WorkerProcess | None:
        """The worker that has the lease, if one has."""
        places = [place for (place,) in asked(self.store_url, HELD)]
        return next((each for each in self.workers if f":{each.data_dir.resolve()}" in "".join(places)), None)

    def follower(self) -> WorkerProcess:
        """A worker that doesn't have it, while one has."""
        leader = self.until_one_leads()
        return next(each for each in self.workers if each is not leader)

    def until_one_leads(self, but: WorkerProcess | None = None) -> WorkerProcess:
        """The worker that has the lease, as soon as one has, and it is another one than this."""
        until("a worker leads", lambda: self.leader() not in (None, but), seconds=15)
        found = self.leader()
        assert found is not None
        return found

    def verify(self) -> None:
        """Everyone's state is what their facts come to."""
        verified = run("verify", "--data-dir", str(self.directory / "unused"), env=self.env, seconds=VERIFY_SECONDS)
        assert verified.returncode == 0, verified.stdout + verified.stderr


@contextmanager
def fleet(directory: Path, store_url: str, *, apis: int = 2, workers: int = 2) -> Iterator[Fleet]:
    """Start so many processes; end them."""
    directory.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stream = stack.enter_context(valkey(directory / "valkey", "--appendonly", "yes"))
        made = Fleet(directory, store_url, stream)
        for process in [*(made.worker() for _ in range(workers)), *(made.api() for _ in range(apis))]:
            stack.enter_context(process)
            made.key = made.key or process.key
        yield made


Harm = Callable[[ServerProcess, Callable[[], None]], None]
"""What is done to a process; a function that waits for what comes of it is called before it is made good."""


def kill(process: ServerProcess, _: Callable[[], None]) -> None:
    process.kill()


def hold_up(process: ServerProcess, meanwhile: Callable[[], None]) -> None:
    """Stop it for longer than its lease lasts, and let it go on."""
    process.process.send_signal(signal.SIGSTOP)
    try:
        meanwhile()
    finally:
        process.process.send_signal(signal.SIGCONT)
