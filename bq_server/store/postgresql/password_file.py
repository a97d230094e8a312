r"""The password file of libpq, with its escapes: the driver reads one too, but finds no password with a `:` or `\`."""

import os
import stat
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

OTHERS = 0o077
"""The mode bits of everybody but the owner: libpq ignores a file that they may read."""

PORT = "5432"

FIELDS = 5
"""Host, port, database, user and password."""


class _Place(NamedTuple):
    """What a line of the file is for."""

    host: str
    port: str
    database: str
    user: str


def password_of(url: str) -> str | None:
    """The password that libpq would take from its file for that URL; None if there is none, or a nearer one.

    The URL's own and `PGPASSWORD` are nearer. Of several hosts the first with a line decides, as in the driver.
    """
    parts = urlsplit(url)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.password or "password" in asked or os.environ.get("PGPASSWORD"):
        return None
    file = Path(asked.get("passfile") or os.environ.get("PGPASSFILE") or Path.home() / ".pgpass")
    lines, hosts = _lines(file), parts.netloc.rpartition("@")[2]
    for place in _places(hosts, unquote(parts.path[1:]), unquote(parts.username or ""), asked):
        for *named, password in lines:
            if all(one in ("*", other) for one, other in zip(named, place, strict=True)):
                return password
    return None


def _places(hosts: str, database: str, user: str, asked: dict[str, str]) -> Iterator[_Place]:
    """What the URL names, one for each host; libpq's variables name the rest."""
    environ = os.environ
    user = user or asked.get("user") or environ.get("PGUSER") or getuser()
    database = database or asked.get("dbname") or asked.get("database") or environ.get("PGDATABASE") or user
    hosts = unquote(hosts) or asked.get("host") or environ.get("PGHOST") or "localhost"
    ports = (asked.get("port") or environ.get("PGPORT") or PORT).split(",")
    for number, each in enumerate(hosts.split(",")):
        host, port = _host_and_port(each)
        port = port or ports[number if number < len(ports) else -1]
        yield _Place(host, port, database, user)
        if host.startswith("/"):  # a Unix socket
            yield _Place("localhost", port, database, user)


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("/"):
        return text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = text.partition(":")
    return host, port


def _lines(file: Path) -> list[list[str]]:
    """The fields of each line; none of a file that isn't the owner's alone."""
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode) or mode & OTHERS:
            return []
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    found = (_fields(line) for line in map(_without_return, text.split("\n")) if not line.startswith("#"))
    return [each[:FIELDS] for each in found if len(each) >= FIELDS]


def _without_return(line: str) -> str:
    return line.removesuffix("\r")


def _fields(line: str) -> list[str]:
    r"""A line's fields: `\` takes away the meaning of what follows it."""
    fields, escaped = [""], False
    for char in line:
        if escaped:
            fields[-1] += char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ":":
            fields.append("")
        else:
            fields[-1] += char
    return fields
