"""Facts that void others, and the marks of those that are void. Called on the connection's own thread."""

import json
from collections.abc import Iterable
from typing import Any

from bq_server.ids import pack
from bq_server.store.queries import load

_queries = load("voids", "sqlite3")

Row = tuple[Any, ...]
"""seq, the fact's own id and the event's as they are stored, type, event name, properties as JSON, event time, time of
arrival, idempotency key, and the key of the fact that it voids."""


def facts_that_void(connection: Any, participant: int) -> list[Row]:
    """The facts of a participant that void others, or would void them if those arrived."""
    return list(_queries.facts_that_void(connection, participant=participant))


def named_facts(
    connection: Any, participant: int, scope: int, keys: Iterable[str], fact_ids: Iterable[str]
) -> list[Row]:
    """The facts of a participant that have one of these idempotency keys or ids."""
    packed = json.dumps([pack("fact", each).hex() for each in fact_ids])
    own = {"participant": participant, "scope": scope}
    return list(_queries.named_facts(connection, **own, keys=json.dumps(list(keys)), fact_ids=packed))


def mark(connection: Any, marks: Iterable[tuple[int, int | None]]) -> None:
    """Mark facts as void by another, or as no longer void; each by its seq, with that of the other."""
    rows = [{"fact": fact, "void": void} for fact, void in marks]
    if rows:
        _queries.mark(connection, rows)
