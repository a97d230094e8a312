"""What holds for any bytes: nothing is lost or answered twice, and where the network cuts them makes no difference."""

import asyncio
import re
from itertools import pairwise
from typing import Any

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from bq_server.lane.head import END, read_head
from bq_server.store.keys import digest
from tests.lane.bare import KEY, Bare
from tests.lane.corpus import BATCH, encoded
from tests.support.client import event
from tests.support.wire import request

GOOD = request(encoded(event()), key=KEY.encode())
REFUSED = request(b'{"event_name": 5}', key=KEY.encode())
MANY = request(encoded({"events": [event(), {}, event()]}), key=KEY.encode(), path=BATCH)
ELSEWHERE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSING = request(encoded(event()), b"Connection: close", key=KEY.encode())

IDS = rb"req_\w+|\b1700000000000-\d+"

requests = st.sampled_from([GOOD, REFUSED, MANY])
WORDS = [
    *(b"\r\n", b"\n", b" ", b"\t", b":", b"\0", b"\xff", b"POST ", b" HTTP/1.1", b"Host: x", b"X-API-Key: "),
    *(b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close"),
    *(b"Upgrade: h2c", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
]
words = st.sampled_from(WORDS)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A request with some bytes cut out, doubled or replaced."""
    data = draw(requests)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 8)))
        data = data[:start] + draw(words | st.binary(max_size=6)) + data[end:]
    return data


streams = st.lists(requests | mutated() | st.sampled_from([ELSEWHERE, CLOSING, b"\x16\x03\x01"]), max_size=6).map(
    b"".join
)


async def _play(data: bytes, cuts: list[int]) -> tuple[bytes, bytes | None, bool, int]:
    bare = Bare()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(places):
        if start < end:
            await bare.feed(data[start:end])
    await bare.idle()
    assert bare.budget.used == len(bare.connection._held) * (bare.left is None)
    return bare.transport.written, bare.left, bare.transport.closed, len(bare.intake.events)


@settings(max_examples=150, deadline=None)
@given(streams, st.lists(st.integers(0, 2000), max_size=12))
def test_where_the_bytes_are_cut_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    whole, left, closed, events = asyncio.run(_play(data, []))
    again = asyncio.run(_play(data, cuts))
    # An id is made when a head is read, and the queues of the two routes take turns, so only the ids may differ.
    assert [re.sub(IDS, b"I", part) if isinstance(part, bytes) else part for part in again] == [
        re.sub(IDS, b"I", part) if isinstance(part, bytes) else part for part in (whole, left, closed, events)
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(requests, max_size=5), mutated() | st.sampled_from([ELSEWHERE, b""]), st.lists(requests, max_size=2))
def test_whatever_follows_whole_requests_they_are_answered_and_the_rest_goes_over_whole(
    before: list[bytes], odd: bytes, after: list[bytes]
) -> None:
    data = b"".join(before) + odd + b"".join(after)
    written, left, _, _ = asyncio.run(_play(data, []))
    statuses = [int(found) for found in re.findall(rb"HTTP/1.1 (\d{3}) \r\n", written)]
    wanted = [{GOOD: 202, REFUSED: 422, MANY: 202}[each] for each in before]
    assert statuses[: len(before)] == wanted
    if left is not None:
        assert data.endswith(left), "every byte that was not answered, and in order"
        assert not any(left.startswith(each) for each in (GOOD, REFUSED, MANY)), "no more than that"


def test_cut_at_every_byte() -> None:
    for data in (GOOD, MANY, GOOD + ELSEWHERE):
        whole = asyncio.run(_play(data, []))
        for cut in range(1, len(data)):
            assert asyncio.run(_play(data, [cut])) == whole
        assert asyncio.run(_play(data, list(range(len(data))))) == whole


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_what_the_lane_takes_hypercorns_parser_reads_alike(data: bytes) -> None:
    head, end, rest = data.partition(END)
    found = read_head(head + end) if end else None
    if found is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head + end + rest[: found.length].ljust(found.length))
    sent: Any = connection.next_event()
    assert isinstance(sent, h11.Request)
    assert (sent.method, sent.target, sent.http_version) == (b"POST", found.route.value.encode(), b"1.1")
    headers = {name: value.decode("latin-1") for name, value in sent.headers}
    assert len(headers) == len(sent.headers) or not ({b"host", b"x-api-key"} & _repeated(sent.headers))
    assert int(headers[b"content-length"]) == found.length
    assert digest(headers.get(b"x-api-key", "")) == found.key_digest
    assert headers.get(b"content-type", "") == found.content_type
    assert headers.get(b"idempotency-key") == found.idempotency_key
    assert headers.get(b"x-request-id", "") == found.request_id
    assert (headers.get(b"connection", "").lower() == "close") == found.closes
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert len(body) == found.length
    assert isinstance(event, h11.EndOfMessage)


def _repeated(headers: Any) -> set[bytes]:
    names = [name for name, _ in headers]
    return {name for name in names if names.count(name) > 1}
