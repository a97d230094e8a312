"""A PostgreSQL that follows another one, and can take its place."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from harness.private_postgres import PrivatePostgres


class StandbyPostgres(PrivatePostgres):
    """A standby. While it is synchronous, a commit on the primary waits until it is on the standby's disk, too."""

    def __init__(self, primary: PrivatePostgres, *, synchronous: bool) -> None:
        super().__init__()
        self._primary = primary
        self._synchronous = synchronous

    def __enter__(self) -> Self:
        try:
            self._run("pg_basebackup", *self._primary._where, "-D", self._data, "-R", "-X", "stream", "-c", "fast")
            self.start()
            if self._synchronous:
                self._ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
                self._ask("SELECT pg_reload_conf()")
        except BaseException:
            self.close()
            raise
        return self

    def _ask(self, sql: str) -> None:
        self._run("psql", *self._primary._where, "-d", "postgres", "-c", sql)

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """It does nothing meanwhile, and receives nothing."""
        self.signal(signal.SIGSTOP)
        self._ask("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")  # what is sent is kept in its socket
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def promote(self) -> None:
        """Make it the primary, and wait until it is. It waits for no standby of its own."""
        self._run("pg_ctl", "-D", self._data, "-w", "promote")

    def url_of_both(self, database: str) -> str:
        """The URL that leads to whichever of the two takes writes."""
        hosts = ",".join(str(each.directory) for each in (self._primary, self))
        return f"postgresql://bq@/{database}?host={hosts}&port=5432,5432&target_session_attrs=read-write"
