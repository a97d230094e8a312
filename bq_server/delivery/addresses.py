"""Which addresses may be called: a name is resolved once, and the address that was checked is called."""

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from bq_server.delivery.lookups import look_up

Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """The name resolves to an address that must not be called, or to none."""


def is_public(address: Address) -> bool:
    """Whether the address is on the public Internet: not private, loopback, link-local or otherwise reserved."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
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
