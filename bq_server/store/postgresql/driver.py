"""The driver as the store wants it: connections with the settings that it relies on."""

from typing import Any

import asyncpg

from bq_server.store.postgresql.password_file import password_of

CONNECT_SECONDS = 3.0

ANSWER_SECONDS = 30.0
"""Longest wait for the result of a statement: a stuck server must not hold a thread for ever."""


async def connected(url: str, patience: float) -> Any:
    """A connection of asyncpg, which waits `patience` seconds for other writers. Raises what asyncpg raises."""
    connection: Any = await asyncpg.connect(  # type: ignore[no-untyped-call]
        url,
        password=password_of(url),
        timeout=CONNECT_SECONDS,
        command_timeout=ANSWER_SECONDS,
        statement_cache_size=0,
    )
    try:
        # A score is an integer if it can be, as in SQLite.
        await connection.set_type_codec("numeric", schema="pg_catalog", encoder=repr, decoder=_number, format="text")
        # What was committed must be there after a crash, whatever the server's own setting.
        await connection.execute(
            f"SET lock_timeout = {round(patience * 1000)};"
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        )
    except BaseException:
        connection.terminate()
        raise
    return connection


def _number(text: str) -> int | float:
    value = float(text)
    return int(text.partition(".")[0]) if value.is_integer() and abs(value) < 2**63 else value
