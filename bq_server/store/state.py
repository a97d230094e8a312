"""What follows from facts: cells of state, the points ledger, standings, and what each fact caused."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiosqlite

from bq_server.events import Scope
from bq_server.exact_json import dumps, loads
from bq_server.slicing import Slices
from bq_server.store.queries import load

_queries = load("state")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the points ledger. Times are microseconds since the epoch, UTC."""

    transaction_id: str
    cause: str
    amount: int
    balance: int
    """With this entry."""
    fact_id: str
    occurred_at: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Place:
    """A participant's place in a ranking."""

    board: str
    """`leaderboard/<code>` or `challenge/<code>`."""
    window: str
    period: str
    participant_id: str
    score: float | None
    """None takes the participant off the ranking."""
    reached_at: int | None


@dataclass(frozen=True, slots=True)
class Score:
    """A row of a ranking."""

    participant_id: str
    score: float
    reached_at: int


async def cells(
    connection: aiosqlite.Connection, scope: Scope, wanted: Mapping[str, Iterable[str]]
) -> dict[str, dict[str, Any]]:
    """The wanted cells that exist, by participant and name."""
    pairs = [[participant_id, cell] for participant_id, names in wanted.items() for cell in names]
    found: dict[str, dict[str, Any]] = {}
    slices = Slices()
    if pairs:
        async for participant_id, cell, value in _queries.cells_of(connection, **scope._asdict(), wanted=dumps(pairs)):
            await slices.give_way()
            found.setdefault(participant_id, {})[cell] = loads(value)
    return found


async def cells_under(
    connection: aiosqlite.Connection, scope: Scope, participant_id: str, prefixes: Sequence[str]
) -> dict[str, Any]:
    """All cells of a participant whose names start with one of these."""
    if not prefixes:
        return {}
    rows = _queries.cells_under(
        connection, **scope._asdict(), participant_id=participant_id, prefixes=dumps(list(prefixes))
    )
    return {cell: loads(value) async for cell, value in rows}


async def every_cell(connection: aiosqlite.Connection, scope: Scope, participant_id: str) -> dict[str, Any]:
    """All cells of a participant."""
    rows = _queries.every_cell(connection, **scope._asdict(), participant_id=participant_id)
    return {cell: loads(value) async for cell, value in rows}


async def put_cells(
    connection: aiosqlite.Connection, scope: Scope, changed: Mapping[str, Mapping[str, Any | None]]
) -> None:
    """Write changed cells, by participant and name; None removes one."""
    names = scope._asdict()
    written, removed = [], []
    slices = Slices()
    for participant_id, own in changed.items():
        await slices.give_way()
        for cell, value in own.items():
            row = {**names, "participant_id": participant_id, "cell": cell}
            if value is None:
                removed.append(row)
            else:
                written.append({**row, "value": dumps(value)})
    if removed:
        await _queries.remove_cells(connection, removed)
    if written:
        await _queries.put_cells(connection, written)


async def put_places(connection: aiosqlite.Connection, scope: Scope, places: Iterable[Place]) -> None:
    """Write changed places in rankings."""
    names = scope._asdict()
    written, removed = [], []
    for place in places:
        row = {
            **names,
            "board": place.board,
            "time_window": place.window,
            "period": place.period,
            "participant_id": place.participant_id,
        }
        if place.score is None:
            removed.append(row)
        else:
            written.append({**row, "score": place.score, "reached_at": place.reached_at})
    if removed:
        await _queries.remove_standings(connection, removed)
    if written:
        await _queries.put_standings(connection, written)


async def remove_boards(connection: aiosqlite.Connection, scope: Scope, boards: Iterable[str]) -> None:
    """Clear rankings that are no more."""
    rows = [{**scope._asdict(), "board": board} for board in boards]
    if rows:
        await _queries.remove_boards(connection, rows)


async def add_entries(
    connection: aiosqlite.Connection, scope: Scope, entries: Iterable[tuple[str, int, Entry]]
) -> None:
    """Append to the ledger, each entry with its participant and its fact's seq.

    Raises an error of the database for a cause that was paid before: to pay twice is never right.
    """
    rows = [
        {
            **scope._asdict(),
            "transaction_id": entry.transaction_id,
            "participant_id": participant_id,
            "cause": entry.cause,
            "amount": entry.amount,
            "balance": entry.balance,
            "fact_id": entry.fact_id,
            "seq": seq,
            "occurred_at": entry.occurred_at,
            "created_at": entry.created_at,
        }
        for participant_id, seq, entry in entries
    ]
    if rows:
        await _queries.add_entries(connection, rows)


async def ledger(
    connection: aiosqlite.Connection, scope: Scope, participant_id: str
) -> list[tuple[str, int, int, int]]:
    """The whole ledger of a participant as (cause, amount, occurred_at, seq), in the order written."""
    rows = _queries.entries(connection, **scope._asdict(), participant_id=participant_id)
    return [tuple(row) async for row in rows]


async def entries(
    connection: aiosqlite.Connection, scope: Scope, participant_id: str, limit: int, offset: int
) -> tuple[list[Entry], int]:
    """A page of a participant's ledger, the newest entry first, and how many entries there are."""
    own = {**scope._asdict(), "participant_id": participant_id}
    page = [Entry(*row) async for row in _queries.page_of_entries(connection, **own, limit=limit, offset=offset)]
    return page, await _queries.count_entries(connection, **own)


async def entry_of(connection: aiosqlite.Connection, scope: Scope, participant_id: str, cause: str) -> Entry | None:
    """The entry with that cause."""
    row = await _queries.entry_by_cause(connection, **scope._asdict(), participant_id=participant_id, cause=cause)
    return None if row is None else Entry(*row)


