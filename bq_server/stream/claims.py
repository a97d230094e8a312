"""Claims on idempotency keys: they cover what was accepted and is not yet a fact.

A claim is a text under a key of its own in the stream server, which forgets it after a while. Only this module and
`claims.lua` know how it is written.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from bq_server.concurrency.group_commit import GroupCommit
from bq_server.events import Event, Scope
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.guarded_pipe import GuardedPipe
from bq_server.stream.keys import StreamKeys
from bq_server.stream.scripts import load

GROUP_CLAIMS = 500
"""Claims in one round trip."""

WAITING_CLAIMS = 20_000
"""Claims that may wait for a round trip before more are turned away."""

SYNC_CLAIM_MILLISECONDS = 60_000
"""How long a sync event's claim lasts: it bridges the moment until the fact is there to be asked."""

NO_MESSAGE_ID = "-"


@dataclass(frozen=True, slots=True)
class Claim:
    """An idempotency key taken for an event."""

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
    """Knows the claim that an event has."""

    def __init__(self, keys: StreamKeys, resets: Mapping[Scope, int]) -> None:
        """`resets`: how often each environment was emptied; whoever empties one counts it up."""
        self._keys = keys
        self._resets = resets

    def of(self, event: Event, message_id: str | None = None) -> Claim | None:
        """The claim of an event, of that message if it has become one; None without an idempotency key."""
        if event.idempotency_key is None or event.fingerprint is None:
            return None
        key = self._keys.claim(*event.scope, event.idempotency_key, self._resets.get(event.scope, 0))
        return Claim(key, event.fingerprint, event.event_id, event.received_at, message_id)


class SyncClaims:
    """Takes keys for events that don't go through the stream. Those that come meanwhile share the next round trip."""

    def __init__(self, pipe: GuardedPipe, keys: StreamKeys) -> None:
        self._pipe = pipe
        self._keys = keys
        self._claim = load("claims", "claim")
        self._release = load("claims", "release")
        self._group: GroupCommit[Claim, Claim] = GroupCommit(
            self._take, group_weight=GROUP_CLAIMS, waiting_weight=WAITING_CLAIMS
        )

    async def take(self, claim: Claim) -> Claim:
        """Take the key for an event; returns the claim that holds now.

        Raises `StreamUnavailable`, `GroupFull` and `GroupClosed`.
        """
        self._pipe.check()
        return await self._group.submit(claim)

    async def release(self, claim: Claim) -> None:
        """Remove the claim of an event that came to nothing; if that fails, it expires by itself."""
        with suppress(StreamUnavailable):
            await self._pipe.run(self._release, [claim.key], [claim.event_id])

    async def close(self) -> None:
        """Take no more and wait until those under way are taken."""
        await self._group.close()

    async def _take(self, group: Sequence[Claim]) -> Sequence[Claim]:
        args: list[bytes | str | int] = [SYNC_CLAIM_MILLISECONDS]
        for claim in group:
            args += (claim.fingerprint, claim.event_id, claim.received_at)
        held = await self._pipe.run(self._claim, [self._keys.dead, *(claim.key for claim in group)], args)
        return [Claim.unpack(claim.key, value.decode()) for claim, value in zip(group, held, strict=True)]
