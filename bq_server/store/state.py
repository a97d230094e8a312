"""What follows from facts: participants' cells and their places in rankings.

Most cells of a participant are in one row, as JSON: `{"cells": {...}, "scores": {...}, "entries": n}`. `scores`
holds, for each window of each leaderboard, its newest period as `[period, revision, score, reached at]`; older ones
are in the rankings only. `entries` counts the ledger. Cells of which there may be any number are stored apart.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.exact_json import dumps, loads, loads_own
from bq_server.store.batch import Place
from bq_server.store.database import Connection
from bq_server.store.queries import load
from bq_server.store.references import Ranking

_queries = load("state")


class StoredPlace(Struct, frozen=True):
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


async def cells_with(
    connection: Connection, scope: Scope, participant_id: str, names: Sequence[str]
) -> Mapping[str, Any]:
    """As `cells`, and those kept apart that have these names."""
    own = await cells(connection, scope, participant_id)
    if not names:
        return own
    rows = _queries.cells_named(connection, **scope._asdict(), participant_id=participant_id, names=dumps(list(names)))
    return {**own, **{cell: loads(value) async for cell, value in rows}}


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
        await _queries.remove_sections_of_boards(connection, rows)
        await _queries.remove_boards(connection, rows)


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
    board: str,
    window: str,
    period: str,
    participant_id: str,
    score: float,
    reached_at: int,
    exact: str | None,
    hidden: int,
) -> Place:
    """A place from the columns of its row."""
    value = None if exact is None else int(exact)
    return Place(board, window, period, participant_id, score, reached_at, value, bool(hidden))


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """Everything read on this connection meanwhile is of one moment, whatever others write."""
    await connection.execute("BEGIN")
    try:
        yield
    finally:
        await connection.execute("ROLLBACK")
