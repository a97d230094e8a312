"""Which addresses may be called: a name is resolved once, and the address that was checked is called."""

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from bq_server.delivery.lookups import look_up

Address = IPv4Address | IPv6Address

_UNICAST = IPv6Network("2000::/3")
"""The part of IPv6 that is assigned to the Internet. The rest is local, reserved for special purposes, or obsolete."""

_DOCUMENTATION = IPv6Network("3fff::/20")
"""Newer than what `ipaddress` knows (RFC 9637)."""

_RELAYS = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
"""Reserved for protocol assignments, and formerly for relays that carried IPv6 over IPv4."""

_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Precede an embedded IPv4 address in the interface identifier (RFC 5214)."""


class AddressRefused(Exception):
    """The name resolves to an address that must not be called, or to none."""


def is_public(address: Address) -> bool:
    """Whether the address is on the public Internet: not private, loopback, link-local or otherwise reserved."""
    if isinstance(address, IPv6Address):
        last = IPv4Address(int(address) & 0xFFFF_FFFF)
        inner = address.ipv4_mapped or address.sixtofour or (last if address in _NAT64 else None)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST or address in _DOCUMENTATION:
            return False
        if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP and not is_public(last):
            return False
    elif any(address in network for network in _RELAYS):
        return False
    return address.is_global and not address.is_multicast


def is_loopback(host: str) -> bool:
    """Whether a server bound to this host can be reached only from its own machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def resolve(host: str, port: int, *, private: bool) -> list[Address]:
    """The addresses that may be called for a host name or address; with `private`, any address may be.

    Returns at least one. Raises `AddressRefused`.
    """
    with suppress(ValueError):
        return _allowed(host, [ip_address(host)], private=private)
    try:
        found = await look_up(host, port)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"the name {host} can't be resolved: {error}") from None
    addresses = [ip_address(each.partition("%")[0]) for each in found]
    return _allowed(host, addresses, private=private)


def _allowed(host: str, addresses: Sequence[Address], *, private: bool) -> list[Address]:
    chosen = list(dict.fromkeys(each for each in addresses if private or is_public(each)))
    if not chosen:
        raise AddressRefused(f"{host} is {addresses[0]}, which is not a public Internet address")
    return chosen
