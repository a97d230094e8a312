"""The file of a backup: damaged, cut short, newer or somebody else's, it is refused before anything is written."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bq_server.backup import archive
from bq_server.backup.archive import BackupError, Manifest
from tests.support.process import run

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """The manifest of members that lie in `parts`."""
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in archive.MEMBERS:
        (parts / name).write_bytes(name.encode() * 50_000)
    (parts / archive.QUEUE).write_text(archive.line("1-0", b"\x00payload") + archive.line("2-0", b""))
    return Manifest(
        version="0.1.0",
        schema_version=1,
        installation_id="inst_x",
        taken_at=1_700_000_000_000_000,
        newest_message_id="2-0",
        facts=3,
        queued=2,
        dead_letters=0,
        members={name: archive.measure(parts / name) for name in archive.MEMBERS},
    )


@pytest.fixture
def backup(tmp_path: Path, manifest: Manifest) -> Path:
    path = tmp_path / "backup"
    archive.write(path, manifest, tmp_path / "parts")
    return path


def members(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(info, content.read() if (content := tar.extractfile(info)) else b"") for info in tar]


def rewrite(path: Path, entries: Members) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in entries:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def with_manifest(path: Path, **changes: object) -> None:
    (info, text), *rest = members(path)
    rewrite(path, [(info, json.dumps(json.loads(text) | changes).encode()), *rest])


def test_what_is_written_is_read(tmp_path: Path, backup: Path, manifest: Manifest) -> None:
    assert archive.check(backup) == manifest
    into = tmp_path / "into"
    into.mkdir()
    assert archive.unpack(backup, into) == manifest
    for name in archive.MEMBERS:
        assert (into / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
        assert (into / name).stat().st_mode & 0o077 == 0
    assert list(archive.lines(into / archive.QUEUE)) == [("1-0", b"\x00payload"), ("2-0", b"")]


def test_any_tar_can_look_into_it(backup: Path) -> None:
    assert [info.name for info, _ in members(backup)] == ["manifest.json", "facts.sqlite3", "queue", "dead"]


def test_every_cut_is_noticed(backup: Path) -> None:
    whole = backup.read_bytes()
    for length in [0, 1, 10, 100, *range(200, len(whole), 97), len(whole) - 8, len(whole) - 1]:
        backup.write_bytes(whole[:length])
        with pytest.raises(BackupError, match=r"damaged|not a backup"):
            archive.check(backup)


def test_every_changed_byte_is_noticed_or_changes_nothing(backup: Path, manifest: Manifest) -> None:
    whole = backup.read_bytes()
    for position in [*range(24), *range(24, len(whole), 53), len(whole) - 1]:
        changed = bytearray(whole)
        changed[position] ^= 0x41
        backup.write_bytes(changed)
        try:
            assert archive.check(backup) == manifest
        except BackupError as error:
            assert "damaged" in str(error) or "not a backup" in str(error)  # noqa: PT017
        else:
            # The moment in gzip's header, or another way to say the same repetition.
            assert gzip.decompress(changed) == gzip.decompress(whole)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="No such file"):
        archive.check(tmp_path / "none")
    with pytest.raises(BackupError, match="Is a directory"):
        archive.check(tmp_path)
    (tmp_path / "zipped").write_bytes(gzip.compress(b"text" * 1000))
    with pytest.raises(BackupError, match="not a backup"):
        archive.check(tmp_path / "zipped")


def test_a_newer_format_names_the_version_to_use(backup: Path) -> None:
    with_manifest(backup, format=archive.FORMAT + 1, version="9.9.9", members=None)
    with pytest.raises(BackupError, match=r"bq-server 9\.9\.9 or newer"):
        archive.check(backup)


def _rename(name: str) -> Callable[[Members], Members]:
    def change(entries: Members) -> Members:
        entries[1][0].name = name
        return entries

    return change


def _link(kind: bytes) -> Callable[[Members], Members]:
    def change(entries: Members) -> Members:
        info = tarfile.TarInfo("facts.sqlite3")
        info.type, info.linkname = kind, "/etc/hostname"
        return [entries[0], (info, b""), *entries[2:]]

    return change


@pytest.mark.parametrize(
    "change",
    [
        _rename("../facts.sqlite3"),
        _rename("/tmp/facts.sqlite3"),
        _rename("./facts.sqlite3"),
        _link(tarfile.SYMTYPE),
        _link(tarfile.LNKTYPE),
        _link(tarfile.DIRTYPE),
        _link(tarfile.CHRTYPE),
        _link(tarfile.FIFOTYPE),
        lambda entries: entries[1:],
        lambda entries: entries[:-1],
        lambda entries: [entries[1], entries[0], *entries[2:]],
        lambda entries: [*entries, (tarfile.TarInfo("../evil"), b"evil")],
        lambda entries: [entries[0], (entries[1][0], b"another"), *entries[2:]],
        lambda entries: [(entries[0][0], b"[]"), *entries[1:]],
        lambda entries: [(entries[0][0], b"{"), *entries[1:]],
    ],
)
def test_what_a_backup_is_not_is_refused_and_nothing_is_written(
    tmp_path: Path, backup: Path, change: Callable[[Members], Members]
) -> None:
    rewrite(backup, change(members(backup)))
    with pytest.raises(BackupError):
        archive.check(backup)
    before = sorted(tmp_path.rglob("*"))
    target = tmp_path / "deep" / "data"
    ended = run("restore", str(backup), "--data-dir", str(target))
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert str(backup) in ended.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_database_newer_than_the_program_is_refused(tmp_path: Path, backup: Path) -> None:
    with_manifest(backup, schema_version=9999, version="9.9.9")
    ended = run("restore", str(backup), "--data-dir", str(tmp_path / "data"))
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "schema version 9999" in ended.stderr
    assert "9.9.9 or newer" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_database_that_is_none_is_refused_and_nothing_stays(tmp_path: Path, backup: Path) -> None:
    ended = run("restore", str(backup), "--data-dir", str(tmp_path / "data"))
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "not a database" in ended.stderr
    assert not (tmp_path / "data").exists()