async def put_effects(connection: aiosqlite.Connection, effects: Mapping[str, str]) -> None:
    """Keep what facts caused, as JSON text by fact id."""
    if effects:
        await _queries.put_effects(
            connection, [{"fact_id": fact_id, "effects": text} for fact_id, text in effects.items()]
        )


async def effects(connection: aiosqlite.Connection, fact_id: str) -> list[dict[str, Any]]:
    """What the fact caused when it was processed."""
    text = await _queries.effects(connection, fact_id=fact_id)
    found: list[dict[str, Any]] = [] if text is None else loads(text)
    return found


async def top(
    connection: aiosqlite.Connection, scope: Scope, board: str, window: str, period: str, limit: int
) -> tuple[list[Score], int]:
    """The best of a ranking, and how many participants are on it."""
    ranking = _ranking(scope, board, window, period)
    best = [Score(*row) async for row in _queries.top_standings(connection, **ranking, limit=limit)]
    return best, await count_ranked(connection, scope, board, window, period)


async def rank(
    connection: aiosqlite.Connection, scope: Scope, board: str, window: str, period: str, participant_id: str
) -> tuple[Score, int] | None:
    """A participant's score and rank (from 1); None for one who is not on the ranking."""
    ranking = _ranking(scope, board, window, period)
    row = await _queries.standing(connection, **ranking, participant_id=participant_id)
    if row is None:
        return None
    found = Score(*row)
    ahead = await _queries.count_ahead(
        connection, **ranking, participant_id=participant_id, score=found.score, reached_at=found.reached_at
    )
    return found, ahead + 1


async def ranks(
    connection: aiosqlite.Connection,
    scope: Scope,
    board: str,
    window: str,
    period: str,
    participant_ids: Iterable[str],
) -> dict[str, int]:
    """The ranks (from 1) of those of the participants who are on the ranking."""
    ranking = _ranking(scope, board, window, period)
    rows = _queries.ranks(connection, **ranking, participants=dumps(list(participant_ids)))
    return {participant_id: place async for participant_id, place in rows}


async def count_ranked(connection: aiosqlite.Connection, scope: Scope, board: str, window: str, period: str) -> int:
    """How many participants are on the ranking."""
    count: int = await _queries.count_standings(connection, **_ranking(scope, board, window, period))
    return count


def _ranking(scope: Scope, board: str, window: str, period: str) -> dict[str, str]:
    return {**scope._asdict(), "board": board, "time_window": window, "period": period}


@asynccontextmanager
async def snapshot(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    """All that is read on this reading connection meanwhile is of one moment, whatever is written beside it."""
    await connection.execute("BEGIN")
    try:
        yield
    finally:
        await connection.execute("ROLLBACK")


async def cell_texts(connection: aiosqlite.Connection, scope: Scope, participant_id: str) -> dict[str, str]:
    """All cells of a participant as they are stored: JSON, unless somebody else wrote there."""
    rows = _queries.every_cell(connection, **scope._asdict(), participant_id=participant_id)
    return {cell: value async for cell, value in rows}


async def whole_ledger(connection: aiosqlite.Connection, scope: Scope, participant_id: str) -> list[tuple[Entry, int]]:
    """Every entry of a participant with its fact's seq, in the order written."""
    rows = _queries.whole_ledger(connection, **scope._asdict(), participant_id=participant_id)
    return [(Entry(*row[:-1]), row[-1]) async for row in rows]


async def mend_entries(
    connection: aiosqlite.Connection, scope: Scope, participant_id: str, entries: Iterable[tuple[Entry, int]]
) -> None:
    """Correct what entries of the ledger say, each with its fact's seq: amount, balance and event time, by cause."""
    rows = [
        {
            **scope._asdict(),
            "participant_id": participant_id,
            "cause": entry.cause,
            "amount": entry.amount,
            "balance": entry.balance,
            "seq": seq,
            "occurred_at": entry.occurred_at,
        }
        for entry, seq in entries
    ]
    if rows:
        await _queries.mend_entries(connection, rows)


async def remove_entries(
    connection: aiosqlite.Connection, scope: Scope, participant_id: str, causes: Iterable[str]
) -> None:
    """Take out entries that no award made."""
    rows = [{**scope._asdict(), "participant_id": participant_id, "cause": cause} for cause in causes]
    if rows:
        await _queries.remove_entries(connection, rows)


async def places_of(
    connection: aiosqlite.Connection, scope: Scope, participant_id: str, rankings: Iterable[tuple[str, str, str]]
) -> list[Place]:
    """A participant's places on these rankings, each a (board, window, period)."""
    wanted = dumps([list(ranking) for ranking in rankings])
    rows = _queries.places_of(connection, **scope._asdict(), participant_id=participant_id, wanted=wanted)
    return [Place(board, window, period, participant_id, *rest) async for board, window, period, *rest in rows]


async def places_after(
    connection: aiosqlite.Connection, scope: Scope, place: Place | None, limit: int
) -> list[tuple[Place, str | None]]:
    """The next places of all rankings, or the first, each with the text of the cell that gives it, if there is one."""
    after = ("", "", "", "") if place is None else (place.board, place.window, place.period, place.participant_id)
    names = dict(zip(("board", "time_window", "period", "participant_id"), after, strict=True))
    rows = _queries.places_after(connection, **scope._asdict(), **names, limit=limit)
    return [(Place(*row[:-1]), row[-1]) async for row in rows]
