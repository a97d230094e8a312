"""When a webhook is tried again, and where it may go."""

from ipaddress import ip_address

import pytest

from bq_server.delivery.addresses import is_loopback, is_public
from bq_server.delivery.retries import MOST_RETRY_AFTER, TRIES, asked_for, wait

NOW = 1_775_120_400_000_000


def test_the_tries_of_a_delivery_span_about_thirty_hours() -> None:
    waits = [wait(tries, 5.0, lambda: 0.5) for tries in range(1, TRIES)]
    hours = sum(seconds for seconds in waits if seconds is not None) / 3600
    assert 29 < hours < 31
    assert wait(TRIES, 5.0, lambda: 0.5) is None


def test_jitter_takes_a_fifth_at_most() -> None:
    assert wait(1, 5.0, lambda: 0.0) == pytest.approx(4.0)
    assert wait(1, 5.0, lambda: 1.0) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("120", 120),
        ("-5", 0),
        ("soon", 0),
        ("", 0),
        ("1e999", 0),
        ("9" * 400, MOST_RETRY_AFTER),
        ("9" * 5000, 0),
        ("Thu, 99999999999999999999 Apr 2026 09:01:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MOST_RETRY_AFTER),
        ("Thu, 02 Apr 2026 09:01:00 GMT", 60),
        ("Thu, 02 Apr 2026 08:00:00 GMT", 0),
    ],
)
def test_what_a_retry_after_asks_for(header: str | None, seconds: float) -> None:
    assert asked_for(header, NOW) == seconds


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"),
        *("192.0.0.8", "192.88.99.1", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1"),
        *("fec0::1", "::10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b:1::a00:1", "5f00::1", "4000::1", "100::1"),
        *("2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001:db8::1", "3fff::1"),
        *("2a00:1450::5efe:a00:1", "2a00:1450::200:5efe:c0a8:1"),
    ],
)
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"),
        *("64:ff9b::5db8:d822", "2002:5db8:d822::1", "2a00:1450::5efe:5db8:d822"),
    ],
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(ip_address(address))


def test_a_server_on_loopback() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("shop.example")
