"""Webhook endpoints, what waits for them, and the result of each try."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple
from pydantic_core import from_json

from bq_server.events import Scope
from bq_server.store import outbox
from bq_server.store.bulk import Insert
from bq_server.store.database import Connection
from bq_server.store.facts import EARLIEST, LATEST
from bq_server.store.outbox import Announcement
from bq_server.store.queries import load

_queries = load("webhooks")
_writing = load("webhooks", "sqlite3")
"""The same, on the connection's own thread."""
_add_tries = Insert(_writing.add_tries.sql)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint. Times are microseconds since the epoch, UTC."""

    endpoint_id: str
    scope: Scope
    url: str
    event_types: frozenset[str]
    description: str
    secret: str = field(repr=False)
    created_at: int
    top_ranks: int = 10
    """Down to which rank it is notified of leaderboards."""
    vendor_headers: bool = False
    """Whether requests also carry the headers of the vendor's webhooks."""
    previous_secret: str | None = field(default=None, repr=False)
    previous_until: int | None = None
    """Until when requests are also signed with the previous secret."""
    off_because: str | None = None
    """Why it is disabled; None while it is enabled."""
    failing_since: int | None = None
    waiting: int = 0

    def secrets(self, now: int) -> list[str]:
        """The secrets to sign with now, newest first."""
        if self.previous_secret is None or self.previous_until is None or now >= self.previous_until:
            return [self.secret]
        return [self.secret, self.previous_secret]


class Delivery(Struct, frozen=True):
    """A delivery and its state. Times are microseconds since the epoch, UTC."""

    position: int
    delivery_id: str
    participant_id: str
    event_type: str
    fact_id: str | None
    occurred_at: int
    effect: str | None
    created_at: int
    tries: int
    """When it started waiting."""
    state: str = "waiting"
    """`waiting`, `delivered` or `aside`."""
    next_at: int = 0
    done_at: int | None = None


class Try(Struct, frozen=True):
    """One request and its result."""

    position: int
    tried_at: int
    status: int | None
    """None if there was no answer."""
    milliseconds: int
    answer: str
    """The first bytes of the answer, or why there was none."""


class DeliveryResult(Struct, frozen=True):
    """What a try means for a delivery."""

    tried: Try
    participant_id: str
    state: str
    """`waiting` for another try, `delivered` or `aside`."""
    next_at: int = 0
    """When the next try may be."""
    put_off: bool = False
    """Whether the participant's other deliveries were postponed with it, and now need not be."""


async def add(connection: Connection, endpoint: Endpoint) -> None:
    """Store a new endpoint."""
    await _queries.add_endpoint(
        connection,
        endpoint_id=endpoint.endpoint_id,
        **endpoint.scope._asdict(),
        url=endpoint.url,
        event_types=json.dumps(sorted(endpoint.event_types)),
        description=endpoint.description,
        top_ranks=endpoint.top_ranks,
        vendor_headers=endpoint.vendor_headers,
        secret=endpoint.secret,
        created_at=endpoint.created_at,
    )


async def every(connection: Connection) -> list[Endpoint]:
    """All endpoints of all environments, oldest first."""
    found = []
    async for row in _queries.endpoints(connection):
        endpoint_id, project, environment, url, types, description, secret, created_at, top, vendor, *more = row
        scope, types = Scope(project, environment), frozenset(from_json(types))
        made = description, secret, created_at, top, bool(vendor)
        found.append(Endpoint(endpoint_id, scope, url, types, *made, *more))
    return found


async def one(connection: Connection, endpoint_id: str) -> Endpoint | None:
    """The endpoint of that id, of any environment."""
    return next((each for each in await every(connection) if each.endpoint_id == endpoint_id), None)


async def change(connection: Connection, endpoint: Endpoint) -> None:
    """Store the endpoint's address, event types, description and whether it is enabled."""
    await _queries.change_endpoint(
        connection,
        endpoint_id=endpoint.endpoint_id,
        url=endpoint.url,
        event_types=json.dumps(sorted(endpoint.event_types)),
        description=endpoint.description,
        top_ranks=endpoint.top_ranks,
        vendor_headers=endpoint.vendor_headers,
        off_because=endpoint.off_because,
    )


