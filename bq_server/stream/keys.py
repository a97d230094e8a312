"""The names of keys in the stream server."""

from dataclasses import dataclass, field

GROUP = "bq"
"""The one consumer group of the stream."""

FIELD = b"e"
"""The one field of a stream entry: the message's payload."""

LETTER_FIELD = b"m"
"""A second field, for a dead letter being retried: the id under which its sender knows it."""


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """Key names, all under one prefix, so that a stream server can be shared. Built once, as every batch uses some."""

    prefix: str
    slot_tag: str = ""
    """What comes before the prefix: in a cluster a hash tag, which puts all keys into one slot."""
    events: str = field(init=False)
    """The stream of accepted messages."""
    dead: str = field(init=False)
    """A hash of dead letters by message id."""
    counts: str = field(init=False)
    """A hash: how many messages entered the stream and how many were settled, and since which epoch."""
    owner: str = field(init=False)
    """The id of the installation whose facts the stream's messages become."""

    def __post_init__(self) -> None:
        for name in ("events", "dead", "counts", "owner"):
            object.__setattr__(self, name, self._named(name))

    @property
    def probe(self) -> str:
        """What is written to learn whether a replica keeps up."""
        return self._named("probe")

    @property
    def charge(self) -> str:
        """Which of several consumers is in charge, after the term of its lease."""
        return self._named("charge")

    def share(self, process_id: str) -> str:
        """A list: the part of a batch that the worker in this process is to process."""
        return self._named(f"share:{process_id}")

    def answers(self, process_id: str) -> str:
        """A list: what came of the parts that the leading worker in this process has handed out."""
        return self._named(f"answers:{process_id}")

    def claim(self, project: str, environment: str, idempotency_key: str, resets: int = 0) -> str:
        """The claim on an idempotency key in an environment that was reset so often."""
        era = f"~{resets}" if resets else ""
        return self._named(f"idempotency:{project}:{environment}{era}:{idempotency_key}")

    def _named(self, name: str) -> str:
        return f"{self.slot_tag}{self.prefix}:{name}"
