"""The named queries are read as aiosql reads them, without what it does for comments that they don't have."""

from pathlib import Path

import aiosql
import pytest

from bq_server.store import queries

FILES = sorted((Path(queries.__file__).parent / "sql").glob("*.sql"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_read_as_the_library_reads_it(path: Path) -> None:
    ours, theirs = queries.load(path.stem, "sqlite3"), aiosql.from_path(path, "sqlite3")

    assert ours.available_queries == theirs.available_queries
    for name in ours.available_queries:
        read, expected = getattr(ours, name), getattr(theirs, name)
        assert (read.sql, read.__doc__) == (expected.sql, expected.__doc__)
        assert read.__signature__ == expected.__signature__
