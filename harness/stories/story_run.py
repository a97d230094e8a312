"""Playing scenarios: one, or all of a run."""

import queue
import secrets
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, nullcontext

from msgspec import Struct

from harness.client import Client
from harness.private_server import PrivateServer
from harness.stories.modes import play_by
from harness.stories.outcomes import Mode, StoryOutcome
from harness.stories.scenario import Scenario


class ServerUnderTest(Struct, frozen=True):
    """An environment of a running server."""

    url: str
    key: str


def play(scenario: Scenario, client: Client, mode: Mode = "stream", seed: int | None = None) -> StoryOutcome:
    """Play a scenario in the client's test environment, which is emptied first, game included, and left as it ends.

    The seed determines how `shuffled` shuffles; without one, it is random and reported in the outcome. Whatever goes
    wrong, even a server that can't be reached, is a failure of the outcome.
    """
    seed = secrets.randbits(32) if seed is None else seed
    start = time.perf_counter()
    failures = play_by(mode, scenario, client, seed)
    return StoryOutcome(scenario.name, scenario.path, mode, seed, tuple(failures), time.perf_counter() - start)


def run(
    scenarios: Sequence[Scenario],
    targets: Sequence[ServerUnderTest | PrivateServer],
    mode: Mode = "stream",
    seed: int = 0,
) -> Generator[StoryOutcome, None, None]:
    """Play scenarios, as many at a time as there are targets; yields each as it ends.

    Private servers are started and stopped here: close the generator to stop them early. Raises `ServerFailed`.
    """
    waiting = queue.SimpleQueue[Scenario]()
    for scenario in scenarios:
        waiting.put(scenario)
    ended = queue.SimpleQueue[StoryOutcome | BaseException]()
    workers = [_Worker(target, waiting, ended, mode, seed) for target in targets[: len(scenarios)]]
    finished = False
    try:
        for worker in workers:
            worker.start()
        for _ in scenarios:
            outcome = ended.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
        finished = True
    finally:
        for worker in workers:
            worker.stop(at_once=not finished)
        for worker in workers:
            worker.join()
        for target in targets:
            if isinstance(target, PrivateServer):
                target.close()  # one that was never started has a directory nevertheless


class _Worker(threading.Thread):
    """Plays scenarios on one target until there are no more."""

    def __init__(
        self,
        target: ServerUnderTest | PrivateServer,
        waiting: queue.SimpleQueue[Scenario],
        ended: queue.SimpleQueue[StoryOutcome | BaseException],
        mode: Mode,
        seed: int,
    ) -> None:
        super().__init__(daemon=True)
        self._target = target
        self._waiting = waiting
        self._ended = ended
        self._mode = mode
        self._seed = seed
        self._stopped = threading.Event()

    def stop(self, *, at_once: bool) -> None:
        """Take no further scenario; with `at_once`, don't finish the current one either, if the server is our own."""
        self._stopped.set()
        if at_once and isinstance(self._target, PrivateServer):
            self._target.stop()

    def run(self) -> None:
        """What the thread does."""
        try:
            with _open(self._target) as target, Client(target.url, target.key) as client:
                while not self._stopped.is_set():
                    try:
                        scenario = self._waiting.get_nowait()
                    except queue.Empty:
                        return
                    self._ended.put(play(scenario, client, self._mode, self._seed))
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            self._ended.put(error)


def _open(target: ServerUnderTest | PrivateServer) -> AbstractContextManager[ServerUnderTest | PrivateServer]:
    return target if isinstance(target, PrivateServer) else nullcontext(target)
