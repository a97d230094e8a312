"""Events that wait in a stream which this start was not given: it says so, until they don't wait any more."""

from pathlib import Path

import pytest

from bq_server.runtime.streams_used import EMBEDDED, StreamsUsed, place_of
from tests.support.client import event
from tests.support.process import ServerProcess, run
from tests.support.valkey import Valkey, valkey


def place(outside: Valkey, prefix: str = "bq") -> str:
    return f"redis://127.0.0.1:{outside.port}/0, prefix {prefix}"


def accept(server: ServerProcess) -> None:
    assert server.request("POST", "/ingest/events", json=event()).status_code == 202


def test_a_start_without_the_stream_used_before_says_that_events_wait_there(data_dir: Path, tmp_path: Path) -> None:
    with valkey(tmp_path / "outside", "--appendonly", "yes") as outside:
        with ServerProcess(data_dir, "--redis-url", outside.url) as server:
            accept(server)
            server.kill()
        with ServerProcess(data_dir) as server:
            said = f"events may wait in {place(outside)}, which this server used before"
            assert said in server.banner
            assert server.log.count("stream.elsewhere") == 1
            assert outside.password not in server.banner + server.log
            assert server.stop() == 0
        found = run("doctor", "--data-dir", str(data_dir), "--port", "0").stdout
        assert f"warning  elsewhere   {said}" in found
        assert outside.password not in (data_dir / "streams").read_text()
        with ServerProcess(data_dir, "--redis-url", outside.url) as server:
            assert "may wait" not in server.banner
            server.request("POST", "/sandbox/drain", json={})
            assert server.stop() == 0
    with ServerProcess(data_dir) as server:
        assert "may wait" not in server.banner, "it was left empty"
        assert server.stop() == 0


def test_the_other_way_round_and_another_prefix(data_dir: Path, tmp_path: Path) -> None:
    with ServerProcess(data_dir) as server:
        accept(server)
        server.kill()
    with valkey(tmp_path / "outside", "--appendonly", "yes") as outside:
        for prefix in ("one", "two"):
            with ServerProcess(data_dir, "--redis-url", outside.url, "--redis-prefix", prefix) as server:
                server.kill()
    assert "events may wait in the embedded stream server" in server.banner
    assert f"events may wait in {place(outside, 'one')}" in server.banner
    assert place(outside, "two") not in server.banner


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "the embedded stream server"),
        ("redis://user:secret@host/3?ssl_ca_certs=x", "redis://host:6379/3, prefix p"),
        ("rediss://host:7000", "rediss://host:7000, prefix p"),
        ("unix://:secret@/run/valkey.sock?db=2", "unix:///run/valkey.sock, prefix p"),
    ],
)
def test_a_place_is_named_without_its_password(url: str | None, said: str) -> None:
    assert place_of(url, "p") == said


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+sentinel"])
def test_the_first_database_is_one_place_whether_the_url_names_it_or_not(tmp_path: Path, scheme: str) -> None:
    path = "/main" if "sentinel" in scheme else ""
    spelt = [place_of(f"{scheme}://host:7000{path}{database}", "p") for database in ("", "/", "/0")]
    used = StreamsUsed(tmp_path / "inside", tmp_path / "streams")
    for each in spelt:
        used.add(each)
    assert all(used.others(each) == [] for each in spelt)
    assert used.others(place_of(f"{scheme}://host:7000{path}/1", "p")) == spelt[:1]
    assert used.others(place_of(f"{scheme}://host:7000{path}", "q")) == spelt[:1]
    used.remove(spelt[-1])
    assert list(tmp_path.iterdir()) == []


def test_places_are_kept_until_they_are_removed(tmp_path: Path) -> None:
    whereabouts = StreamsUsed(tmp_path / "inside", tmp_path / "streams")
    assert whereabouts.others("a") == []
    for name in ("a", "b", "a"):
        whereabouts.add(name)
    assert (whereabouts.others("a"), whereabouts.others("c")) == (["b"], ["a", "b"])
    assert (tmp_path / "streams").stat().st_mode & 0o777 == 0o600
    whereabouts.add(EMBEDDED)
    assert whereabouts.others("a") == [EMBEDDED, "b"]
    assert (tmp_path / "inside").read_text() == f"{EMBEDDED}\n"
    for name in ("c", "a", "b", EMBEDDED):
        whereabouts.remove(name)
    assert list(tmp_path.iterdir()) == []
