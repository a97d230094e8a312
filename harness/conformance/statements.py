"""The statements of the contract, each with a name, a text, and a check whether it holds.

A statement is judged on an observation: something that was sent, and what came of it. Several statements share one, so
that no more is sent than needed; each observation says how many facts it leaves on a correct server.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from harness.conformance.conversation import Conversation
from harness.conformance.facts import Facts
from harness.conformance.outcomes import Failed, Unseen

T = TypeVar("T")
B = TypeVar("B")

Remark = str | None
"""A passing check's remark; usually none."""

SINGLE = "/ingest/events"
BATCH = "/ingest/events/batch"
SYNC = "/ingest/events/sync"


class Examination:
    """One run against one server: its conversation, its names, and what was observed."""

    def __init__(self, conversation: Conversation, key: str, seed: int) -> None:
        self.conversation = conversation
        self.facts = Facts(conversation)
        self.key = key
        self.prefix = f"conform-{seed:08x}"
        """Of every participant, event name and idempotency key of this run."""
        self.now = ""
        """The id of the statement being judged."""
        self._seen: dict[Observation[Any], Any] = {}
        self._missed: dict[Observation[Any], Unseen] = {}

    def participant(self, name: str) -> str:
        """The id of a participant of this run."""
        return f"{self.prefix}-{name}"

    def named(self, event_name: str) -> str:
        """The event name of this run for one of the contract's page."""
        return f"{self.prefix}_{event_name}"

    def event(self, participant: str, event_name: str = "page_view", **more: Any) -> dict[str, Any]:
        """An event of this run."""
        return {"event_name": self.named(event_name), "participant_id": self.participant(participant), **more}

    def see(self, observation: "Observation[T]") -> T:
        """Make an observation, once. The statement that meets its failure fails; the next ones can't be observed."""
        if observation in self._missed:
            raise self._missed[observation]
        if observation not in self._seen:
            try:
                self._seen[observation] = observation.make(self)
            except Failed:
                self._missed[observation] = Unseen(f"what it is about didn't come so far: see {self.now}")
                raise
            except Unseen as unseen:
                self._missed[observation] = unseen
                raise
        seen: T = self._seen[observation]
        return seen


class Observation(Struct, Generic[T], frozen=True):
    """Something to send, and what to observe of it."""

    make: Callable[[Examination], T]
    leaves: int
    """How many facts a correct server makes of it."""
    after: "Observation[Any] | None" = None
    """What is observed before it, and shared with others."""


def observation(
    leaves: int = 0, after: Observation[Any] | None = None
) -> Callable[[Callable[[Examination], T]], Observation[T]]:
    """Turn a function into an observation."""
    return lambda make: Observation(make, leaves, after)


class Statement(Struct, frozen=True):
    """One sentence of the contract."""

    name: str
    """Such as `batch.partial`; stable."""
    section: str
    words: str
    of: Observation[Any]
    check: Callable[[Any], Remark]


class Section:
    """A section of the contract's page, and its statements in order."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.statements: list[Statement] = []

    def says(
        self, name: str, words: str, of: Observation[T]
    ) -> Callable[[Callable[[T], Remark]], Callable[[T], Remark]]:
        """Add a statement. Its check raises `Failed` or `Unseen`, or returns a remark or nothing."""

        def add(check: Callable[[T], Remark]) -> Callable[[T], Remark]:
            self.statements.append(Statement(name, self.title, words, of, check))
            return check

        return add


def left_by(statements: Iterable[Statement], besides: Observation[Any]) -> int:
    """How many facts these statements, and what they need observed, leave on a correct server."""
    needed: set[Observation[Any]] = set()
    for observed in (besides, *(statement.of for statement in statements)):
        step: Observation[Any] | None = observed
        while step is not None:
            needed.add(step)
            step = step.after
    return sum(each.leaves for each in needed)
