"""Names that can't be looked up, or only after a long time."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bq_server.delivery import lookups
from bq_server.delivery.addresses import AddressRefused, resolve

pytestmark = pytest.mark.anyio
HANGING = 100


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What answers: at once, but for names whose servers are gone."""
    over = threading.Event()

    def found(host: str, port: int, **_: Any) -> list[Any]:
        if host == "gone.example":
            over.wait()
        if host != "shop.example":
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%eth0", port, 0, 2))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    yield over
    over.set()


async def test_names_whose_servers_are_gone_keep_no_other_waiting(servers: threading.Event) -> None:
    hanging = [asyncio.create_task(resolve("gone.example", 80, private=True)) for _ in range(HANGING)]
    assert [str(each) for each in await resolve("shop.example", 80, private=True)] == ["fe80::1"]
    assert not any(each.done() for each in hanging)
    servers.set()
    outcomes = await asyncio.gather(*hanging, return_exceptions=True)
    assert {type(each) for each in outcomes} == {AddressRefused}


async def test_who_waits_no_longer_is_not_answered(servers: threading.Event) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await resolve("gone.example", 80, private=True)
    servers.set()
    with pytest.raises(AddressRefused, match="fe80::1, which is not a public Internet address"):
        await resolve("shop.example", 80, private=False)
    with pytest.raises(AddressRefused, match="can't be resolved"):
        await resolve("nowhere.example", 80, private=False)


async def test_without_a_thread_it_is_a_name_that_can_not_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lookups, "begin_thread", refused)
    with pytest.raises(AddressRefused, match="can't start new thread"):
        await resolve("shop.example", 80, private=True)


async def test_a_thread_that_never_begins_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that found no memory."""
    monkeypatch.setattr(lookups, "begin_thread", lambda _: None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await resolve("shop.example", 80, private=True)
