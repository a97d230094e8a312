"""Bodies that come as gzip are read on every route, within the limit of what they become; what is no gzip is told."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bq_server.api.gzip_bodies import MOST_MEMBERS, PIECE_BYTES, inflated
from bq_server.refusals import Code, Refusal
from tests.support.client import Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess

SINGLE, BATCH, SYNC = "/ingest/events", "/ingest/events/batch", "/ingest/events/sync"
KiB = 1024


def posted(bq: Project, path: str, body: bytes, encoding: str = "gzip") -> httpx.Response:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    return bq.request("POST", path, content=body, headers=headers)


def squeezed(document: Any) -> bytes:
    return gzip.compress(json.dumps(document).encode(), mtime=0)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "identity, gzip"])
def test_every_way_in_reads_it(bq: Project, encoding: str) -> None:
    assert posted(bq, SINGLE, squeezed(event("single")), encoding).status_code == 202
    assert posted(bq, BATCH, squeezed({"events": [event("batch")] * 3}), encoding).status_code == 202
    assert posted(bq, SYNC, squeezed(event("sync")), encoding).status_code == 200
    bq.drain()
    assert sorted(fact["event_name"] for fact in bq.facts()) == ["batch"] * 3 + ["single", "sync"]


def test_other_bodies_too(bq: Project) -> None:
    game = squeezed({"badges": [{"code": "b", "name": "B"}]})
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert bq.request("PUT", "/gamify/admin/game", content=game, headers=headers).status_code == 200
    assert bq.game()["game"]["badges"][0]["code"] == "b"


@pytest.mark.parametrize("path", [SINGLE, BATCH, SYNC])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "ends before its gzip does"),
        (b"{}", "is not gzip"),
        (squeezed(event())[:-1], "ends before its gzip does"),
        (squeezed(event())[:20] + b"\xff" + squeezed(event())[21:], "is not gzip"),
        (squeezed(event()) + b"rubbish", "is not gzip"),
        (zlib.compress(b"{}"), "is not gzip"),
        (gzip.compress(b"", mtime=0) * (MOST_MEMBERS + 1), "more than"),
    ],
    ids=["nothing", "plain", "cut", "altered", "more", "zlib", "members"],
)
def test_what_is_no_gzip_is_told_and_makes_no_fact(bq: Project, path: str, body: bytes, said: str) -> None:
    answer = posted(bq, path, body)
    assert said in check(answer, Code.UNSUPPORTED_MEDIA_TYPE)["detail"]
    assert answer.headers["Accept-Encoding"] == "gzip"
    assert bq.drain()["facts"] == 0


@pytest.mark.parametrize("encoding", ["deflate", "br", "gzip, gzip", "x"])
def test_other_encodings_are_refused_with_what_is_taken(bq: Project, encoding: str) -> None:
    answer = posted(bq, SINGLE, squeezed(event()), encoding)
    assert f"not {encoding}" in check(answer, Code.UNSUPPORTED_MEDIA_TYPE)["detail"]
    assert answer.headers["Accept-Encoding"] == "gzip"


def test_the_limit_is_of_what_it_inflates_to(data_dir: Path) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    limits = ("--max-body-bytes", str(64 * KiB), "--max-batch-body-bytes", str(64 * KiB))
    with ServerProcess(data_dir, *limits) as server, server.client(**headers) as client:
        body = json.dumps(event()).encode()
        for size, status in ((64 * KiB, 202), (64 * KiB + 1, 413)):
            sent = gzip.compress(body.ljust(size))
            assert len(sent) < KiB
            assert client.post(SINGLE, content=sent).status_code == status
        before = server.resident_bytes
        bomb = gzip.compress(b" " * (60 << 20), 9)
        assert len(bomb) < 64 * KiB
        for path in (SINGLE, BATCH, SYNC):
            assert client.post(path, content=bomb).status_code == 413
        assert server.resident_bytes - before < 16 << 20, "what it would have become was never there"
        endless = [gzip.compress(b"")[:10], *[b"\x00\x00\x00\xff\xff" * 1000] * 100]
        assert client.post(SINGLE, content=iter(endless)).status_code == 413
        assert server.stop() == 0


async def _all(chunks: list[bytes], limit: int) -> list[bytes]:
    async def arriving() -> Any:
        for chunk in chunks:
            yield chunk

    return [piece async for piece in inflated(arriving(), limit)]


@given(
    st.lists(st.binary(max_size=2000), min_size=1, max_size=5),
    st.integers(1, 300),
    st.integers(1, 2000),
)
@pytest.mark.anyio
async def test_it_inflates_to_what_was_compressed_however_it_is_cut(
    members: list[bytes], size: int, repeated: int
) -> None:
    members = [member * repeated if len(member) < 100 else member for member in members]
    body = b"".join(gzip.compress(member) for member in members)
    pieces = await _all([body[at : at + size] for at in range(0, len(body), size)], len(body))
    assert b"".join(pieces) == b"".join(members)
    assert max(map(len, pieces), default=0) <= PIECE_BYTES
    with pytest.raises(Refusal):
        await _all([body], len(body) - 1)
