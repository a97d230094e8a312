"""Transactions that go on beside each other, on PostgreSQL: each of its own partitions of the participants."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from bq_server.store import sqlite


class Permit(Struct, frozen=True):
    """That the worker which leads has given another one work: a row among the leases until it takes it back."""

    name: str
    """Of the lease."""
    holder: str
    """The process that leads."""
    term: int


class Beside(Struct, frozen=True):
    """What a transaction beside others is allowed."""

    partitions: Sequence[int]
    """Those of all participants about whom it reads or writes anything."""
    permit: Permit | None
    """None for the worker that leads."""


def at_the_end(connection: Any, work: Callable[[], object]) -> None:
    """Call a function that writes rows which all transactions write: last, where others go on beside this one.

    On the writing connection's thread, in a transaction.
    """
    if isinstance(connection, sqlite.Connection):
        work()
    else:
        connection.at_the_end(work)


def hold_names(connection: Any) -> None:
    """Let no transaction beside this one give numbers to new names until this one ends; two might wait for each other.

    On the writing connection's thread, in a transaction.
    """
    if not isinstance(connection, sqlite.Connection):
        connection.hold_names()
