"""What follows from facts: participants' cells and their places in rankings.

Most cells of a participant are in one row, as JSON: `{"cells": {...}, "scores": {...}, "entries": n}`. `scores`
holds, for each window of each leaderboard, its newest period as `[period, revision, score, reached at]`; older ones
are in the rankings only. `entries` counts the ledger. Cells of which there may be any number are stored apart.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bq_server.events import Scope
from bq_server.exact_json import dumps, loads, loads_own
from bq_server.store.batch import Place
from bq_server.store.database import Connection
from bq_server.store.queries import load
from bq_server.store.references import Ranking

_queries = load("state")


@dataclass(frozen=True, slots=True)
class Score:
    """A row of a ranking."""

    participant_id: str
    score: float
    reached_at: int


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """A participant's place as stored, with its position among all."""

    cursor: tuple[int, int]
    place: Place
    state: str
    """What is stored about the participant, as JSON."""


async def states(connection: Connection, scope: Scope, participant_ids: Iterable[str]) -> dict[str, Any]:
    """Participants' own rows, parsed from JSON; unknown participants are left out."""
    wanted = dumps(list(participant_ids))
    rows = _queries.states_of(connection, **scope._asdict(), participants=wanted)
    return {participant_id: loads_own(state) async for participant_id, state in rows}


async def cells(connection: Connection, scope: Scope, participant_id: str) -> Mapping[str, Any]:
    """All cells of a participant except scores and those stored apart, by key."""
    found = (await states(connection, scope, [participant_id])).get(participant_id, {})
    own: Mapping[str, Any] = found.get("cells", {})
    return own


async def text_of(connection: Connection, participant: int) -> str:
    """A participant's own row: JSON, unless somebody else wrote there."""
    found: str | None = await _queries.state_of(connection, participant=participant)
    return "{}" if found is None else found


async def cells_apart(connection: Connection, participant: int, prefixes: Sequence[str]) -> dict[str, Any]:
    """A participant's cells stored apart whose names start with one of these."""
    if not prefixes:
        return {}
    rows = _queries.cells_of(connection, participant=participant, prefixes=dumps(list(prefixes)))
    return {cell: loads(value) async for cell, value in rows}


async def remove_boards(connection: Connection, scope: Scope, boards: Iterable[str]) -> None:
    """Clear rankings that no longer exist."""
    rows = [{**scope._asdict(), "board": board} for board in boards]
    if rows:
        await _queries.remove_boards(connection, rows)


async def top(
    connection: Connection, scope: Scope, board: str, window: str, period: str, limit: int
) -> tuple[list[Score], int]:
    """The top of a ranking, and how many participants are on it."""
    ranking = _ranking(scope, board, window, period)
    best = [Score(*row) async for row in _queries.top_standings(connection, **ranking, limit=limit)]
    return best, await count_ranked(connection, scope, board, window, period)


async def rank(
    connection: Connection, scope: Scope, board: str, window: str, period: str, participant_id: str
) -> tuple[Score, int] | None:
    """A participant's score and rank (from 1); None for one not on the ranking."""
    row = await _queries.standing(connection, **_ranking(scope, board, window, period), participant_id=participant_id)
    if row is None:
        return None
    *own, ranking = row
    found = Score(*own)
    ahead = await _queries.count_ahead(
        connection,
        ranking=ranking,
        participant_id=participant_id,
        score=found.score,
        reached_at=found.reached_at,
    )
    return found, ahead + 1


async def ranks(
    connection: Connection, scope: Scope, board: str, window: str, period: str, participant_ids: Iterable[str]
) -> dict[str, int]:
    """The ranks (from 1) of those participants who are on the ranking."""
    ranking = _ranking(scope, board, window, period)
    rows = _queries.ranks(connection, **ranking, participants=dumps(list(participant_ids)))
    return {participant_id: place async for participant_id, place in rows}


async def count_ranked(connection: Connection, scope: Scope, board: str, window: str, period: str) -> int:
    """How many participants are on the ranking."""
    count: int = await _queries.count_standings(connection, **_ranking(scope, board, window, period))
    return count


def _ranking(scope: Scope, board: str, window: str, period: str) -> dict[str, str]:
    return {**scope._asdict(), "board": board, "time_window": window, "period": period}


async def places_of(
    connection: Connection, participant: int, participant_id: str, boards: Iterable[str]
) -> dict[Ranking, Place]:
    """A participant's places on these boards, in every window and period."""
    rows = _queries.places_of(connection, participant=participant, boards=dumps(list(boards)))
    return {
        (board, window, period): place_of(board, window, period, participant_id, *rest)
        async for board, window, period, *rest in rows
    }


async def places_after(connection: Connection, scope: Scope, cursor: tuple[int, int], limit: int) -> list[StoredPlace]:
    """The next places of all rankings; (0, 0) begins."""
    names = dict(zip(("ranking", "participant"), cursor, strict=True))
    rows = _queries.places_after(connection, **scope._asdict(), **names, limit=limit)
    return [StoredPlace((row[0], row[1]), place_of(*row[2:-1]), row[-1]) async for row in rows]


def place_of(
    board: str, window: str, period: str, participant_id: str, score: float, reached_at: int, exact: str | None
) -> Place:
    """A place from the columns of its row."""
    return Place(board, window, period, participant_id, score, reached_at, None if exact is None else int(exact))


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """Everything read on this connection meanwhile is of one moment, whatever others write."""
    await connection.execute("BEGIN")
    try:
        yield
    finally:
        await connection.execute("ROLLBACK")
