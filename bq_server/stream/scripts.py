"""The Lua scripts: what must happen atomically in the stream server."""

import hashlib
from importlib.resources import files

from msgspec import Struct


class Script(Struct, frozen=True):
    """A script, and the name under which a server that has it knows it."""

    text: str
    sha: str


def load(*names: str) -> Script:
    """The script `<name>.lua`, or several joined into one: functions first, then what uses them."""
    text = "".join((files("bq_server.stream") / f"{name}.lua").read_text("utf-8") for name in names)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
