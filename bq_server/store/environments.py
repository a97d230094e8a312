"""Environments as a whole: their clocks, how much they hold, and emptying them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec import Struct

from bq_server.clock import OwnClock
from bq_server.events import Scope
from bq_server.store import feed, received_facts, watched_streaks
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact, fact_of
from bq_server.store.processes import MEMORY
from bq_server.store.queries import load

_queries = load("environments")
_writing = load("environments", "sqlite3")


class Environment(Struct, frozen=True):
    """The properties of an environment."""

    resets: int
    clock: OwnClock | None


async def every(connection: Connection) -> Mapping[Scope, Environment]:
    """The environments that were ever reset or given a clock."""
    return await connection.run(read_every)


def read_every(reading: Any) -> Mapping[Scope, Environment]:
    """As `every`, on the connection's own thread."""
    return {
        Scope(project, environment): Environment(
            resets, None if clock_at is None else OwnClock(bool(clock_frozen), clock_at)
        )
        for project, environment, resets, clock_frozen, clock_at in _writing.environments(reading)
    }


async def put_clock(connection: Connection, scope: Scope, clock: OwnClock | None) -> None:
    """Store the environment's own clock, or that it has none."""
    connection.wakes.add(MEMORY)
    await _queries.put_clock(
        connection,
        **scope._asdict(),
        clock_frozen=None if clock is None else clock.frozen,
        clock_at=None if clock is None else clock.at,
    )


async def count(connection: Connection, scope: Scope) -> tuple[int, int]:
    """How many facts the environment has, and how many messages that only repeated one."""
    return await connection.run(partial(held, scope=scope))


def held(reading: Any, scope: Scope) -> tuple[int, int]:
    """As `count`, on the connection's own thread."""
    facts: int = _writing.count_facts(reading, **scope._asdict())
    duplicates: int = _writing.count_duplicates(reading, **scope._asdict())
    return facts, duplicates


async def facts_after(connection: Connection, scope: Scope, seq: int, limit: int) -> list[StoredFact]:
    """The next facts of the environment, in the order they were made: none that one with a lower seq may follow."""
    until = (await feed.head(connection)).seq
    rows = _queries.facts_after(connection, **scope._asdict(), seq=seq, until=until, limit=limit)
    return [fact_of(row) async for row in rows]


async def count_facts_until(connection: Connection, scope: Scope, seq: int) -> int:
    """How many facts the environment has up to this one."""
    found: int = await _queries.count_facts_until(connection, **scope._asdict(), seq=seq)
    return found


async def remove_oldest_facts(connection: Connection, scope: Scope, limit: int) -> int:
    """Remove facts with what they caused; returns how many: fewer than `limit` once none is left."""
    removed: int = await _queries.remove_oldest_facts(connection, **scope._asdict(), limit=limit)
    return removed


async def remove_consequences(connection: Connection, scope: Scope, limit: int) -> int:
    """Remove rows of what follows from facts and grows with them, at most so many at once; returns how many.

    Less than `limit` when none is left.
    """
    own = scope._asdict()
    connection.wakes.add(MEMORY)  # what stands for names, which other processes remember as well

    def remove(writing: Any) -> int:
        left = limit
        connection.references.forget()  # what stands for names is among it
        for some in _CONSEQUENCES:
            left -= some(writing, own, left)
            if not left:
                break
        return limit - left

    return await connection.run(remove)


def _remove_participants(writing: Any, own: Mapping[str, str], limit: int) -> int:
    found = [{"participant": row[0]} for row in _writing.participants_to_remove(writing, **own, limit=limit)]
    received_facts.remove_of(writing, found)
    for remove in (_writing.remove_cells, _writing.remove_ledger, _writing.remove_participants):
        remove(writing, found)
    return len(found)


def _rows(query: Any) -> Callable[[Any, Mapping[str, str], int], int]:
    return lambda writing, own, limit: query(writing, **own, limit=limit)


def _remove_teams(writing: Any, own: Mapping[str, str], limit: int) -> int:
    found = [{"participant": row[0]} for row in _writing.teams_to_remove(writing, **own, limit=limit)]
    _writing.remove_participants(writing, found)
    return len(found)


_CONSEQUENCES = (
    _rows(_writing.remove_duplicates),
    _remove_participants,
    _remove_teams,
    _rows(_writing.remove_team_scores),
    _rows(_writing.remove_team_totals),
    _rows(_writing.remove_team_boards),
    _rows(_writing.remove_group_dues),
    _rows(_writing.remove_group_steps),
    _rows(_writing.remove_rank_sections),
    _rows(_writing.remove_standings),
    _rows(_writing.remove_rankings),
    _rows(_writing.remove_fact_types),
)


async def empty(connection: Connection, scope: Scope, *, game: bool) -> int:
    """Remove the rest of what follows from facts, and with `game` since when its definitions count; one more reset.

    Returns how often the environment was reset by now. Call it after `remove_oldest_facts`, `remove_consequences` and
    the removal of what webhooks tell, in the same transaction as the last of them.
    """
    own = scope._asdict()
    connection.wakes.add(MEMORY)

    def remove(writing: Any) -> int:
        for some in (
            _writing.remove_event_names,
            _writing.remove_expiring_points,
            _writing.remove_reward_claims,
            _writing.remove_token_series,
            _writing.remove_aliases,
            _writing.remove_event_properties,
            _writing.remove_event_forms,
            _writing.remove_catalog_totals,
            _writing.remove_refolds,
            _writing.remove_game_warnings,
            _writing.remove_definitions if game else _writing.remove_forgotten_definitions,
            _writing.count_from_the_first,
            _writing.count_no_waiting_webhooks,
            _writing.count_reset,
        ):
            some(writing, **own)
        watched_streaks.remove_all(writing, scope)
        feed.remove_notices(writing, scope)
        return read_every(writing)[scope].resets

    connection.after_commit(lambda: connection.references.aliased.discard(scope))
    return await connection.run(remove)
