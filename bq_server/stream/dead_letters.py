"""Messages that can't be processed: set aside with the reason, never in the way of the others."""

from dataclasses import dataclass

import redis.asyncio as redis
from pydantic_core import from_json, to_json

from bq_server.stream.keys import GROUP, StreamKeys


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up."""

    message_id: str
    payload: bytes
    reason: str
    died_at: int
    """Microseconds since the epoch, UTC."""


def read_letter(message_id: str, value: bytes | str) -> DeadLetter:
    """A dead letter as it is kept."""
    fields = from_json(value)
    return DeadLetter(message_id, bytes.fromhex(fields["payload"]), fields["reason"], fields["died_at"])


class DeadLetters:
    """The dead letters of one stream."""

    def __init__(self, client: redis.Redis, keys: StreamKeys) -> None:
        self._client = client
        self._keys = keys

    async def bury(self, letter: DeadLetter) -> None:
        """Move the message from the stream to the dead letters, in one step."""
        value = to_json({"reason": letter.reason, "died_at": letter.died_at, "payload": letter.payload.hex()})
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.dead, letter.message_id, value)
            pipe.xack(self._keys.events, GROUP, letter.message_id)
            pipe.xdel(self._keys.events, letter.message_id)
            await pipe.execute()
