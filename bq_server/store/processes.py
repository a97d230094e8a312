"""The processes that serve from one store: which there are, who leads, and what each must learn from the others.

Everything here is called on a connection's own thread. Times are by the database's clock.
"""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import asdict

from bq_server.moments import SECOND
from bq_server.store.beside import Permit
from bq_server.store.queries import load

_queries = load("processes", "sqlite3")

MEMORY = "memory"
"""Woken under this name by a change of what every process keeps in memory: clocks, eras, keys, integers of names."""

PERMITS = "share/"
"""How the names of permits begin, before the id of the worker's process."""


class Agreement(Protocol):
    """What makes the transactions of several processes agree."""

    def beginning(self, permit: Permit | None = None) -> Callable[[Any], None]:
        """What the task that makes a transaction has to call first in it, on the connection's thread.

        That raises `StoreUnavailable` for a transaction that the process may not make now, or no longer with that
        permit.
        """

    async def agreed(self) -> None:
        """Called after a commit that changed what processes keep in memory; returns when all know it."""


class PeerProcess(Struct, frozen=True):
    """A process as it was last heard of."""

    process_id: str
    place: str
    """Its host and its data directory."""
    role: str
    knows: int
    silent_seconds: float
    leads: bool


def join(connection: Any, process_id: str, place: str, role: str) -> int:
    """Count a process that starts, instead of one that ended in its place.

    Returns the number of the newest wake: what is read from now on includes everything before.
    """
    number: int = _queries.newest_number(connection)
    _queries.remove_predecessor(connection, place=place)
    report(connection, process_id, place, role, number)
    return number


def report(connection: Any, process_id: str, place: str, role: str, knows: int) -> None:
    """Say that the process is alive, and up to which wake it knows what processes keep in memory."""
    _queries.report(connection, process_id=process_id, place=place, role=role, knows=knows)


def leave(connection: Any, process_id: str) -> None:
    """Forget a process that ends."""
    _queries.leave(connection, process_id=process_id)


def every(connection: Any) -> list[PeerProcess]:
    """All that were heard of and didn't leave, in the order of their starts."""
    return [
        PeerProcess(process_id, place, role, knows, silence / SECOND, bool(leads))
        for process_id, place, role, knows, silence, leads in _queries.every_process(connection)
    ]


def remove_long_lost(connection: Any, silent_seconds: float) -> None:
    """Forget those that were not heard of for so long."""
    _queries.remove_long_lost(connection, silence=round(silent_seconds * SECOND))


def count_ignorant(connection: Any, number: int, silent_seconds: float) -> int:
    """How many don't know of a wake yet, but for those not heard of for so long."""
    found: int = _queries.count_ignorant(connection, number=number, silence=round(silent_seconds * SECOND))
    return found


def take_lease(connection: Any, name: str, holder: str, seconds: float) -> int | None:
    """Take a lease, or renew one's own; returns its term, or None where another has it.

    A term is later than those of all holders before.
    """
    term: int | None = _queries.take_lease(connection, name=name, holder=holder, lasts=round(seconds * SECOND))
    return term


def give_up_lease(connection: Any, name: str, holder: str) -> None:
    """Let another take it at once."""
    _queries.give_up_lease(connection, name=name, holder=holder)


def grant_permit(connection: Any, process_id: str, holder: str, term: int, lease: str) -> Permit | None:
    """Let a worker make facts of what this holder of the lease gives it; None where the holder doesn't have the lease.

    It replaces the permit that the worker had.
    """
    permit = Permit(name=PERMITS + process_id, holder=holder, term=term)
    granted = _queries.grant_permit(connection, name=permit.name, holder=holder, term=term, lease=lease)
    return None if granted is None else permit


def revoke_permit(connection: Any, permit: Permit) -> None:
    """Let no transaction that begins from now on rely on it."""
    _queries.revoke_permit(connection, **asdict(permit))


def revoke_permits(connection: Any, holder: str, lease: str) -> None:
    """Revoke the holder's own and, where it has the lease, those of all leaders before."""
    _queries.revoke_permits(connection, begin=PERMITS, holder=holder, lease=lease)


def standing(connection: Any, lease: str, holder: str) -> tuple[int, bool]:
    """The number of the newest wake of `MEMORY`, and whether the lease is this holder's, and not expired."""
    number, holds = _queries.standing(connection, memory=MEMORY, name=lease, holder=holder)
    return number, bool(holds)


def wake(connection: Any, names: Collection[str]) -> None:
    """Wake those of all processes who wait under these names, in a transaction, with its commit."""
    _queries.wake(connection, names=json.dumps(sorted(names)))


def is_permitted(connection: Any, permit: Permit, lease: str) -> bool:
    """Whether a permit is in force: it was not taken back, and whoever gave it has the lease, not expired."""
    return bool(_queries.is_permitted(connection, **asdict(permit), lease=lease))


def number_of(connection: Any, name: str) -> int:
    """The number of the newest wake under a name; 0 before the first."""
    found: int = _queries.number_of(connection, name=name)
    return found


def woken_after(connection: Any, number: int) -> Mapping[str, int]:
    """The names of newer wakes, with the newest number of each."""
    return dict(_queries.woken_after(connection, number=number))


def take_turn(connection: Any, name: str) -> bool:
    """Hold a name until `give_up_turn`, or the end of the connection; whether no other connection does.

    On PostgreSQL only.
    """
    taken: bool = connection.take_turn(name)
    return taken


def give_up_turn(connection: Any, name: str) -> None:
    """Let others hold it."""
    connection.give_up_turn(name)
