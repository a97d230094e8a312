"""When contests end, which results are frozen, and the places that are not yet facts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.exact_json import dumps
from bq_server.store.database import Connection
from bq_server.store.queries import load
from bq_server.store.references import Ranking

_queries = load("contests", "sqlite3")
_rankings = load("rankings", "sqlite3")

NAME = "contests"
"""Under which `Database.outbox` wakes who freezes results."""


class ContestEnd(Struct, frozen=True):
    """When a contest ends. Times are microseconds since the epoch, UTC, by the environment's clock."""

    due_at: int
    """When its result is to be frozen."""
    frozen_at: int | None
    entries: int | None
    """How many have a place in the frozen result."""
    untold: bool
    """Whether some of its places are still to become facts."""


class FrozenPlace(Struct, frozen=True):
    """A place in a frozen result."""

    contest_code: str
    place: int
    participant_id: str
    score: float
    reached_at: int


async def watch(connection: Connection, scope: Scope, due: Mapping[str, int]) -> None:
    """Freeze these contests, by code, at those moments, and no others, in a transaction. What is frozen stays so."""
    own = scope._asdict()
    gone = [code for code in await ends(connection, scope) if code not in due]

    def write(writing: Any) -> None:
        _queries.remove_end(writing, [own | {"contest_code": code} for code in gone])
        _queries.put_end(writing, [own | {"contest_code": code, "due_at": at} for code, at in due.items()])

    if gone or due:
        await connection.run(write)
        connection.wakes.add(NAME)


async def ends(connection: Connection, scope: Scope) -> dict[str, ContestEnd]:
    """The contests of an environment, by code."""
    rows = await connection.run(lambda reading: list(_queries.ends(reading, **scope._asdict())))
    return {code: ContestEnd(*rest) for code, *rest in rows}


def is_due(reading: Any, scope: Scope, now: int) -> bool:
    """Whether a result may have to be frozen by now, or facts are to be made of one, on the connection's own thread."""
    ends = [ContestEnd(*rest) for _, *rest in _queries.ends(reading, **scope._asdict())]
    if any(each.frozen_at is None and each.due_at <= now for each in ends):
        return True
    return any(True for _ in _queries.next_places(reading, **scope._asdict(), limit=1))


async def scopes(connection: Connection) -> list[Scope]:
    """The environments in which a result is to be frozen, now or later, or facts are to be made of one."""
    rows = await connection.run(lambda reading: list(_queries.scopes(reading)))
    return [Scope(*row) for row in rows]


async def freeze(connection: Connection, scope: Scope, code: str, live: Ranking, final: Ranking, now: int) -> None:
    """Freeze a result as the live ranking is, in a transaction; where the final one has places already, it stays."""
    own = scope._asdict() | {"contest_code": code}

    def write(writing: Any) -> None:
        known = _number(writing, scope, final)
        hidden = 0 if known is None else _rankings.count(writing, ranking=-known)  # as they are kept out of sight
        entries: int = hidden if known is None else hidden + _rankings.count(writing, ranking=known)
        ranking = _number(writing, scope, live)
        if not entries and ranking is not None:
            _queries.copy_places(writing, **own, ranking=ranking)
            entries = _queries.count_places(writing, **own)
        _queries.freeze(writing, **own, frozen_at=now, entries=entries)

    await connection.run(write)


async def has_places(connection: Connection, scope: Scope, rankings: Sequence[Ranking]) -> bool:
    """Whether anybody has a place in any of these rankings, hidden or not."""

    def look(reading: Any) -> bool:
        numbers = [number for name in rankings if (number := _number(reading, scope, name)) is not None]
        return any(_rankings.count(reading, ranking=each) for number in numbers for each in (number, -number))

    return await connection.run(look)


async def next_places(connection: Connection, scope: Scope, limit: int) -> list[FrozenPlace]:
    """The next places that are not yet facts."""
    rows = await connection.run(lambda reading: list(_queries.next_places(reading, **scope._asdict(), limit=limit)))
    return [FrozenPlace(*row) for row in rows]


async def remove_places(connection: Connection, scope: Scope, places: Sequence[FrozenPlace]) -> None:
    """These are facts now."""
    own = scope._asdict()
    rows = [own | {"contest_code": each.contest_code, "place": each.place} for each in places]
    await connection.run(lambda writing: _queries.remove_place(writing, rows))


async def forget_participant(connection: Connection, participant: int) -> None:
    """Make no fact of a participant's places."""
    await connection.run(lambda writing: _queries.remove_places_of(writing, participant=participant))


async def remove_all(connection: Connection, scope: Scope) -> None:
    """Forget the contests of an environment, until `watch` is called again."""

    def write(writing: Any) -> None:
        _queries.remove_places(writing, **scope._asdict())
        _queries.remove_ends(writing, **scope._asdict())

    await connection.run(write)


async def names_of(connection: Connection, scope: Scope, participant_ids: Iterable[str]) -> dict[str, str | None]:
    """The display names of participants, by id."""
    wanted = dumps(list(participant_ids))
    return dict(
        await connection.run(lambda reading: list(_queries.names(reading, **scope._asdict(), participants=wanted)))
    )


def _number(connection: Any, scope: Scope, name: Ranking) -> int | None:
    own = {"board": name[0], "time_window": name[1], "period": name[2]}
    found: int | None = _rankings.ranking(connection, **scope._asdict(), **own)
    return found
