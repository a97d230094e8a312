"""The points ledger: append-only, each entry unique by its cause."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from bq_server.causes import unpack_cause
from bq_server.events import Scope
from bq_server.ids import pack, unpack
from bq_server.store.database import Connection
from bq_server.store.facts import fact_id_of
from bq_server.store.queries import load

_queries = load("ledger")
_on_thread = load("ledger", "sqlite3")


class PointsEntry(Struct, frozen=True):
    """An entry of the points ledger. Times are microseconds since the epoch, UTC."""

    transaction_id: str
    cause: str
    amount: int
    balance: int
    """With this entry."""
    fact_id: str
    """Empty if there is no such fact."""
    occurred_at: int
    created_at: int


class NumberedEntry(Struct, frozen=True):
    """An entry with its position in the ledger."""

    entry: PointsEntry
    number: int
    """The number of the participant's entry, from 1."""
    seq: int
    """Of the fact that caused it."""


def _entry(row: Sequence[Any]) -> PointsEntry:
    transaction_id, cause, amount, balance, occurred_at, created_at, own_id, event_id = row
    fact_id = "" if event_id is None else fact_id_of(event_id, own_id)
    return PointsEntry(
        unpack("txn", transaction_id), unpack_cause(cause, fact_id), amount, balance, fact_id, occurred_at, created_at
    )


def amounts(connection: Any, participant: int) -> Iterator[tuple[str, int, int, int, str]]:
    """The whole ledger of a participant as (cause, amount, occurred_at, seq, fact id), in the order written.

    On the connection's own thread (`Connection.run`).
    """
    for cause, amount, occurred_at, seq, own_id, event_id in _on_thread.entries(connection, participant=participant):
        fact_id = "" if event_id is None else fact_id_of(event_id, own_id)
        yield unpack_cause(cause, fact_id), amount, occurred_at, seq, fact_id


async def entries(
    connection: Connection, scope: Scope, participant_id: str, limit: int, offset: int
) -> tuple[list[PointsEntry], int]:
    """A page of a participant's ledger, the newest entry first, and how many entries there are."""
    own = {**scope._asdict(), "participant_id": participant_id}
    page = [_entry(row) async for row in _queries.page_of_entries(connection, **own, limit=limit, offset=offset)]
    return page, await _queries.count_entries(connection, **own)


async def entry_of(
    connection: Connection, scope: Scope, participant_id: str, fact_id: str, cause: str
) -> PointsEntry | None:
    """The entry that a fact caused under that cause."""
    rows = _queries.entries_of_fact(
        connection, **scope._asdict(), participant_id=participant_id, fact_id=pack("fact", fact_id)
    )
    found = [entry async for entry in _each(rows) if entry.cause == cause]
    return found[0] if found else None


async def _each(rows: Any) -> Any:
    async for row in rows:
        yield _entry(row)


async def whole(connection: Connection, participant: int) -> list[NumberedEntry]:
    """Every entry of a participant, in the order written."""
    rows = _queries.whole_ledger(connection, participant=participant)
    return [NumberedEntry(_entry(row[:-2]), row[-1], row[-2]) async for row in rows]


async def mend(connection: Connection, participant: int, entries: Iterable[NumberedEntry]) -> None:
    """Correct what entries say: amount, balance, fact and event time."""
    rows = [
        {
            "participant": participant,
            "number": each.number,
            "amount": each.entry.amount,
            "balance": each.entry.balance,
            "seq": each.seq,
            "occurred_at": each.entry.occurred_at,
        }
        for each in entries
    ]
    if rows:
        await _queries.mend_entries(connection, rows)


async def remove(connection: Connection, participant: int, numbers: Iterable[int]) -> None:
    """Remove entries that no award accounts for."""
    rows = [{"participant": participant, "number": number} for number in numbers]
    if rows:
        await _queries.remove_entries(connection, rows)
