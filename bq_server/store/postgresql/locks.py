"""The advisory locks of a store, each of a number of ours and of the store's or another name.

They are taken in this order: the gate, partitions, new names, the end of a transaction.
"""

_STORE = "hashtext(current_schema())"
"""Tells stores of one database apart."""

TAKE = f"SELECT pg_try_advisory_lock(25202, {_STORE})"
TAKE_SHARED = f"SELECT pg_try_advisory_lock_shared(25202, {_STORE})"
FREE = f"""SELECT NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = 25202 AND objid = {_STORE}::bigint & 4294967295 AND pid <> pg_backend_pid()
)"""  # noqa: S608 - our own numbers

_TURN = "hashtext(current_schema() || '/' || ?::text)"
TAKE_TURN, GIVE_UP_TURN = f"SELECT pg_try_advisory_lock(25203, {_TURN})", f"SELECT pg_advisory_unlock(25203, {_TURN})"

# With a stricter isolation, which may be the database's default, a transaction that waited for another would not see
# what that one has written meanwhile.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
BEGIN_ALONE = f"{_BEGIN}; SELECT pg_advisory_xact_lock(25201, {_STORE})"
"""As in SQLite, one transaction writes at a time; a second one waits here."""
BEGIN_BESIDE = f"{_BEGIN}; SELECT pg_advisory_xact_lock_shared(25201, {_STORE})"
"""Beside others that begin so too, of other partitions."""

HOLD_PARTITIONS = """SELECT pg_advisory_xact_lock(25204, own.number) FROM (
    SELECT DISTINCT hashtext(current_schema() || '/' || value) AS number
    FROM json_array_elements_text(?::json) ORDER BY number
) AS own"""
"""In one order, so that no two wait for each other."""

HOLD_NAMES = f"SELECT pg_advisory_xact_lock(25207, {_STORE})"
"""Of two transactions that add the same names in different orders each would wait for the other."""

HOLD_END = f"SELECT pg_advisory_xact_lock(25205, {_STORE})"
"""What transactions beside each other all write, each writes last, in turn."""

COUNT_COMMIT = """UPDATE last_given SET seq = seq + 1 WHERE name = 'commits' RETURNING seq + newest_seq()"""

RESERVE_SEQS = "SELECT reserve_seqs(?::bigint)"

PAUSE_SECONDS = 8.0
"""Longest pause in a transaction of a process that shares the store: all others wait for its end."""

SHARE = f"""SET idle_in_transaction_session_timeout = {round(PAUSE_SECONDS * 1000)};
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3"""
"""A machine that is gone must not hold a lock, either."""
