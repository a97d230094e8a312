"""Tests of the executables in $BINARY_DIST, and only where that is said: `make test-binary`."""

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.binary.program import Program

collect_ignore_glob = [] if "BINARY_DIST" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def dist() -> Path:
    """Where the products of `make binary` are."""
    directory = Path(os.environ["BINARY_DIST"]).resolve()
    assert (directory / "bq-server").is_file(), f"there is no executable in {directory}: run `make binary`"
    return directory


@pytest.fixture(scope="session")
def unpacked(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The one-directory form, unpacked."""
    place = tmp_path_factory.mktemp("onedir")
    with tarfile.open(dist / "bq-server-dir.tar.gz") as archive:
        archive.extractall(place, filter="data")
    yield place / "bq-server-dir"
    shutil.rmtree(place)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """An empty directory for temporary files."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    return directory


@pytest.fixture
def onefile(dist: Path, scratch: Path) -> Program:
    """The one-file form."""
    return Program([str(dist / "bq-server")], scratch)


@pytest.fixture
def onedir(unpacked: Path, scratch: Path) -> Program:
    """The one-directory form."""
    return Program([str(unpacked / "bq-server")], scratch)


@pytest.fixture(params=["onefile", "onedir"])
def program(request: pytest.FixtureRequest) -> Program:
    """Either form."""
    found: Program = request.getfixturevalue(request.param)
    return found
