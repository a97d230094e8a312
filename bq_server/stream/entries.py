"""What the consumer hands to whoever processes messages, and what it gets back for each."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """A message as it was read."""

    message_id: str
    payload: bytes
    letter_id: str | None = None
    """Of a dead letter that is tried again: the id it was accepted with."""

    @property
    def known_as(self) -> str:
        """The id that its sender got."""
        return self.letter_id or self.message_id


@dataclass(frozen=True, slots=True)
class NotNow:
    """The message can't be processed now: it stays in the stream, stops no other, and is tried again."""

    reason: str
    seconds: float
    """Until it is tried again."""


EntryResult = str | NotNow | None
"""What became of a message: None when it is settled, or why it can never be processed, or why it can't be now."""

Handler = Callable[[Sequence[StreamEntry]], Awaitable[Sequence[EntryResult]]]
"""Processes a batch. What it raises means that nothing can be processed now."""
