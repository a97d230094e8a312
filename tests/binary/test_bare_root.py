"""On a machine with nothing installed and no network, everything works: in a root that holds only the executable."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.binary.bare import DATA, MADE, SCRATCH, bare_root, made_root, reaches_out, shell
from tests.binary.program import Program, Serving, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="entering another root takes root")


CASES = {
    "one file, root": ("onefile", "0:0", False),
    "one file, nobody, read-only root": ("onefile", "65534:65534", True),
    "one directory, nobody, read-only root": ("onedir", "65534:65534", True),
}

GAME = """
points:
  - {code: spend, on: purchase_completed, award: properties.amount}
streaks:
  - {code: daily, name: Daily, on: level_completed, timezone: Europe/Lisbon}
"""


@pytest.fixture(scope="module")
def base() -> Path:
    return made_root("bare-root")


@pytest.fixture(scope="module", params=CASES)
def program(
    request: pytest.FixtureRequest,
    base: Path,
    dist: Path,
    unpacked: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Program]:
    form, user, read_only = CASES[request.param]
    product = dist / "bq-server" if form == "onefile" else unpacked
    place = tmp_path_factory.mktemp("bare")
    with bare_root(base, product, place, user=user, read_only=read_only) as program:
        yield program


@pytest.fixture(scope="module")
def serving(program: Program) -> Iterator[Serving]:
    with program.serving(Path(DATA, "data")) as serving:
        yield serving


def test_it_is_bare(program: Program, request: pytest.FixtureRequest) -> None:
    _, user, read_only = CASES[request.node.callspec.params["program"]]
    for tool in ("python3", "python", "redis-server", "valkey-server", "gcc", "cc", "curl", "git"):
        assert shell(program, f"command -v {tool}").returncode != 0, f"{tool} is in the bare root"
    assert shell(program, "id -u").stdout.strip() == user.partition(":")[0]
    assert (shell(program, "touch /written && rm /written").returncode != 0) == read_only
    assert not program.within(reaches_out), "there is a network"


def test_a_sync_event(serving: Serving) -> None:
    answer = serving.send("ada")
    assert answer["fact_id"].startswith("fact_")
    assert "ada" in serving.facts()


def test_an_async_event_with_drain(serving: Serving) -> None:
    serving.send("bob", path="/ingest/events")
    drained = serving.post("/sandbox/drain", {"timeout_ms": 5000})
    assert drained["drained"] is True
    assert "bob" in serving.facts()


def test_game_check(program: Program) -> None:
    written = shell(program, f"cat > {SCRATCH}/game.yaml <<'END'\n{GAME}\nEND")
    assert written.returncode == 0, written.stderr
    checked = program.run("game", "check", f"{SCRATCH}/game.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_example_game_with_its_time_zones(program: Program, serving: Serving) -> None:
    played = program.run("game", "example", "--url", serving.url, "--api-key", serving.key)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "streak" in played.stdout


def test_keys_create(program: Program, serving: Serving) -> None:
    made = program.run("keys", "create", "--env", "test", "--scope", "read", "--data-dir", f"{DATA}/data")
    assert made.returncode == 0, made.stderr
    serving.key, own = made.stdout.strip(), serving.key
    try:
        until("the running server honours the new key", lambda: serving.request("GET", "/api/v1/facts")[0] == 200)
    finally:
        serving.key = own


def test_verify(program: Program, serving: Serving) -> None:
    serving.send("carol")
    verified = program.run("verify", "--data-dir", f"{DATA}/data")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "no difference" in verified.stdout


def test_harness_run(program: Program) -> None:
    """The shipped scenarios, against a server that the program starts for itself."""
    ran = program.run("harness", "run", seconds=300)
    failed = [line for line in ran.stdout.splitlines() if not line.startswith("passed")]
    assert ran.returncode == 0, "\n".join([*failed, ran.stderr])


def test_backup(program: Program, serving: Serving) -> None:
    made = program.run("backup", f"{SCRATCH}/copy", "--data-dir", f"{DATA}/data")
    assert made.returncode == 0, made.stdout + made.stderr


def test_nothing_is_written_but_where_it_was_told(program: Program, serving: Serving) -> None:
    """Files that are there now and were not in the base; runs last."""
    found = shell(program, f"find / -xdev -newer {MADE} -type f").stdout.split()
    assert [path for path in found if not path.startswith((DATA, SCRATCH))] == []
    unpacked = shell(program, f"ls -d {SCRATCH}/_MEI*").stdout.split()
    assert len(unpacked) <= 1, f"only the running server may have unpacked anything: {unpacked}"


def test_with_the_c_library_and_a_shell_alone(dist: Path, tmp_path: Path) -> None:
    base = made_root("libc-root", "libc")
    with bare_root(base, dist / "bq-server", tmp_path, user="0:0", read_only=False) as program:
        assert shell(program, "echo /usr/lib/*/libz* /lib/*/libz*").stdout.split() == [
            "/usr/lib/*/libz*",
            "/lib/*/libz*",
        ]
        with program.serving(Path(DATA, "data")) as serving:
            serving.send("ada")
            serving.send("bob", path="/ingest/events")
            serving.post("/sandbox/drain", {"timeout_ms": 5000})
            assert serving.facts() == ["ada", "bob"]
            # There is no data on time zones here but our own, which the larger root has.
            played = program.run("game", "example", "--url", serving.url, "--api-key", serving.key)
            assert played.returncode == 0, played.stdout + played.stderr
            assert "streak" in played.stdout
