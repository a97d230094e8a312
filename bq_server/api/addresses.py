"""Where a request comes from: the other end of its connection or, behind a trusted proxy, the client it names."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from msgspec import Struct
from starlette.requests import Request

Network = IPv4Network | IPv6Network

FORWARDED = "forwarded"

NETWORK_BITS = 64
"""Of an IPv6 address: who has one has all addresses of its network."""

_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;"\s]*))', re.IGNORECASE)
_PORT = re.compile(r"(?:^\[([^\]]*)\](?::\d+)?|^([^:]*):\d+)$")


class Proxies(Struct, frozen=True):
    """The proxies that are trusted to name their clients, and the header in which they do.

    One header and not both: a proxy that sets one passes on whatever its client put into the other.
    """

    networks: Sequence[Network] = ()
    header: str = "x-forwarded-for"

    def address_of(self, peer: str, values: Iterable[str]) -> str:
        """The client's address: the last that isn't a trusted proxy's, given the header's values in order."""
        address = plain(peer)
        if not self.networks or not self._trusts(address):
            return address
        hops = [hop for value in values for hop in value.split(",")]
        while hops and self._trusts(address):
            hop = hops.pop().strip()
            if self.header == FORWARDED:
                found = _FOR.search(hop)
                hop = "" if found is None else found[1] or found[2] or ""
            try:
                address = str(_parsed(hop))
            except ValueError:
                break  # `unknown`, or hidden: the proxy that said so is all that is known
        return address

    def client_of(self, request: Request) -> str:
        """The address the request came from; '' if it didn't come over a network."""
        peer = "" if request.client is None else request.client.host
        return self.address_of(peer, request.headers.getlist(self.header) if self.networks else ())

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)


def plain(address: str) -> str:
    """An address as it is shown: as IPv4 even if an IPv6 socket reports it. Anything else stays as it is."""
    try:
        return str(_parsed(address))
    except ValueError:
        return address


def network_of(address: str) -> str:
    """What limits take for one client: an address of IPv4, a network of IPv6. What is no address stays as it is."""
    try:
        parsed = _parsed(address)
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(IPv6Network((int(parsed), NETWORK_BITS), strict=False))


def is_this_machine(address: str) -> bool:
    """Whether it is this machine."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True  # a Unix socket


def _parsed(text: str) -> IPv4Address | IPv6Address:
    """An address that may have a port. Raises `ValueError`."""
    if (found := _PORT.fullmatch(text)) is not None:
        text = found[1] or found[2] or ""
    address = ip_address(text)
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
