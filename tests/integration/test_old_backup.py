"""A backup that the first release has taken is restored by this one, and says what it said then."""

from pathlib import Path

import pytest

from bq_server.backup import archive
from bq_server.backup.archive import Manifest
from bq_server.runtime.data_directory import DataDirectory
from bq_server.store import database_copy
from tests.integration.test_carrying_over import carry
from tests.integration.test_first_release import compare, leave_out_what_was_decided_since
from tests.support.answers import answers
from tests.support.first_release import restore, told
from tests.support.process import ServerProcess, run

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """As the first release writes it."""
    parts = tmp_path / "parts"
    parts.mkdir()
    restore(parts / archive.DATABASE)
    return written(parts)


def written(parts: Path) -> Path:
    contents = database_copy.examine(parts / archive.DATABASE)
    for name in (archive.QUEUE, archive.DEAD):
        (parts / name).write_text("")
    manifest = Manifest(
        version="0.1.0",
        schema_version=contents.schema_version,
        installation_id=contents.installation_id,
        taken_at=told()["asked"]["moments"][0],
        newest_message_id="7-0",
        facts=contents.facts,
        queued=0,
        dead_letters=0,
        members={name: archive.measure(parts / name) for name in archive.MEMBERS},
    )
    path = parts.parent / "old.backup"
    archive.write(path, manifest, parts)
    return path


async def test_it_is_restored_and_answers_as_the_first_release_did(tmp_path: Path, backup: Path) -> None:
    data_dir = tmp_path / "data"
    ended = run("restore", str(backup), "--data-dir", str(data_dir))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{data_dir}: 515 facts, 0 queued messages")
    assert "carrying_over" in ended.stderr, "it says what takes so long"
    then = told()
    now = await answers(DataDirectory(data_dir).database, then["asked"])
    for scope in then["asked"]["of"]:
        leave_out_what_was_decided_since(then["answers"][scope]["states"], now[scope]["states"])
        compare(scope, now[scope], then["answers"][scope])


def test_a_server_serves_what_was_restored(tmp_path: Path, backup: Path) -> None:
    data_dir = tmp_path / "data"
    assert run("restore", str(backup), "--data-dir", str(data_dir)).returncode == 0
    assert run("verify", "--data-dir", str(data_dir)).returncode == 0
    with ServerProcess(data_dir) as server:
        key = told()["asked"]["keys"]["default/live"]
        found = server.request("GET", "/facts", key=key, params={"limit": 1000}).json()["facts"]
        assert len(found) == len(told()["answers"]["default/live"]["api"]["facts"])
        assert server.stop() == 0


def test_a_server_brings_an_old_data_directory_up_to_date_and_says_so(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    restore(directory.database)
    assert carry(directory.database, 200, 5, "after its commit") < 0
    refused = run("verify", "--data-dir", str(directory.path))
    assert (refused.returncode, "start the server once" in refused.stderr) == (2, True)
    with ServerProcess(directory.path) as server:
        assert "migration.carried_over" in server.log
        assert run("verify", "--data-dir", str(directory.path)).returncode == 0
        assert server.stop() == 0


def test_one_that_was_taken_in_the_middle_of_carrying_over_is_whole(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    restore(parts / archive.DATABASE)
    newest = database_copy.newest_processing(parts / archive.DATABASE)
    assert newest is not None
    assert carry(parts / archive.DATABASE, 200, 3, "after its commit") < 0
    assert database_copy.newest_processing(parts / archive.DATABASE) == newest
    contents = database_copy.examine(parts / archive.DATABASE)
    assert (contents.schema_version, contents.facts) == (4, 515)
    data_dir = tmp_path / "data"
    ended = run("restore", str(written(parts)), "--data-dir", str(data_dir))
    assert ended.returncode == 0, ended.stderr
    restored = DataDirectory(data_dir).database
    assert database_copy.examine(restored).facts == 515
    assert database_copy.newest_processing(restored) == newest
    assert run("verify", "--data-dir", str(data_dir)).returncode == 0
