"""Limits of keys and addresses: told alike by both ways, counted together, and nothing where there are none."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bq_server.api.addresses import Proxies, network_of
from bq_server.api.rate_limits import MOST_COUNTED, LocalCounts, RateLimits, tighter
from bq_server.events import Scope
from bq_server.refusals import Code, Refusal
from bq_server.settings import NO_RATE_LIMIT, RateLimit, networks_of
from bq_server.store.keys import ApiKey
from tests.lane.corpus import BATCH, encoded
from tests.support.client import event
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until
from tests.support.wire import converse, request

LONG = 500_000
"""Seconds of a span, of which none ends while a test runs."""

FLAGS = ("--trusted-proxies", "127.0.0.0/8,::1")
KEY = ApiKey("key_1", Scope("default", "test"), "", frozenset({"ingest"}), "k", 0)


def common(answer: bytes) -> bytes:
    """Without what differs from request to request."""
    for pattern, word in (
        (rb"date: [^\r]+", b"date: D"),
        (rb"(req|evt)_[0-9a-z]{26}", rb"\1_I"),
        (rb'"\d{13}-\d+"', b"M"),
        (rb"retry-after: \d+", b"retry-after: N"),
        (rb"in \d+ s\. This", b"in N s. This"),
    ):
        answer = re.sub(pattern, word, answer)
    return answer


def send(server: ServerProcess, *headers: bytes, key: bytes | None = None, path: bytes | None = None) -> bytes:
    body = encoded(event()) if path is None else encoded({"events": [event()]})
    sent = request(body, *headers, key=key or server.key.encode(), **({} if path is None else {"path": path}))
    (answer, _) = converse(server.url, [sent], 1)
    return answer


@pytest.fixture
def both(tmp_path: Path) -> Iterator[list[ServerProcess]]:
    """One server with the lane and one without."""
    limits = ("--rate-limit-per-key", f"6/{LONG}", "--rate-limit-per-address", f"3/{LONG}")
    with (
        ServerProcess(tmp_path / "on", *FLAGS, *limits) as on,
        ServerProcess(tmp_path / "off", *FLAGS, *limits, "--http-lane", "off") as off,
    ):
        yield [on, off]


def test_limits_are_told_alike_by_both_ways(both: list[ServerProcess]) -> None:
    spoken: list[list[bytes]] = []
    for server in both:
        one = [send(server, b"X-Forwarded-For: 203.0.113.9") for _ in range(4)]
        other = [send(server, b"X-Forwarded-For: 198.51.100.1, 203.0.113.10", path=BATCH) for _ in range(2)]
        unknown = [send(server), send(server, b"X-Forwarded-For: unknown")]
        spoken.append([common(answer) for answer in (*one, *other, *unknown)])
    assert spoken[0] == spoken[1]
    remaining = [re.search(rb"x-ratelimit-remaining: (\d+)", answer) for answer in spoken[0]]
    # The fourth of the address costs the key nothing; the proxy itself is of this machine, which has no limit.
    assert [None if found is None else int(found[1]) for found in remaining] == [2, 1, 0, 0, 2, 1, 0, 0]
    statuses = [int(answer[9:12]) for answer in spoken[0]]
    assert statuses == [202, 202, 202, 429, 202, 202, 202, 429]
    assert b"This address may send 3 requests" in spoken[0][3]
    assert b"This key may send 6 requests" in spoken[0][7]
    for answer in (spoken[0][3], spoken[0][7]):
        assert b'"code":"rate_limited"' in answer
        assert b"retry-after: N" in answer


@pytest.mark.slow
def test_other_routes_count_too_and_health_does_not(both: list[ServerProcess]) -> None:
    for server in both:
        for _ in range(20):
            assert httpx.get(f"{server.url}/livez").status_code == 200
        answers = [server.request("GET", "/facts") for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 6 + [429]
        assert [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers] == [5, 4, 3, 2, 1, 0, 0]
        problem = check(answers[-1], Code.RATE_LIMITED)
        assert 0 < int(answers[-1].headers["Retry-After"]) <= LONG, problem
        reset = {answer.headers["X-RateLimit-Reset"] for answer in answers}
        assert len(reset) == 1
        assert int(reset.pop()) % LONG == 0
        assert send(server).startswith(b"HTTP/1.1 429 "), "counted with the others"


@pytest.mark.slow
def test_wrong_keys_of_one_address_are_slowed_down_and_right_ones_are_not(data_dir: Path) -> None:
    with ServerProcess(data_dir, *FLAGS, "--wrong-keys-per-address", f"5/{LONG}") as server:
        one, other = b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-For: 203.0.113.10"
        answers = [send(server, one, key=b"bq_test_%032d" % n) for n in range(8)]
        assert [int(answer[9:12]) for answer in answers] == [401] * 5 + [429] * 3
        assert b"Too many invalid keys" in answers[-1]
        assert send(server, other, key=b"wrong").startswith(b"HTTP/1.1 401")
        right = send(server, one)
        assert right.startswith(b"HTTP/1.1 202")
        assert b"x-ratelimit" not in right, "without a limit nothing is told"
        for _ in range(10):
            assert send(server, key=b"wrong").startswith(b"HTTP/1.1 401"), "this machine is not slowed down"


@pytest.mark.slow
def test_a_key_has_a_limit_of_its_own(data_dir: Path) -> None:
    where = ("--data-dir", str(data_dir))
    with ServerProcess(data_dir, "--rate-limit-per-key", f"2/{LONG}") as server:
        made = {
            limit: run(
                "keys", "create", "--env", "test", "--scope", "read", "--rate-limit", limit, *where
            ).stdout.strip()
            for limit in (f"4/{LONG}", "off")
        }
        keys = {"own": made[f"4/{LONG}"], "none": made["off"], "setting": server.key}
        until("the keys are known", lambda: server.request("GET", "/facts", keys["none"]).status_code == 200)
        allowed = {
            name: [server.request("GET", "/facts", key).status_code for _ in range(8)].count(200)
            for name, key in keys.items()
        }
        assert allowed == {"own": 4, "none": 8, "setting": 2}
        listed = run("keys", "list", *where).stdout
        key_id = next(line.split()[0] for line in listed.splitlines() if f"4/{LONG}" in line)
        assert run("keys", "limit", key_id, "off", *where).returncode == 0
        until("it has no limit", lambda: server.request("GET", "/facts", keys["own"]).status_code == 200)
    for wrong in ("0/60", "60", "x", "1/0", "-1/5"):
        assert run("keys", "limit", key_id, wrong, *where).returncode == 2
    assert run("keys", "limit", "key_none", "1/1", *where).returncode == 1


def test_a_span_ends_and_counts_begin_anew() -> None:
    now = 1_700_000_000_000_000
    limits = RateLimits(lambda: now, per_key=RateLimit(2, 10))
    found = [limits.of_key(KEY) for _ in range(3)]
    assert [each is not None and each.over for each in found] == [False, False, True]
    now += 10_000_000
    again = limits.of_key(KEY)
    assert again is not None
    assert (again.over, again.remaining, again.ends) == (False, 1, 1_700_000_020)
    assert again.refusal(now).retry_after == 10


def test_counts_are_bounded_and_forget_who_asked_longest_ago() -> None:
    counts = LocalCounts()
    assert counts.count("address", "first", 1) == 1
    for number in range(MOST_COUNTED - 1):
        counts.count("address", f"other {number}", 1)
    assert counts.count("address", "first", 1) == 2, "it asked again: it is no more the one that asked longest ago"
    counts.count("address", "one more", 1)
    assert len(counts._counted["address"]) == MOST_COUNTED
    assert counts.count("address", "other 0", 1) == 1, "forgotten"
    assert counts.count("address", "first", 1) == 3


def test_addresses_without_end_make_no_key_forgotten() -> None:
    counts = LocalCounts()
    counts.count("key", "key_1", 1)
    for number in range(MOST_COUNTED + 1):
        counts.count("address", str(number), 1)
        counts.count("wrong_keys", str(number), 1)
    assert counts.count("key", "key_1", 1) == 2


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_one_client_is_an_address_of_ipv4_or_a_network_of_ipv6(address: str, network: str) -> None:
    assert network_of(address) == network


def test_the_address_of_a_network_and_no_limit_for_this_machine() -> None:
    limits = RateLimits(lambda: 0, per_address=RateLimit(2, 10), wrong_keys=RateLimit(1, 10))
    for address in ("2001:db8::1", "2001:db8::ffff:2"):
        standing = limits.of_address(address)
        assert standing is not None
        assert not standing.over
    third = limits.of_address("2001:db8:0:0:1::")
    assert third is not None
    assert third.over, "one network"
    assert limits.of_address("2001:db8:0:1::") is not None
    for address in ("127.0.0.1", "::1", ""):
        assert limits.of_address(address) is None
        limits.count_wrong_key(address)
        limits.count_wrong_key(address)
    limits.count_wrong_key("203.0.113.9")
    with pytest.raises(Refusal) as refused:
        limits.count_wrong_key("203.0.113.9")
    assert refused.value.code is Code.RATE_LIMITED


def test_without_limits_nothing_is_counted() -> None:
    limits = RateLimits(lambda: 0)
    assert not limits.must_count(KEY)
    assert limits.of_both("203.0.113.9", KEY) is None
    unlimited = ApiKey("key_2", Scope("default", "test"), "", frozenset(), "", 0, rate_limit=NO_RATE_LIMIT)
    assert RateLimits(lambda: 0, per_key=RateLimit(1, 1)).of_key(unlimited) is None
    assert tighter(None, None) is None


@pytest.mark.parametrize(
    ("header", "values", "address"),
    [
        ("x-forwarded-for", [], "10.0.0.1"),
        ("x-forwarded-for", ["203.0.113.9"], "203.0.113.9"),
        ("x-forwarded-for", ["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
        ("x-forwarded-for", ["1.2.3.4", "203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        ("x-forwarded-for", ["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        ("x-forwarded-for", ["203.0.113.9:4711"], "203.0.113.9"),
        ("x-forwarded-for", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("x-forwarded-for", ["2001:db8::1"], "2001:db8::1"),
        ("x-forwarded-for", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("x-forwarded-for", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("x-forwarded-for", ["203.0.113.9, "], "10.0.0.1"),
        ("x-forwarded-for", ["for=203.0.113.9"], "10.0.0.1"),
        ("forwarded", ["for=203.0.113.9"], "203.0.113.9"),
        ("forwarded", ['for=1.2.3.4, by=x;For="[2001:db8:cafe::17]:4711";proto=https'], "2001:db8:cafe::17"),
        ("forwarded", ["for=203.0.113.9;proto=http;by=10.0.0.1, for=10.0.0.7"], "203.0.113.9"),
        ("forwarded", ["for=_hidden"], "10.0.0.1"),
        ("forwarded", ["203.0.113.9"], "10.0.0.1"),
        ("forwarded", ["by=203.0.113.9"], "10.0.0.1"),
    ],
)
def test_trusted_proxies_are_believed(header: str, values: list[str], address: str) -> None:
    proxies = Proxies(networks_of("10.0.0.0/8, ::1"), header)
    assert proxies.address_of("10.0.0.1", values) == address
    assert proxies.address_of("::ffff:10.0.0.1", values) == address
    assert proxies.address_of("192.0.2.1", values) == "192.0.2.1", "nobody else is"
    assert Proxies().address_of("10.0.0.1", values) == "10.0.0.1"


@pytest.mark.slow
def test_settings_that_are_no_limit_or_no_network_are_refused(data_dir: Path) -> None:
    for flag, value in (
        ("--rate-limit-per-key", "5"),
        ("--rate-limit-per-address", "5/0"),
        ("--wrong-keys-per-address", "x/y"),
        ("--trusted-proxies", "10.0.0.1/8"),
        ("--trusted-proxies", "proxy.example"),
        ("--forwarded-header", "via"),
    ):
        answer = run("serve", "--port", "0", "--data-dir", str(data_dir), flag, value)
        assert answer.returncode == 2, flag
        assert flag in answer.stderr, answer.stderr
