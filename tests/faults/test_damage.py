"""A damaged database is noticed by the server itself, and said to whoever reads the damaged part."""

import asyncio
import threading
from pathlib import Path

import httpx
import pytest

from bq_server.refusals import Code
from bq_server.store import damage, sqlite
from bq_server.store.damage import DamageWatch, Search
from bq_server.store.database import Database
from tests.support.client import event
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until

FILLER = "x" * 200


def spoil(path: Path) -> None:
    """Overwrite the pages that hold the filler."""
    connection = sqlite.connect(str(path))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ((size,),) = connection.execute("PRAGMA page_size").fetchall()
    connection.close()
    content = path.read_bytes()
    pages = [start for start in range(0, len(content), size) if FILLER.encode() in content[start : start + size]]
    assert pages
    with path.open("r+b") as file:
        for start in pages:
            file.seek(start)
            file.write(b"\xa5" * size)


def test_the_server_and_doctor_notice_it_and_a_reader_is_told(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        for _ in range(5):
            batch = {"events": [event(properties={"filler": FILLER}) for _ in range(100)]}
            server.request("POST", "/ingest/events/batch", json=batch)
        server.request("POST", "/sandbox/drain", json={})
        assert "no damage found" in run("doctor", "--data-dir", str(data_dir), "--port", "0").stdout
        assert server.stop() == 0
        spoil(data_dir / "facts.sqlite3")
        server.start(ready=False)
        until("it is noticed", lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
        said = check(httpx.get(f"{server.url}/readyz"), Code.NOT_READY)
        assert "restore a backup" in next(each["detail"] for each in said["errors"] if each["field"] == "damage")
        assert "store.damaged" in server.log
        refused = check(server.request("GET", "/facts"), Code.STORE_UNAVAILABLE)
        assert "damaged" in refused["detail"]
        assert "Retrying doesn't help" in refused["detail"]
        diagnosis = run("doctor", "--data-dir", str(data_dir), "--port", "0")
        assert diagnosis.returncode == 1
        assert "restore a backup" in next(line for line in diagnosis.stdout.splitlines() if " pages " in line)
        server.stop()


@pytest.mark.anyio
async def test_it_waits_for_a_quiet_moment_and_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage, "QUIET_SECONDS", 0.001)
    async with Database.open(tmp_path / "db"):
        moved, searches = iter([1, 2, 3, 3]), asyncio.Queue[int]()
        last = 0

        def count() -> int:
            nonlocal last
            last = next(moved, last)
            return last

        began, loop = threading.Event(), asyncio.get_running_loop()

        class Endless(Search):
            def run(self) -> str | None:
                loop.call_soon_threadsafe(searches.put_nowait, last)
                began.wait()
                return None

            def end(self) -> None:
                began.set()

        monkeypatch.setattr(damage, "Search", Endless)
        task = asyncio.create_task(DamageWatch(tmp_path / "db", count).run())
        assert await searches.get() == 3
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert began.is_set()


@pytest.mark.anyio
async def test_it_looks_again_the_next_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert damage.EVERY_SECONDS == 24 * 3600
    monkeypatch.setattr(damage, "EVERY_SECONDS", 0)
    monkeypatch.setattr(damage, "QUIET_SECONDS", 0)
    found, again, loop = iter([None, "page 7 is damaged"]), asyncio.Event(), asyncio.get_running_loop()

    class Once(Search):
        def run(self) -> str | None:
            try:
                return next(found)
            except StopIteration:
                loop.call_soon_threadsafe(again.set)
                return "page 7 is damaged"

    monkeypatch.setattr(damage, "Search", Once)
    watch = DamageWatch(tmp_path / "db", int)
    task, looked = asyncio.create_task(watch.run()), asyncio.create_task(again.wait())
    await asyncio.wait({task, looked}, return_when=asyncio.FIRST_COMPLETED)
    assert looked.done(), "it goes on looking"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watch.problem == "page 7 is damaged"


def test_a_changed_byte_inside_a_fact_is_named(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        marker = event(properties={"note": f"see {FILLER}"})
        fact_id = server.request("POST", "/ingest/events/sync", json=marker).json()["fact_id"]
        server.request("POST", "/ingest/events/sync", json=event(participant_id="other"))
        assert server.stop() == 0
    database = data_dir / "facts.sqlite3"
    verified = run("verify", "--data-dir", str(data_dir))
    assert verified.returncode == 0, verified.stdout
    connection = sqlite.connect(str(database))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    for good, bad, said in ((b"see xxx", b"sea xxx", 1), (b"sea xxx", b"se\xff xxx", 2)):
        content = database.read_bytes()
        assert content.count(good) == 1
        database.write_bytes(content.replace(good, bad))
        assert Search(database).run() is None, "a look at the pages alone doesn't see it"
        found = run("verify", "--data-dir", str(data_dir))
        assert found.returncode == 1
        lines = [line for line in found.stdout.splitlines() if "stored" in line]
        assert f"default/test user_123 fact/{fact_id}: stored" in lines[0]
        assert len(lines) == said, "also where the properties can't be read at all"
