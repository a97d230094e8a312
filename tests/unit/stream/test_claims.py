"""Claims: how they are written, which one an event has, and taking keys on the sync path."""

import asyncio

import pytest
from msgspec.structs import replace

from bq_server.concurrency.group_commit import GroupClosed
from bq_server.events import Event, Scope
from bq_server.stream.claims import SYNC_CLAIM_MILLISECONDS, Claim, EventClaims, SyncClaims
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.keys import StreamKeys
from tests.unit.stream.scripted_pipe import ScriptedPipe, turns

pytestmark = pytest.mark.anyio
KEYS = StreamKeys("bq")
SCOPE = Scope("p", "test")
CLAIM = Claim("bq:key", "f" * 32, "evt_1", 1_700_000_000_000_000)
EVENT = Event("evt_1", SCOPE, "e", "u", "{}", 5, 7, "k", "f" * 32)


@pytest.mark.parametrize("claim", [CLAIM, replace(CLAIM, message_id="1700000000000-3")])
def test_a_claim_is_read_as_it_was_written(claim: Claim) -> None:
    assert Claim.unpack(claim.key, claim.pack()) == claim
    assert Claim.unpack(claim.key, f"{claim.pack()} dead") == replace(claim, dead=True)


def test_the_text_of_a_claim_is_what_streams_hold_already() -> None:
    assert CLAIM.pack() == f"{'f' * 32} - evt_1 1700000000000000"
    assert replace(CLAIM, message_id="1-0").pack() == f"{'f' * 32} 1-0 evt_1 1700000000000000"


def test_an_environment_that_was_emptied_has_other_claims() -> None:
    resets: dict[Scope, int] = {}
    claims = EventClaims(KEYS, resets)
    before = claims.of(EVENT, "1-0")
    assert before == Claim(KEYS.claim(*SCOPE, "k"), "f" * 32, "evt_1", 7, "1-0")
    resets[SCOPE] = 1
    after = claims.of(EVENT)
    assert after is not None
    assert (after.key, after.message_id) == (KEYS.claim(*SCOPE, "k", 1), None)
    assert after.key != before.key
    assert claims.of(EVENT._replace(idempotency_key=None)) is None


async def test_keys_asked_for_at_once_are_taken_in_one_round_trip() -> None:
    pipe = ScriptedPipe()
    claims = SyncClaims(pipe.as_pipe(), KEYS)
    mine, other = CLAIM, replace(CLAIM, key="bq:other", event_id="evt_2")
    asked = [asyncio.create_task(claims.take(each)) for each in (mine, other)]
    pipe.answer([mine.pack().encode(), f"{replace(CLAIM, message_id='1-0').pack()} dead".encode()])
    assert await asyncio.gather(*asked) == [mine, replace(CLAIM, key="bq:other", message_id="1-0", dead=True)]
    (call,) = pipe.calls
    assert call.keys == [KEYS.dead, "bq:key", "bq:other"]
    assert call.args == [
        SYNC_CLAIM_MILLISECONDS,
        *(mine.fingerprint, mine.event_id, mine.received_at),
        *(other.fingerprint, other.event_id, other.received_at),
    ]


async def test_a_claim_that_can_not_be_released_is_left_to_expire() -> None:
    pipe = ScriptedPipe()
    claims = SyncClaims(pipe.as_pipe(), KEYS)
    pipe.answer(StreamUnavailable("gone"))
    await claims.release(CLAIM)
    assert (pipe.calls[0].keys, pipe.calls[0].args) == ([CLAIM.key], [CLAIM.event_id])


async def test_while_the_stream_server_is_away_no_key_is_taken() -> None:
    pipe = ScriptedPipe()
    pipe.away = True
    claims = SyncClaims(pipe.as_pipe(), KEYS)
    with pytest.raises(StreamUnavailable):
        await claims.take(CLAIM)
    assert pipe.calls == []


async def test_closing_finishes_what_is_under_way() -> None:
    pipe = ScriptedPipe()
    claims = SyncClaims(pipe.as_pipe(), KEYS)
    taking = asyncio.create_task(claims.take(CLAIM))
    await turns()
    closing = asyncio.create_task(claims.close())
    await turns()
    with pytest.raises(GroupClosed):
        await claims.take(CLAIM)
    pipe.answer([CLAIM.pack().encode()])
    await closing
    assert await taking == CLAIM
