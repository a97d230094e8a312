"""What becomes of an incoming event: accepted, recorded as a fact, or neither because of its idempotency key."""

from typing import ClassVar

from msgspec import Struct

from bq_server.events import Event
from bq_server.refusals import Code, Refusal
from bq_server.store.facts import StoredFact
from bq_server.stream.lookup import MessageLookup
from bq_server.stream.writer import Appended

Accepted = Appended


class RecordedFact(Struct, frozen=True):
    """The event is this fact; `repeated` if an earlier request made it."""

    fact: StoredFact
    repeated: bool


class NotAccepted(Struct, frozen=True):
    """The event was not accepted because of what its idempotency key was used for; nothing was changed."""

    idempotency_key: str
    code: ClassVar[Code]

    def refusal(self) -> Refusal:
        """This, as the answer to a request of one event."""
        return Refusal(self.code, f"idempotency_key: {self.detail}")

    @property
    def detail(self) -> str:
        """A sentence for the sender."""
        raise NotImplementedError


class DeadLettered(NotAccepted, frozen=True):
    """The same event was accepted before and could not be processed."""

    message_id: str
    reason: str
    code = Code.MESSAGE_DEAD

    @property
    def detail(self) -> str:
        """A sentence for the sender."""
        return (
            f"this event was accepted as message {self.message_id} and became a dead letter: {self.reason}. Repeating "
            "it changes nothing; an operator can retry it with `bq-server dead retry`."
        )


class KeyConflict(NotAccepted, frozen=True):
    """The event's idempotency key belongs to a different event."""

    code = Code.IDEMPOTENCY_CONFLICT

    @property
    def detail(self) -> str:
        """A sentence for the sender."""
        return (
            f"{self.idempotency_key!r} was used for another event (name, participant, properties or timestamp "
            "differ): send a new key for a new event, or exactly the first event again"
        )


def key_conflict(event: Event) -> KeyConflict:
    """The outcome of an event whose key belongs to another one."""
    return KeyConflict(event.idempotency_key or "")


async def dead_lettered(event: Event, message_id: str, lookup: MessageLookup) -> DeadLettered:
    """The outcome of an event that is already a dead letter. Raises `StreamUnavailable`."""
    letter = await lookup.dead(message_id)
    reason = "it was a dead letter a moment ago" if letter is None else letter.reason
    return DeadLettered(event.idempotency_key or "", message_id, reason)
