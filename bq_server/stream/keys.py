"""The names of keys in the stream server."""

from dataclasses import dataclass

GROUP = "bq"
"""The one consumer group of the stream."""

FIELD = b"e"
"""The one field of a stream entry: the message's payload."""

LETTER_FIELD = b"m"
"""A second field, for a dead letter being retried: the id under which its sender knows it."""


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """Key names, all under one prefix, so that a stream server can be shared."""

    prefix: str

    @property
    def events(self) -> str:
        """The stream of accepted messages."""
        return f"{self.prefix}:events"

    @property
    def dead(self) -> str:
        """A hash of dead letters by message id."""
        return f"{self.prefix}:dead"

    @property
    def counts(self) -> str:
        """A hash: how many messages entered the stream and how many were settled, and since which epoch."""
        return f"{self.prefix}:counts"

    @property
    def owner(self) -> str:
        """The id of the installation whose facts the stream's messages become."""
        return f"{self.prefix}:owner"

    def claim(self, project: str, environment: str, idempotency_key: str, resets: int = 0) -> str:
        """The claim on an idempotency key in an environment that was reset so often."""
        era = f"~{resets}" if resets else ""
        return f"{self.prefix}:idempotency:{project}:{environment}{era}:{idempotency_key}"
