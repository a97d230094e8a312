"""A database as one file: copied while a server writes to it, and checked before it is trusted.

For commands, which have nothing else to do meanwhile, so nothing here is asynchronous.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.store.audit_log import Act
from bq_server.store.backend import StoreAddress, backend_of
from bq_server.store.losses import Loss
from bq_server.store.queries import load
from bq_server.store.unavailable import StoreUnavailable

PATIENCE_SECONDS = 2.0

_copying = load("copying", "sqlite3")
_losses = load("losses", "sqlite3")
_installation = load("installation", "sqlite3")


class DatabaseDamaged(Exception):
    """The file is a database that SQLite finds inconsistent. The message says where."""


class Contents(Struct, frozen=True):
    """What a database contains."""

    schema_version: int
    installation_id: str | None
    """None in one that no server has used yet."""
    facts: int


def copy(source: Path, target: Path) -> None:
    """Copy the database, as of one moment, into a new file.

    Readers and writers don't have to wait. Raises `StoreUnavailable`.
    """
    with _opened(source) as original, _opened(target) as copied:
        # All pages in one step, in one read transaction: a copy in steps starts over whenever somebody writes.
        original.backup(copied, pages=-1)


def examine(path: Path) -> Contents:
    """Check every page and index of a database that nobody else uses, and return what it contains.

    Raises `DatabaseDamaged`, and `StoreUnavailable` for a file that can't be read or isn't a database of ours.
    """
    with _opened(path) as connection:
        damage = _copying.damage(connection)
        if damage != "ok":
            raise DatabaseDamaged(f"the database is damaged: {damage}")
        return Contents(
            _copying.schema_version(connection),
            _installation.installation_id(connection),
            (_copying.count_old_facts if _is_half(connection) else _copying.count_facts)(connection),
        )


def installation_id(address: StoreAddress) -> str | None:
    """The installation that a database belongs to; None if no server has used it yet. Raises `StoreUnavailable`."""
    with _opened(address) as connection:
        if not _copying.has_table(connection, name="installation"):
            return None
        found: str | None = _installation.installation_id(connection)
        return found


def open_losses(address: StoreAddress) -> list[Loss]:
    """What was lost from the stream and not acknowledged. Raises `StoreUnavailable`."""
    with _opened(address) as connection:
        if not _copying.has_table(connection, name="losses"):
            return []
        found = [Loss(*row[1:]) for row in _losses.losses(connection)]
        return [loss for loss in found if loss.acknowledged_at is None]


def acknowledge_losses(address: StoreAddress, now: int, act: Act) -> list[Loss]:
    """Acknowledge everything lost so far, whether or not a server runs; returns exactly what was acknowledged.

    Raises `StoreUnavailable`.
    """
    with kept(address, act) as (connection, about):
        rows = sorted(_losses.acknowledge(connection, now=now))
        if rows:
            about["losses"] = len(rows)
    return [Loss(*row[1:]) for row in rows]


@contextmanager
def kept(address: StoreAddress, act: Act) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A transaction that ends with the act's entry in the audit log; the caller fills in its details.

    Nothing is written if the block raises, or without details. Raises `StoreUnavailable`, also for a database of a
    version without such a log.
    """
    about: dict[str, Any] = {}
    with _opened(address) as connection:
        if not _copying.has_table(connection, name="audit_log"):
            name = backend_of(address).name
            raise StoreUnavailable(f"{name} was last used by an older version: start the server of this one once")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection, about
            if about:
                act.write(connection, **about)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT" if about else "ROLLBACK")


def newest_processing(address: StoreAddress) -> int | None:
    """When the newest live fact was made, in microseconds since the epoch; None if there is no recent one.

    Raises `StoreUnavailable`.
    """
    with _opened(address) as connection:
        if _is_half(connection):
            asked = _copying.newest_processing_of_old_facts
        elif _copying.has_table(connection, name="scopes"):
            asked = _copying.newest_processing
        else:
            asked = _copying.newest_processing_of_the_first_release
        found: int | None = asked(connection)
        return found


def resets(address: StoreAddress) -> dict[Scope, int]:
    """How often each environment was reset. Raises `StoreUnavailable`."""
    with _opened(address) as connection:
        if not _copying.has_table(connection, name="environments"):
            return {}  # of a version without resets
        return {Scope(project, environment): count for project, environment, count in _copying.resets(connection)}


def _is_half(connection: Any) -> bool:
    """Whether it is being upgraded: then all facts are still where the first release put them."""
    found: int = _copying.has_table(connection, name="old_facts")
    return bool(found)


@contextmanager
def _opened(address: StoreAddress) -> Iterator[Any]:
    backend = backend_of(address)
    try:
        with closing(backend.connect(PATIENCE_SECONDS)) as connection:
            yield connection
    except backend.error as error:
        raise backend.unavailable(error, for_commands=True) from error
