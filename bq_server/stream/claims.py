"""Claims on idempotency keys: they cover what was accepted and is not yet a fact.

A claim is a text under its own key in the stream server, which forgets it after a while. Only this module and
`claims.lua` know its format.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from msgspec import Struct

from bq_server.concurrency.group_commit import GroupCommit
from bq_server.events import Event, Scope
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.guarded_pipe import GuardedPipe
from bq_server.stream.keys import StreamKeys
from bq_server.stream.scripts import load

GROUP_CLAIMS = 500
"""Claims in one round trip."""

WAITING_CLAIMS = 20_000
"""Claims that may wait for a round trip before more are refused."""

SYNC_CLAIM_MILLISECONDS = 60_000
"""How long a sync event's claim lasts: it bridges the time until its fact can be queried."""

NO_MESSAGE_ID = "-"


class Claim(Struct, frozen=True):
    """An idempotency key claimed for an event."""

    key: str
    """From `StreamKeys.claim`."""
    fingerprint: str
    event_id: str
    received_at: int
    """Microseconds since the epoch, UTC."""
    message_id: str | None = None
    dead: bool = False
    """Whether that message is a dead letter."""

    @classmethod
    def unpack(cls, key: str, value: str) -> Self:
        """The claim of that key and value; ` dead` may follow the value."""
        fingerprint, message_id, event_id, received_at, *dead = value.split(" ")
        own = None if message_id == NO_MESSAGE_ID else message_id
        return cls(key, fingerprint, event_id, int(received_at), own, dead=bool(dead))

    def pack(self) -> str:
        """The value under its key."""
        return f"{self.fingerprint} {self.message_id or NO_MESSAGE_ID} {self.event_id} {self.received_at}"


class EventClaims:
    """Builds the claims of events."""

    def __init__(self, keys: StreamKeys, resets: Mapping[Scope, int]) -> None:
        """`resets`: how often each environment was reset; whatever resets one increments it."""
        self._keys = keys
        self._resets = resets

    def of(self, event: Event, message_id: str | None = None) -> Claim | None:
        """The claim of an event, with its message if it has one; None without an idempotency key."""
        if event.idempotency_key is None or event.fingerprint is None:
            return None
        key = self._keys.claim(*event.scope, event.idempotency_key, self._resets.get(event.scope, 0))
        return Claim(key, event.fingerprint, event.event_id, event.received_at, message_id)


class SyncClaims:
    """Claims keys for events that don't go through the stream. Claims made during a round trip share the next one."""

    def __init__(self, pipe: GuardedPipe, keys: StreamKeys) -> None:
        self._pipe = pipe
        self._keys = keys
        self._claim = load("claims", "claim")
        self._release = load("claims", "release")
        self._group: GroupCommit[Claim, Claim] = GroupCommit(
            self._take, group_weight=GROUP_CLAIMS, waiting_weight=WAITING_CLAIMS
        )

    async def take(self, claim: Claim) -> Claim:
        """Claim the key for an event; returns the claim that now holds.

        Raises `StreamUnavailable`, `GroupFull` and `GroupClosed`.
        """
        self._pipe.check()
        return await self._group.submit(claim)

    async def release(self, claim: Claim) -> None:
        """Remove the claim of an event that was not recorded; if that fails, it expires by itself."""
        with suppress(StreamUnavailable):
            await self._pipe.run(self._release, [claim.key], [claim.event_id])

    async def close(self) -> None:
        """Accept no more, and wait for those under way."""
        await self._group.close()

    async def _take(self, group: Sequence[Claim]) -> Sequence[Claim]:
        args: list[bytes | str | int] = [SYNC_CLAIM_MILLISECONDS]
        for claim in group:
            args += (claim.fingerprint, claim.event_id, claim.received_at)
        held = await self._pipe.run(self._claim, [self._keys.dead, *(claim.key for claim in group)], args)
        return [Claim.unpack(claim.key, value.decode()) for claim, value in zip(group, held, strict=True)]