async def rotate(connection: Connection, endpoint_id: str, secret: str, previous_until: int) -> None:
    """Give the endpoint a new secret; requests are also signed with the old one until that moment."""
    await _queries.rotate(connection, endpoint_id=endpoint_id, secret=secret, previous_until=previous_until)


async def remove(connection: Connection, endpoint_id: str) -> None:
    """Remove the endpoint, of which no delivery is left."""
    await _queries.remove_endpoint(connection, endpoint_id=endpoint_id)
    connection.wakes.add(endpoint_id)


async def remove_some(connection: Connection, endpoint_id: str, limit: int) -> int:
    """Remove some of what was or waits to be sent to the endpoint, the oldest first, with its tries.

    Returns how many, which is less than `limit` when none is left.
    """
    positions = [row[0] async for row in _queries.remove_deliveries(connection, endpoint_id=endpoint_id, limit=limit)]
    await _queries.remove_tries(connection, positions=json.dumps(positions))
    rest = limit - len(positions)
    rows: int = await _queries.remove_of_outbox(connection, endpoint_id=endpoint_id, limit=rest)
    return len(positions) + rows


async def remove_of_environment(connection: Connection, scope: Scope, limit: int) -> int:
    """As `remove_some`, of all endpoints of the environment."""
    removed = 0
    for each in await every(connection):
        if each.scope == scope and removed < limit:
            removed += await remove_some(connection, each.endpoint_id, limit - removed)
    return removed


async def switch_off(connection: Connection, endpoint_id: str, because: str) -> None:
    """Disable the endpoint until somebody enables it."""
    await connection.run(lambda writing: outbox.switch_off(writing, endpoint_id, because))


async def enqueue(
    connection: Connection, endpoint_id: str, delivery_id: str, announcement: Announcement, now: int
) -> None:
    """Queue one delivery for the endpoint. `now` is its environment's."""
    await connection.run(lambda writing: outbox.add(writing, endpoint_id, [(delivery_id, announcement)], now))
    await _queries.recount(connection, endpoint_id=endpoint_id)
    connection.wakes.add(endpoint_id)


async def take(connection: Connection, endpoint_id: str, new_id: Callable[[], str], wanted: int) -> None:
    """Turn the outbox into deliveries, oldest first, until there are that many more or none is left."""

    def some(writing: Any) -> None:
        made = 0
        while made < wanted and (count := outbox.take(writing, endpoint_id, new_id)) is not None:
            made += count

    await connection.run(some)


async def due(connection: Connection, endpoint_id: str, now: int, limit: int) -> list[Delivery]:
    """Deliveries that may be tried now, each participant's in order."""
    rows = _queries.due(connection, endpoint_id=endpoint_id, now=now, limit=limit)
    return [Delivery(*row) async for row in rows]


async def next_due(connection: Connection, endpoint_id: str) -> int | None:
    """When the next delivery may be tried, by its environment's clock; None if none waits."""
    found: int | None = await _queries.next_due(connection, endpoint_id=endpoint_id)
    return found


async def count_due(connection: Connection, endpoint_id: str, now: int) -> int:
    """How many deliveries may be tried now, including those still in the outbox."""
    found: int = await _queries.count_due(connection, endpoint_id=endpoint_id, now=now)
    return found


async def is_filled(connection: Connection, endpoint_id: str, limit: int) -> bool:
    """Whether so many deliveries wait for the endpoint, beside what is still in the outbox."""
    return bool(await _queries.is_filled(connection, endpoint_id=endpoint_id, limit=limit))


async def is_outbox_filled(connection: Connection, endpoint_id: str) -> bool:
    """Whether the outbox has more for the endpoint."""
    return bool(await _queries.is_outbox_filled(connection, endpoint_id=endpoint_id))


async def bring_forward(connection: Connection, endpoint_id: str) -> None:
    """Make everything that waits for the endpoint due now."""
    await _queries.bring_all_forward(connection, endpoint_id=endpoint_id)
    connection.wakes.add(endpoint_id)


