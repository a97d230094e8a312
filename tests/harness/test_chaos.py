"""The chaos run as a whole, against a real server: a short one passes, and none leaves anything behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bq_server.runtime.frozen import own_command
from harness.chaos import faults, report
from harness.chaos.chaos_run import run
from harness.chaos.interruption import ENDING, complete
from harness.chaos.options import DESTRUCTIONS, HABITS, LACKS, STRIKES, Options
from harness.chaos.processes import descendants, running, stream_server
from harness.private_server import PrivateServer, ServerFailed
from tests.support.process import run as command
from tests.support.process import until

SEED = 20260402


def test_a_short_run_with_every_fault_passes(tmp_path: Path) -> None:
    told: list[str] = []
    options = Options(seconds=4, rate=120, clients=8, seed=SEED, keep=tmp_path / "kept")
    ledger = run(options, tell=told.append)
    shown = "\n".join([*told, *report.lines(ledger)])
    assert ledger.passed, shown
    assert (ledger.lost, ledger.doubled, ledger.altered, ledger.foreign, ledger.differences) == (0, 0, 0, 0, 0)
    assert all(ledger.faults[fault] for fault in (*STRIKES, *HABITS)), shown
    assert ledger.acknowledged > 50, shown  # of some 480: a slow machine sends fewer
    assert ledger.facts >= ledger.acknowledged, shown
    assert (ledger.webhooks_lost, ledger.webhooks_invented) == (0, 0)
    assert ledger.webhooks_delivered == ledger.webhooks_caused >= ledger.acknowledged, shown
    assert min(ledger.duplicates_refused, ledger.participants, ledger.rankings, ledger.retries) > 0, shown
    kept = json.loads((tmp_path / "kept" / "ledger.json").read_text())
    assert (kept["seed"], kept["passed"]) == (SEED, True)
    found = subprocess.run(["ps", "-axo", "args="], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in found


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a running process are set by prlimit")
def test_a_run_in_which_the_server_lacks_everything_and_loses_its_stream_passes() -> None:
    told: list[str] = []
    ledger = run(Options(seconds=6, rate=100, clients=8, seed=SEED, faults=(*LACKS, *DESTRUCTIONS)), tell=told.append)
    shown = "\n".join([*told, *report.lines(ledger)])
    assert ledger.passed, shown
    assert ledger.lost == 0, shown
    assert ledger.told_lost.at_least or ledger.told_lost.events >= ledger.destroyed, shown
    assert ledger.facts + ledger.destroyed >= ledger.acknowledged, shown


def test_a_run_whose_store_crashes_passes() -> None:
    told: list[str] = []
    faults = ("kill-server", "kill-store", "pause-stream", *HABITS)
    ledger = run(Options(seconds=5, rate=120, clients=8, seed=SEED, faults=faults), tell=told.append)
    shown = "\n".join([*told, *report.lines(ledger)])
    assert ledger.passed, shown
    assert (ledger.lost, ledger.doubled, ledger.altered, ledger.foreign, ledger.differences) == (0, 0, 0, 0, 0)
    assert all(ledger.faults[fault] for fault in faults), shown
    assert ledger.webhooks_delivered == ledger.webhooks_caused >= ledger.acknowledged > 50, shown


def test_faults_of_a_store_in_a_file_and_of_one_elsewhere_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="kill-store is for a store on PostgreSQL, and slow-disk for one in a file"):
        Options(faults=("kill-store", "slow-disk"))


def test_a_server_that_does_not_come_back_fails_the_run(tmp_path: Path) -> None:
    once = f'test -e {tmp_path}/started && exit 1; touch {tmp_path}/started; exec "$0" "$@"'
    options = Options(seconds=2, rate=120, clients=2, seed=SEED, faults=("kill-server",))
    ledger = run(options, command=["sh", "-c", once, *own_command()])
    assert not ledger.passed
    assert "didn't start again" in ledger.problems[0]
    assert ledger.acknowledged > 0


def test_a_server_that_never_starts_is_no_run() -> None:
    with pytest.raises(ServerFailed):
        run(Options(seconds=2, rate=120, faults=()), command=[sys.executable, "-c", "raise SystemExit(7)"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_breaking_off_ends_every_process(tmp_path: Path, number: signal.Signals) -> None:
    kept = tmp_path / "kept"
    arguments = ["--seconds", "6", "--rate", "50", "--seed", "3", "--faults", "pause-stream", "--keep", str(kept)]
    started: dict[int, str] = {}

    def stands_still() -> bool:
        found = descendants(process.pid)
        started.update({each.pid: each.program for each in found})
        return any(each.program == "valkey-server" and each.state.startswith("T") for each in found)

    with subprocess.Popen(
        [*own_command(), "harness", "chaos", *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        # Then there is most to clean up.
        until("the stream stands still", stands_still)
        process.send_signal(number)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert len(started) >= 3
    assert [each for each in running() if each.pid in started] == []


@pytest.mark.parametrize("number", ENDING)
def test_breaking_off_never_strikes_within_a_task(number: signal.Signals, caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    async def struck() -> None:
        signal.raise_signal(number)
        signal.raise_signal(number)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("struck")

    async def other() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("other")

    async def work() -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(other())
            both.create_task(struck())

    def interrupt(*_: object) -> None:
        assert sorted(ended) == ["other", "struck"]
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            complete(work())
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)
    assert caplog.records == []


def test_a_signal_after_the_work_is_not_lost() -> None:
    async def late() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            complete(late())
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--faults", "earthquake"], "there is no fault earthquake"),
        (["--seconds", "1", "--rate", "1"], "it takes 200"),
        (["--keep", "."], "is not empty"),
        (["--clients", "0"], "--clients"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(arguments: list[str], reason: str) -> None:
    ended = command("harness", "chaos", *arguments)
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_stream_server_is_found_among_the_servers_descendants() -> None:
    with PrivateServer() as server:
        pid = stream_server(server.pid)
        assert pid is not None
        found = next(process for process in running() if process.pid == pid)
        assert found.program == "valkey-server"
        assert stream_server(pid) == pid
        # Other tests of this process may have servers, too.
        assert pid in {each.pid for each in descendants(os.getpid())}
        os.kill(pid, signal.SIGKILL)
        until("another one runs", lambda: stream_server(server.pid) not in (pid, None))


def test_a_held_database_lets_nobody_else_write_until_it_is_let_go(tmp_path: Path) -> None:
    database = tmp_path / "some.sqlite3"
    sqlite = faults.sqlite()
    with sqlite.connect(database, isolation_level=None, timeout=0) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        let_go = threading.Event()
        holding = threading.Thread(target=faults.hold, args=(database, [60.0, 60.0], let_go))
        holding.start()

        def is_held() -> bool:
            try:
                connection.execute("INSERT INTO t VALUES (1)")
            except sqlite.OperationalError:
                return True
            return False

        until("it is held", is_held)
        let_go.set()
        holding.join(10)
        assert not is_held()
    connection.close()
