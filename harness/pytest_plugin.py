"""pytest plugin: a private server, a client on a clean environment, and `*.bq.yaml` scenarios as tests.

pytest loads this in every project whose Python has the package, so nothing is imported or started before it is used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path

    from harness.client import Client
    from harness.private_server import PrivateServer
    from harness.stories.outcomes import Mode, StoryOutcome
    from harness.stories.scenario import Scenario
    from harness.stories.surroundings import Surroundings

SUFFIXES = (".bq.yaml", ".bq.yml")
MODES = ("stream", "sync", "both", "shuffled")
KEY_VARIABLE = "BQ_API_KEY"
"""The environment variable used instead of `--bq-api-key`, so that the key needn't be on the command line."""


class RunningServer(Struct, frozen=True):
    """The server that `--bq-url` names, and a key of its test environment."""

    url: str
    key: str


class ServerConnection:
    """The server of this test process, started when it is first requested, and a client of it."""

    def __init__(self, config: pytest.Config) -> None:
        self._url: str | None = config.getoption("--bq-url")
        self._key: str | None = config.getoption("--bq-api-key") or os.environ.get(KEY_VARIABLE)
        self._private: PrivateServer | None = None
        self._client: Client | None = None
        self._found: Surroundings | None = None
        self._failure: str | None = None

    def server(self) -> PrivateServer | RunningServer:
        """The server, ready. Raises `ServerFailed`, immediately if it failed before."""
        if self._url is not None:
            return RunningServer(self._url, self._key or "")
        if self._private is None:
            from harness.private_server import PrivateServer, ServerFailed

            if self._failure is not None:
                raise ServerFailed(self._failure)
            private = PrivateServer()
            try:
                self._private = private.__enter__()
            except ServerFailed as error:
                self._failure = str(error)
                raise
        return self._private

    def client(self) -> Client:
        """A client of it, with the environment as the last user left it."""
        if self._client is None:
            from harness.client import Client

            server = self.server()
            client = Client(server.url, server.key)
            if self._url is not None:
                from harness.stories.surroundings import Surroundings

                self._found = Surroundings.of(client)
            self._client = client
        return self._client

    def close(self) -> None:
        """Stop what was started; restore the game and the clock of a server that wasn't."""
        if self._client is not None:
            self._put_back(self._client)
            self._client.close()
        if self._private is not None:
            self._private.close()

    def _put_back(self, client: Client) -> None:
        from harness.client import Refused, Unreachable

        if self._found is not None:
            try:
                self._found.put_back(client)
            except (Refused, Unreachable) as error:
                # Too late for a test to fail for it.
                print(f"\nbq: the game and the clock could not be restored: {error}", file=sys.stderr)  # noqa: T201


CONNECTION = pytest.StashKey[ServerConnection]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, each beginning with `--bq`."""
    group = parser.getgroup("bq-server", "bq-server: scenarios and clients")
    group.addoption("--bq-mode", choices=MODES, default="stream", help="How *.bq.yaml scenarios are played.")
    group.addoption("--bq-seed", type=int, metavar="N", help="Shuffle as in the run that printed this seed.")
    group.addoption("--bq-url", metavar="URL", help="Test against this running server, not a private one.")
    group.addoption(
        "--bq-api-key",
        metavar="KEY",
        help="A bq_test_ key of it with every scope; its environment is emptied before each test. "
        f"Or set {KEY_VARIABLE}.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse contradictory options."""
    url, key = config.getoption("--bq-url"), config.getoption("--bq-api-key")
    if key is not None and url is None:
        raise pytest.UsageError("--bq-api-key needs --bq-url: a private server has its own key")
    if url is not None:
        key = key or os.environ.get(KEY_VARIABLE)
        if not (key or "").startswith("bq_test_"):
            raise pytest.UsageError(
                f"--bq-url needs a key of a test environment, bq_test_..., by --bq-api-key or {KEY_VARIABLE}"
            )
        if config.getoption("numprocesses", None):
            raise pytest.UsageError(
                "--bq-url can't be used with -n: every test empties the environment, which the others would be using"
            )
    connection = ServerConnection(config)
    config.stash[CONNECTION] = connection
    config.add_cleanup(connection.close)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Collect scenarios."""
    return ScenarioFile.from_parent(parent, path=file_path) if file_path.name.endswith(SUFFIXES) else None


class ScenarioFile(pytest.File):
    """A `*.bq.yaml` file: one scenario."""

    def collect(self) -> Iterable[ScenarioItem]:
        """The scenario. Raises `CollectError` with the line and column of every mistake."""
        from harness.stories.documents import ScenarioMistakes, load

        try:
            scenario = load(self.path)
        except ScenarioMistakes as found:
            raise self.CollectError(str(found)) from None
        yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario)


class ScenarioFailed(Exception):
    """The scenario failed."""

    def __init__(self, outcome: StoryOutcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.name)


class ScenarioItem(pytest.Item):
    """A scenario to be played."""

    def __init__(self, *, scenario: Scenario, **more: Any) -> None:
        super().__init__(**more)
        self._scenario = scenario

    def runtest(self) -> None:
        """Play it on a clean environment. Raises `ScenarioFailed`."""
        from harness.stories.story_run import play

        mode: Mode = self.config.getoption("--bq-mode")
        outcome = play(self._scenario, self.config.stash[CONNECTION].client(), mode, self.config.getoption("--bq-seed"))
        if not outcome.passed:
            raise ScenarioFailed(outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What the runner reports, without a traceback, which would say nothing about the story."""
        from harness.private_server import ServerFailed

        if isinstance(excinfo.value, ScenarioFailed):
            return told(excinfo.value.outcome)
        if isinstance(excinfo.value, ServerFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the scenario is."""
        return self.path, 0, self.name


def told(outcome: StoryOutcome) -> str:
    """The failures of an outcome, each starting with its file and line."""
    seed = f"; --bq-seed {outcome.seed} repeats it" if outcome.mode == "shuffled" else ""
    return "\n\n".join([*(failure.text for failure in outcome.failures), f"played by --bq-mode {outcome.mode}{seed}"])


@pytest.fixture(scope="session")
def bq_server(pytestconfig: pytest.Config) -> PrivateServer | RunningServer:
    """The server of this test process, ready: `url`, and the `key` of its test environment."""
    from harness.private_server import ServerFailed

    try:
        return pytestconfig.stash[CONNECTION].server()
    except ServerFailed as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def bq(bq_server: PrivateServer | RunningServer, request: pytest.FixtureRequest) -> Client:  # noqa: ARG001
    """A client on a clean test environment: no facts, no game, the real clock. It finds games beside the test."""
    client = request.config.stash[CONNECTION].client()
    client.directory = request.path.parent
    client.reset(game=True)
    return client
