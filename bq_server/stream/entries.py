"""What the consumer hands to the processing of messages, and what it gets back for each."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct


class StreamEntry(Struct, frozen=True):
    """A message as it was read."""

    message_id: str
    payload: bytes
    letter_id: str | None = None
    """For a dead letter being retried: the id it was accepted under."""

    @property
    def known_as(self) -> str:
        """The id that its sender got."""
        return self.letter_id or self.message_id


class NotNow(Struct, frozen=True):
    """The message can't be processed now: it stays in the stream, stops no other, and is retried."""

    reason: str
    seconds: float
    """Until it is retried."""


EntryResult = str | NotNow | None
"""What became of a message: None if it is settled, or why it can never be processed, or why it can't be now."""

Handler = Callable[[Sequence[StreamEntry]], Awaitable[Sequence[EntryResult]]]
"""Processes a batch. If it raises, nothing can be processed now."""
