"""The program as an executable: what differs from running it from the source tree."""

import os
import sys
from pathlib import Path

LIBRARY_PATHS = ("LD_LIBRARY_PATH", "LIBPATH")
"""Variables that the executable's bootloader points at the bundle, with the original values in `..._ORIG`."""


def is_frozen() -> bool:
    """Whether this is the executable, not Python with our source."""
    return bool(getattr(sys, "frozen", False))


def bundle() -> Path:
    """The directory with what is packed into the executable. Only if `is_frozen`."""
    return Path(sys._MEIPASS)  # type: ignore[attr-defined]  # noqa: SLF001 - documented for programs under PyInstaller


def built_from() -> str:
    """What is running: `source`, `onefile` or `onedir`."""
    if not is_frozen():
        return "source"
    # The bootloader's name for what it unpacks; its location says nothing, since TMPDIR may be anywhere.
    return "onefile" if bundle().name.startswith("_MEI") else "onedir"


def own_command() -> list[str]:
    """The command that starts this same program, without arguments; see `own_environment`."""
    # -P: modules in the current directory are not the program.
    return [sys.executable] if is_frozen() else [sys.executable, "-P", "-m", "bq_server"]


def own_environment() -> dict[str, str]:
    """The environment for `own_command`: the child uses what this program has unpacked, and is a single process."""
    return dict(os.environ)


def child_environment() -> dict[str, str]:
    """The environment for another program: its own libraries, not the bundle's, and nothing of the bootloader's.

    This program, started with it, is independent: it unpacks itself again.
    """
    environment = dict(os.environ)
    if is_frozen():
        for name in [name for name in environment if name.startswith("_PYI_")]:
            del environment[name]
        for name in LIBRARY_PATHS:
            environment.pop(name, None)
            original = environment.pop(f"{name}_ORIG", None)
            if original is not None:
                environment[name] = original
    return environment
