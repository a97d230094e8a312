-- Of several processes that serve from one store; all of it is empty where one serves alone.
-- The processes, each as it was last heard of.
CREATE TABLE processes (
    process_id TEXT NOT NULL PRIMARY KEY,
    -- Its host and its data directory. One that starts there comes after one that ended there.
    place TEXT NOT NULL,
    role TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    -- The number in `wakes` of the newest change of what processes keep in memory that it knows.
    knows INTEGER NOT NULL,
    heard_at INTEGER NOT NULL
) WITHOUT ROWID;
-- Who does what only one process at a time may do, and until when, by the database's clock.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    -- When the holder got it: later than for every holder before.
    term INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
-- Links to the console and sessions of it, by the SHA-256 of their secrets.
CREATE TABLE console_sessions (
    secret_hash TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    key_id TEXT NOT NULL,
    lasts INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
) WITHOUT ROWID;
-- Whom a commit woke, with the number of the newest such commit.
CREATE TABLE wakes (
    name TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;
