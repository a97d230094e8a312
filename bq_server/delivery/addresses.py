"""Where may be called: a name is resolved once, and the address that was looked at is the one that is called."""

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from bq_server.delivery.lookups import look_up

Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """What the name stands for must not be called, or it stands for nothing."""


def is_public(address: Address) -> bool:
    """Whether the address is one of the public Internet: not private, loopback, link-local or of another purpose."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def is_loopback(host: str) -> bool:
    """Whether a server that is bound to this host is reached from its own machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def resolve(host: str, port: int, *, private: bool) -> list[Address]:
    """The addresses that may be called for a host, which may be one itself; with `private` any address will do.

    There is at least one. Raises `AddressRefused`.
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
        raise AddressRefused(f"{host} is {addresses[0]}, which is no address of the public Internet")
    return chosen
