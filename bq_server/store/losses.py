"""What is known about the stream, and what was lost there."""

from msgspec import Struct
from msgspec.structs import astuple

from bq_server.store.database import Connection
from bq_server.store.queries import load

_queries = load("losses")

MOST_AT_ONCE = 10_000
"""More messages than can enter a stream within a millisecond."""


class Known(Struct, frozen=True):
    """The counts of the stream at the last check."""

    epoch: str
    appended: int
    settled: int
    lost: int
    oldest: str
    """The message that had waited longest, or if none waited, the one appended last."""
    newest: str
    """The message appended last."""
    final: bool = False
    """Whether the server stopped with these counts, so that nothing was accepted since."""
    dead: int = 0
    """How many dead letters there were."""


class Loss(Struct, frozen=True):
    """What went wrong with the stream. Times are microseconds since the epoch, UTC."""

    noticed_at: int
    what: str
    """A sentence without its full stop."""
    messages: int
    """How many accepted messages are lost."""
    first: str
    last: str
    """They were between these ids."""
    acknowledged_at: int | None = None
    at_least: bool = False
    """Whether more may be lost than is known."""
    facts: int = 0
    """How many facts the store has no more, at least: then it is the store that was set back."""
    dead: int = 0
    """How many dead letters went with a stream."""

    @property
    def summary(self) -> str:
        """What happened, and how much was lost by it."""
        if self.facts:
            lost = "1 fact is lost" if self.facts == 1 else f"{self.facts} facts are lost"
            return f"{self.what}: at least {lost}, of messages between {self.first} and {self.last}, or of none"
        dead = "1 dead letter is gone" if self.dead == 1 else f"{self.dead} dead letters are gone"
        if not self.is_of_events:
            return f"{self.what}; " + (f"{dead}, no other" if self.dead else "no") + " accepted event is missing"
        lost = "1 accepted event is lost" if self.messages == 1 else f"{self.messages} accepted events are lost"
        if self.at_least:
            lost = f"at least {lost}" if self.messages else "accepted events may be lost, nobody can know how many"
        return f"{self.what}: {lost}, between the messages {self.first} and {self.last}" + (
            f", and {dead}" if self.dead else ""
        )

    @property
    def is_of_events(self) -> bool:
        """Whether accepted events are lost, or may be."""
        return bool(self.messages) or self.at_least


async def known(connection: Connection, place: str) -> Known | None:
    """What is known about the stream at a place; None before the first check."""
    row = await _queries.account(connection, place=place)
    return None if row is None else Known(*row)


async def put_known(connection: Connection, place: str, account: Known) -> None:
    """Store what is known about the stream at a place."""
    names = ("epoch", "appended", "settled", "lost", "oldest", "newest", "final", "dead")
    await _queries.put_account(connection, place=place, **dict(zip(names, astuple(account), strict=True)))


async def forget_known(connection: Connection) -> None:
    """Forget all streams: from now on they are different ones."""
    await _queries.remove_account(connection)


async def every(connection: Connection) -> list[Loss]:
    """All losses ever, oldest first."""
    return [Loss(*row[1:]) async for row in _queries.losses(connection)]


async def add(connection: Connection, loss: Loss) -> None:
    """Record a loss."""
    await _queries.add_loss(
        connection,
        noticed_at=loss.noticed_at,
        what=loss.what,
        messages=loss.messages,
        first=loss.first,
        last=loss.last,
        at_least=int(loss.at_least),
        facts=loss.facts,
        dead=loss.dead,
    )


async def correct(connection: Connection, place: int, messages: int) -> None:
    """Correct how many messages a loss took, which is the `place`-th of all, from 0.

    Some were in progress at that moment, and are settled now.
    """
    await _queries.correct_loss(connection, place=place, messages=messages)


async def processed(connection: Connection, first: str, last: str, most: int) -> int:
    """How many of the messages with ids from `first` to `last` are facts, or repeat one; at most `most`."""
    # The store compares ids as texts, which is right for their milliseconds and not for the numbers after them.
    bounds = {"lowest": f"{order(first)[0]}-", "highest": f"{order(last)[0]}.", "limit": most + MOST_AT_ONCE}
    found = {row[0] async for row in _queries.facts_of_messages(connection, **bounds)}
    found |= {row[0] async for row in _queries.repeats_of_messages(connection, **bounds)}
    return min(most, sum(order(first) <= order(message_id) <= order(last) for message_id in found))


def order(message_id: str) -> tuple[int, ...]:
    """The position of a message in the stream."""
    return tuple(int(part) for part in message_id.split("-"))
