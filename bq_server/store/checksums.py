"""Checksums of facts: `verify` finds a byte that a failing disk or somebody has changed in a row.

32 bits over every column. They are no defence against an attacker, who could recompute them.
"""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from msgspec import Struct

from bq_server.events import Scope
from bq_server.ids import unpack
from bq_server.store.queries import load

if TYPE_CHECKING:
    from bq_server.store.database import Connection

_queries = load("checksums", "sqlite3")

_NULL, _BETWEEN = b"\0", b"\x1f"
_SIGN, _SPAN = 1 << 31, 1 << 32


class AlteredFact(Struct, frozen=True):
    """A fact whose row doesn't match its checksum."""

    fact_id: str
    participant_id: str | None
    """None if even that is gone; the empty string for nobody."""


def checksum(numbers: tuple[int, ...], texts: Iterable[bytes | str | None], voids: bytes | str | None = None) -> int:
    """The checksum of a row: its integers and all other columns, in a fixed order. A signed 32-bit integer.

    The integers are seq, scope, type, participant and the three moments; the others are event id, fact id, message id,
    idempotency key, fingerprint, properties, warnings and effects. Text is encoded as UTF-8. What the fact voids counts
    where it voids any: rows of before have no such column.
    """
    if voids is not None:
        texts = (*texts, voids)
    parts = [_NULL if each is None else each.encode() if isinstance(each, str) else each for each in texts]
    value = crc32(_BETWEEN.join((repr(numbers).encode(), *parts)))
    return value - _SPAN if value >= _SIGN else value


def checksum_of(row: Sequence[Any], voids: bytes | None = None) -> int:
    """The checksum of a row as in `rows_after`."""
    return checksum(tuple(row[:7]), row[7:15], voids)


def fill(connection: Any, limit: int) -> int:
    """Give at most so many older facts a checksum; returns how many. On the connection's thread."""
    rows = list(_queries.rows_without(connection, limit=limit))
    _queries.put_checksums(connection, [{"seq": row[0], "checksum": checksum_of(row)} for row in rows])
    return len(rows)


def renew(connection: Any, seqs: Iterable[int]) -> None:
    """Recompute the checksums of these facts, which were changed on purpose. On the connection's thread."""
    rows = _queries.rows_of(connection, seqs=json.dumps(list(seqs)))
    _queries.put_checksums(connection, [{"seq": row[0], "checksum": checksum_of(row, row[15])} for row in rows])


async def altered(
    connection: "Connection", scope: Scope, after: int, limit: int
) -> tuple[list[AlteredFact], int | None]:
    """Those of the next facts of an environment whose rows don't match their checksums.

    With the seq of the last one examined; None if none was left.
    """
    return await connection.run(lambda reading: _altered(reading, scope, after, limit))


def _altered(connection: Any, scope: Scope, after: int, limit: int) -> tuple[list[AlteredFact], int | None]:
    rows = list(_queries.rows_after(connection, **scope._asdict(), after=after, limit=limit))
    wrong = [row for row in rows if checksum_of(row, row[17]) != row[15]]
    return [AlteredFact(_named(row), row[16]) for row in wrong], rows[-1][0] if rows else None


def _named(row: Sequence[Any]) -> str:
    try:
        return unpack("fact", row[7] if row[8] is None else row[8])
    except (ValueError, TypeError):  # it is the id that was changed
        return f"number {row[0]}"