async def bring_environment_forward(connection: Connection, scope: Scope, now: int) -> None:
    """After an environment's clock was set back to `now`: make all that waits due at once, and forget failures."""
    await _queries.fail_since(connection, **scope._asdict(), now=now)
    for endpoint in await every(connection):
        if endpoint.scope == scope:
            await bring_forward(connection, endpoint.endpoint_id)


async def record_tries(
    connection: Connection, endpoint_id: str, results: Sequence[DeliveryResult], now: int, done_at: int
) -> None:
    """Store the results of tries. What was removed meanwhile stays removed.

    `now` is the environment's, `done_at` is by the server's clock.
    """
    await connection.run(lambda writing: _record_tries(writing, endpoint_id, results, now, done_at))


def _record_tries(connection: Any, endpoint_id: str, results: Sequence[DeliveryResult], now: int, done_at: int) -> None:
    there = {
        position
        for (position,) in _writing.present(connection, positions=json.dumps([r.tried.position for r in results]))
    }
    results = [each for each in results if each.tried.position in there]
    _add_tries(connection, [astuple(each.tried) for each in results])
    finished = 0
    for state in ("delivered", "aside"):
        positions = [each.tried.position for each in results if each.state == state]
        if positions:
            finished += _writing.finish(connection, positions=json.dumps(positions), state=state, now=done_at)
    for each in results:
        own = {"endpoint_id": endpoint_id, "participant_id": each.participant_id}
        if each.state == "waiting":
            _writing.count_tried(connection, position=each.tried.position)
            _writing.put_off(connection, **own, next_at=each.next_at)
        elif each.put_off:
            _writing.bring_forward(connection, **own)
    failing = bool(results) and not any(each.state == "delivered" for each in results)
    _writing.after_tries(connection, endpoint_id=endpoint_id, finished=finished, failing_since=now if failing else None)


async def deliveries(
    connection: Connection, endpoint_id: str, *, state: str | None = None, before: int = LATEST, limit: int = 100
) -> list[Delivery]:
    """The endpoint's deliveries, newest first, from before a position."""
    rows = _queries.deliveries(connection, endpoint_id=endpoint_id, state=state, before=before, limit=limit)
    return [Delivery(*row) async for row in rows]


async def tries(connection: Connection, positions: Sequence[int]) -> dict[int, list[Try]]:
    """Every try of these deliveries, first one first, by position."""
    found: dict[int, list[Try]] = {}
    async for row in _queries.tries(connection, positions=json.dumps(positions)):
        found.setdefault(row[0], []).append(Try(*row))
    return found


async def retry(connection: Connection, endpoint_id: str, delivery_id: str) -> bool:
    """Make the delivery due now, whatever its state; returns whether it exists."""
    own = {"endpoint_id": endpoint_id, "delivery_id": delivery_id}
    participant_id = await _queries.participant_of(connection, **own)
    if participant_id is None:
        return False
    await _queries.again(connection, **own)
    await _queries.bring_forward(connection, endpoint_id=endpoint_id, participant_id=participant_id)
    await _queries.recount(connection, endpoint_id=endpoint_id)
    connection.wakes.add(endpoint_id)
    return True


async def done(
    connection: Connection, endpoint_id: str, since: int | None, until: int | None, after: int, limit: int
) -> list[int]:
    """The positions of what was delivered or set aside, by `created_at`, from after a position, the oldest first."""
    span = {"since": EARLIEST if since is None else since, "until": LATEST if until is None else until}
    rows = _queries.done(connection, endpoint_id=endpoint_id, **span, after=after, limit=limit)
    return [position async for (position,) in rows]


async def replay(connection: Connection, endpoint_id: str, positions: Sequence[int]) -> int:
    """Send these again, delivered or set aside; returns how many."""
    count: int = await _queries.replay(connection, endpoint_id=endpoint_id, positions=json.dumps(positions))
    await connection.run(lambda writing: outbox.add_waiting(writing, endpoint_id, count))
    return count


async def remove_old(connection: Connection, until: int, limit: int) -> int:
    """Remove what was delivered or set aside before that moment, with its tries; returns how many, at most `limit`."""
    positions = [row[0] async for row in _queries.remove_old(connection, until=until, limit=limit)]
    await _queries.remove_tries(connection, positions=json.dumps(positions))
    return len(positions)
