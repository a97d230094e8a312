"""Environments as a whole: their clocks, how much they hold, and emptying them."""

from collections.abc import Mapping
from dataclasses import dataclass

from bq_server.clock import OwnClock
from bq_server.events import Scope
from bq_server.store import feed, watched_streaks
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact, fact_of
from bq_server.store.queries import load

_queries = load("environments")


@dataclass(frozen=True, slots=True)
class Environment:
    """The properties of an environment."""

    resets: int
    clock: OwnClock | None


async def every(connection: Connection) -> Mapping[Scope, Environment]:
    """The environments that were ever reset or given a clock."""
    return {
        Scope(project, environment): Environment(
            resets, None if clock_at is None else OwnClock(bool(clock_frozen), clock_at)
        )
        async for project, environment, resets, clock_frozen, clock_at in _queries.environments(connection)
    }


async def put_clock(connection: Connection, scope: Scope, clock: OwnClock | None) -> None:
    """Store the environment's own clock, or that it has none."""
    await _queries.put_clock(
        connection,
        **scope._asdict(),
        clock_frozen=None if clock is None else clock.frozen,
        clock_at=None if clock is None else clock.at,
    )


async def count(connection: Connection, scope: Scope) -> tuple[int, int]:
    """How many facts the environment has, and how many messages that only repeated one."""
    facts: int = await _queries.count_facts(connection, **scope._asdict())
    duplicates: int = await _queries.count_duplicates(connection, **scope._asdict())
    return facts, duplicates


async def facts_after(connection: Connection, scope: Scope, seq: int, limit: int) -> list[StoredFact]:
    """The next facts of the environment, in the order they were made."""
    return [fact_of(row) async for row in _queries.facts_after(connection, **scope._asdict(), seq=seq, limit=limit)]


async def count_facts_until(connection: Connection, scope: Scope, seq: int) -> int:
    """How many facts the environment has up to this one."""
    found: int = await _queries.count_facts_until(connection, **scope._asdict(), seq=seq)
    return found


async def remove_oldest_facts(connection: Connection, scope: Scope, limit: int) -> int:
    """Remove facts with what they caused; returns how many: fewer than `limit` once none is left."""
    removed: int = await _queries.remove_oldest_facts(connection, **scope._asdict(), limit=limit)
    return removed


async def empty(connection: Connection, scope: Scope, *, game: bool) -> None:
    """Remove all that follows from facts but what webhooks tell, and with `game` since when its definitions count.

    Counts one more reset.
    """
    for remove in (
        _queries.remove_duplicates,
        _queries.remove_event_names,
        _queries.remove_expiring_points,
        _queries.remove_event_properties,
        _queries.remove_event_forms,
        _queries.remove_catalog_totals,
        _queries.remove_refolds,
        _queries.remove_game_warnings,
        _queries.remove_cells,
        _queries.remove_ledger,
        _queries.remove_standings,
        _queries.remove_rankings,
        _queries.remove_fact_types,
        _queries.remove_participants,
        _queries.remove_definitions if game else _queries.remove_forgotten_definitions,
        _queries.count_from_the_first,
        _queries.count_no_waiting_webhooks,
    ):
        await remove(connection, **scope._asdict())
    await feed.remove_notices(connection, scope)
    await connection.run(lambda writing: watched_streaks.remove_all(writing, scope))
    await connection.run(lambda _: connection.references.forget())
    await _queries.count_reset(connection, **scope._asdict())
