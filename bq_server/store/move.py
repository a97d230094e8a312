"""Moving everything in a store to one of the other kind: every table, row by row, unchanged.

It goes in portions, each in a transaction together with its progress, so that an interrupted move can be resumed. A
store that is being filled, or that was moved away, can't be served from: see `store/move_marks.py`.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bq_server.store.backend import Backend, StoreAddress, backend_of
from bq_server.store.move_marks import Mark, mark_of, progress, put_mark, put_progress, remove_mark
from bq_server.store.sqlite_file import PATIENCE_SECONDS, SqliteFile
from bq_server.store.whole_tables import Table, continue_numbering, tables_of

Told = Callable[[str, int, int], None]
"""Called with a table, how many of its rows are moved, and how many it has."""


class MoveRefused(Exception):
    """The move isn't possible. The message says why and what to do."""


def move(source: StoreAddress, target: StoreAddress, told: Told) -> int:
    """Move everything, and mark the source as moved. Returns the number of rows.

    Both must have the newest schema, and nobody else may use either. Raises `MoveRefused` for a target that contains
    anything but what an earlier move from there has left, and `StoreUnavailable`.
    """
    if isinstance(source, Path) == isinstance(target, Path):
        raise MoveRefused("a store moves from a data directory to PostgreSQL, or from PostgreSQL to a data directory")
    ours, theirs = backend_of(source), backend_of(target)
    try:
        return _moved(ours, theirs, told)
    except (ours.error, theirs.error) as error:
        failed = ours if isinstance(error, ours.error) else theirs
        raise failed.unavailable(error, for_commands=True) from error


def _moved(ours: Backend, theirs: Backend, told: Told) -> int:
    with closing(ours.connect(PATIENCE_SECONDS)) as reading, closing(theirs.connect(PATIENCE_SECONDS)) as writing:
        ours.hold(reading)
        theirs.hold(writing)
        tables = tables_of(reading if isinstance(ours, SqliteFile) else writing)
        _begin(writing, tables, ours.name, theirs.name)
        total = 0
        for table in tables:
            total += _carry(table, reading, writing, told)
        _finish(reading, writing, theirs.name)
    return total


def _begin(writing: Any, tables: Sequence[Table], source: str, target: str) -> None:
    """Mark the target as being filled; if an earlier move has marked it, that move is resumed."""
    if (found := mark_of(writing)) is not None:
        if found != Mark("from", source):
            raise MoveRefused(f"{target} holds what was moved {found.way} {found.other}: name another, or empty it")
        return
    for table in tables:
        if not table.is_empty(writing):
            raise MoveRefused(f"{target} is not empty ({table.name}): name one that is")
    writing.execute("BEGIN IMMEDIATE")
    put_mark(writing, Mark("from", source))
    writing.execute("COMMIT")


def _carry(table: Table, reading: Any, writing: Any, told: Told) -> int:
    """Move the rows of a table that no earlier move has moved."""
    total = table.count(reading)
    after, done = progress(writing, table.name)
    insert = table.inserting(writing)
    for rows, last in table.portions(reading, after):
        done += len(rows)
        writing.execute("BEGIN IMMEDIATE")
        try:
            insert(rows)
            put_progress(writing, table.name, list(last), done)
            writing.execute("COMMIT")
        except BaseException:
            writing.execute("ROLLBACK")
            raise
        told(table.name, done, total)
    if done != total:
        raise MoveRefused(f"{table.name} had {total} rows and {done} were moved: something else writes to the store")
    return done


def _finish(reading: Any, writing: Any, target: str) -> None:
    """Continue the numbering; the source is marked first, so that both can never be served from."""
    writing.execute("BEGIN IMMEDIATE")
    continue_numbering(reading, writing)
    reading.execute("BEGIN IMMEDIATE")
    put_mark(reading, Mark("to", target))
    reading.execute("COMMIT")
    remove_mark(writing)
    writing.execute("COMMIT")
