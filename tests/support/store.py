"""The database of a server under test, in the hands of somebody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bq_server.store.sqlite import connect


@contextmanager
def no_new_facts(data_dir: Path) -> Iterator[None]:
    """Keep whoever writes facts waiting, so that accepted events stay in the stream."""
    blocker = connect(str(data_dir / "facts.sqlite3"))
    blocker.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
