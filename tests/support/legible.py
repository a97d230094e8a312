"""A database as somebody with a shell would like to see it: texts for integers, and a row for each cell.

It is shown in memory, in tables that are those of the first release: `participants`, `cells`, `ledger`, `standings`.
Scores of older periods are places only, and so no cells. What SQL changes there is written back, row by row: nothing
else is touched.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from bq_server.causes import pack_cause, unpack_cause
from bq_server.exact_json import dumps, loads
from bq_server.game.state.packed import APART, cells_of, slot_of
from bq_server.ids import pack, unpack
from bq_server.store import sqlite
from bq_server.store.backend import StoreAddress
from bq_server.store.facts import fact_id_of
from bq_server.store.migrations import available
from tests.support.store import at_store

NO_FACT = 10**15
"""Seqs from here on name no fact."""

MOST_ENTRIES = 10**6
"""Of one participant: the number of an entry shown is made of the participant's and its own."""

KEYS = {"participants": 3, "cells": 4, "ledger": 1, "standings": 6}
"""How many columns of each table name a row. They come first."""

Rows = dict[tuple[Any, ...], tuple[Any, ...]]
Who = tuple[str, str, str]


def rows(address: StoreAddress, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """What a query finds."""

    def look(connection: Any) -> list[tuple[Any, ...]]:
        with _shown(connection) as memory:
            return [tuple(row) for row in memory.execute(sql, parameters)]

    return at_store(address, look)


def edit(address: StoreAddress, sql: str, *parameters: object) -> int:
    """Run a statement that changes rows; answers how many."""
    return at_store(address, lambda connection: _edit(connection, sql, parameters))


def _edit(connection: Any, sql: str, parameters: tuple[object, ...]) -> int:
    with _shown(connection) as memory:
        before = {table: _rows(memory, table) for table in KEYS}
        changed: int = memory.execute(sql, parameters).rowcount
        connection.execute("BEGIN IMMEDIATE")
        for table, write in (
            ("participants", _put_participant),
            ("cells", _put_cell),
            ("ledger", _put_entry),
            ("standings", _put_place),
        ):
            after = _rows(memory, table)
            for key in sorted(before[table].keys() | after.keys()):
                old, new = before[table].get(key), after.get(key)
                if old != new:
                    write(connection, key, old, new)
        connection.execute("COMMIT")
        return changed


@contextmanager
def _shown(connection: Any) -> Iterator[Any]:
    with closing(sqlite.connect(":memory:")) as memory:
        memory.executescript(next(sql for version, _, sql in available() if version == 2))
        connection.execute("BEGIN")
        _fill(connection, memory)
        connection.execute("ROLLBACK")
        yield memory


def _rows(memory: Any, table: str) -> Rows:
    key = KEYS[table]
    return {tuple(row[:key]): tuple(row[key:]) for row in memory.execute(f"SELECT * FROM {table}")}  # noqa: S608 - ours


def _fill(connection: Any, memory: Any) -> None:
    names: dict[int, Who] = {}
    for reference, project, environment, name, text, known, *rest in connection.execute(
        "SELECT participant, project, environment, participant_id, state, known,"
        " display_name, avatar_url, attributes, total_events, created_at FROM participants JOIN scopes USING (scope)"
    ):
        who = names[reference] = (project, environment, name)
        if known:
            memory.execute("INSERT INTO participants VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*who, *rest))
        own = [(*who, cell, dumps(value)) for cell, value in cells_of(loads(text)).items()]
        memory.executemany("INSERT INTO cells VALUES (?, ?, ?, ?, ?)", own)
    for reference, cell, value in connection.execute("SELECT * FROM cells"):
        memory.execute("INSERT INTO cells VALUES (?, ?, ?, ?, ?)", (*names[reference], cell, value))
    entries = connection.execute(
        "SELECT ledger.participant, number, event_id, fact_id, transaction_id, cause, amount, balance, fact,"
        " ledger.occurred_at, created_at FROM ledger LEFT JOIN facts ON seq = fact"
    )
    for reference, number, event_id, own_id, transaction_id, cause, amount, balance, *rest in entries:
        fact_id = "" if event_id is None else fact_id_of(event_id, own_id)
        told = (unpack("txn", transaction_id), *names[reference], unpack_cause(cause, fact_id), amount, balance)
        memory.execute(
            "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (reference * MOST_ENTRIES + number, *told, fact_id, *rest),
        )
    memory.executemany(
        "INSERT INTO standings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        connection.execute(
            "SELECT project, environment, board, time_window, period, participant_id, score, reached_at"
            " FROM standings JOIN rankings USING (ranking) JOIN scopes USING (scope)"
            " JOIN participants USING (participant)"
        ).fetchall(),
    )


def _scope(connection: Any, project: str, environment: str) -> int:
    connection.execute(
        "INSERT INTO scopes (project, environment) VALUES (?, ?) ON CONFLICT DO NOTHING", (project, environment)
    )
    found: int = connection.execute(
        "SELECT scope FROM scopes WHERE project = ? AND environment = ?", (project, environment)
    ).fetchone()[0]
    return found


def _participant(connection: Any, who: Who) -> int:
    own = (_scope(connection, *who[:2]), who[2])
    connection.execute(
        "INSERT INTO participants (scope, participant_id, created_at, known) VALUES (?, ?, 0, 0)"
        " ON CONFLICT DO NOTHING",
        own,
    )
    found: int = connection.execute(
        "SELECT participant FROM participants WHERE scope = ? AND participant_id = ?", own
    ).fetchone()[0]
    return found


def _put_participant(connection: Any, key: Any, _old: Any, new: Any) -> None:
    reference = _participant(connection, key)
    if new is None:
        connection.execute(
            "UPDATE participants SET known = 0, total_events = 0 WHERE participant = ?",
            (reference,),
        )
    else:
        connection.execute(
            "UPDATE participants SET known = 1, display_name = ?, avatar_url = ?, attributes = ?, total_events = ?,"
            " created_at = ? WHERE participant = ?",
            (*new, reference),
        )


def _put_cell(connection: Any, key: Any, _old: Any, new: Any) -> None:
    *who, cell = key
    reference = _participant(connection, (who[0], who[1], who[2]))
    value = None if new is None else _value(new[0])
    if cell.startswith(APART):
        connection.execute("DELETE FROM cells WHERE participant = ? AND cell = ?", (reference, cell))
        if new is not None:
            connection.execute("INSERT INTO cells VALUES (?, ?, ?)", (reference, cell, dumps(value)))
        return
    text = connection.execute("SELECT state FROM participants WHERE participant = ?", (reference,)).fetchone()[0]
    state = loads(text)
    if cell.startswith("score/"):
        slot, period = slot_of(cell)
        part, name = state.setdefault("scores", {}), slot
        if isinstance(value, dict):
            value = [period, value.get("rev"), value.get("score"), value.get("at")]
        elif new is not None:
            value = [period, None, value, None]
    else:
        part, name = state.setdefault("cells", {}), cell
    if new is None:
        part.pop(name, None)
    else:
        part[name] = value
    connection.execute("UPDATE participants SET state = ? WHERE participant = ?", (dumps(state), reference))


def _value(text: str) -> Any:
    """A text that is no JSON can only be kept as a string."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _put_entry(connection: Any, key: Any, old: Any, new: Any) -> None:
    at = divmod(key[0], MOST_ENTRIES)
    if old is not None:
        connection.execute("DELETE FROM ledger WHERE participant = ? AND number = ?", at)
    if new is None:
        return
    transaction_id, project, environment, name, cause, amount, balance, fact_id, seq, occurred_at, created_at = new
    fact = connection.execute(
        "SELECT seq FROM facts WHERE fact_id = ? OR (event_id = ? AND fact_id IS NULL)", (pack("fact", fact_id),) * 2
    ).fetchone()
    if old is None:
        reference = _participant(connection, (project, environment, name))
        highest = "SELECT coalesce(max(number), 0) + 1 FROM ledger WHERE participant = ?"
        at = reference, connection.execute(highest, (reference,)).fetchone()[0]
    connection.execute(
        "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *at,
            pack("txn", transaction_id),
            cause if fact is None else pack_cause(cause, fact_id),
            NO_FACT + seq if fact is None else fact[0],
            amount,
            balance,
            occurred_at,
            created_at,
        ),
    )


def _put_place(connection: Any, key: Any, old: Any, new: Any) -> None:
    project, environment, board, window, period, name = key
    ranking = (_scope(connection, project, environment), board, window, period)
    connection.execute(
        "INSERT INTO rankings (scope, board, time_window, period) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", ranking
    )
    reference = connection.execute(
        "SELECT ranking FROM rankings WHERE scope = ? AND board = ? AND time_window = ? AND period = ?", ranking
    ).fetchone()[0]
    own = (reference, _participant(connection, (project, environment, name)))
    if new is None:
        connection.execute("DELETE FROM standings WHERE ranking = ? AND participant = ?", own)
    elif old is None:
        connection.execute("INSERT INTO standings VALUES (?, ?, ?, ?, NULL)", (*own, *new))
    else:
        connection.execute(
            "UPDATE standings SET score = ?, reached_at = ? WHERE ranking = ? AND participant = ?", (*new, *own)
        )
