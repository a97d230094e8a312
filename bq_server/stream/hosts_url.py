"""URLs that name several hosts: any of them says where the stream server's primary is."""

from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

CERTIFICATES = "ssl_ca_certs"
"""What the query of any such URL may have: a file, for TLS."""


class HostsUrl(Struct, frozen=True):
    """`<scheme>://[user:password@]host[:port][,host[:port]...]/path[?query]`."""

    hosts: tuple[tuple[str, int], ...]
    path: str
    """Without slashes around it, not decoded."""
    tls: bool
    """Whether the scheme is `rediss+...`."""
    login: dict[str, str]
    """What a connection to the stream server needs beside its address, as redis-py names it. It is secret."""
    query: dict[str, str]

    @classmethod
    def parse(cls, url: str, *, kind: str, form: str, port: int, known: tuple[str, ...] = ()) -> Self:
        """`kind`: the scheme's part after the plus. `form`: an example, for errors. `port`: where the URL has none.

        `known`: what the query may have, beside `CERTIFICATES`. Raises `ValueError` where it is no such URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in (f"redis+{kind}", f"rediss+{kind}"):
            raise ValueError(f"the scheme {parts.scheme} is not known")
        user, _, hosts = parts.netloc.rpartition("@")
        username, _, password = map(unquote, user.partition(":"))
        query, tls = _query(parts.query, (*known, CERTIFICATES)), parts.scheme == f"rediss+{kind}"
        if CERTIFICATES in query and not tls:
            raise ValueError(f"{CERTIFICATES} is for TLS: rediss+{kind}://")
        login = {"username": username, "password": password, CERTIFICATES: query.get(CERTIFICATES, "")}
        return cls(
            tuple(_host(each, port, form) for each in hosts.split(",")),
            parts.path.strip("/"),
            tls,
            {part: value for part, value in login.items() if value},
            query,
        )


def is_of_kind(url: str, kind: str) -> bool:
    """Whether the URL names hosts that are asked for the stream server, of this kind."""
    return urlsplit(url).scheme.endswith(f"+{kind}")


def _host(text: str, port: int, form: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"a host is missing: {form}")
    return parts.hostname, parts.port or port


def _query(text: str, known: tuple[str, ...]) -> dict[str, str]:
    found = dict(parse_qsl(text, keep_blank_values=True))
    for name in found:
        if name not in known:
            raise ValueError(f"{name} is not known: a query may have {', '.join(known)}")
    return found
