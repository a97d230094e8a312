-- What the feed tells beside facts: dead letters, other games, an environment that was emptied.
CREATE TABLE notices (
    notice INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    -- The seq given last when it was written: the notice comes after that fact and before the next.
    after_seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    -- What is noted once, however often it is tried; NULL for what happens anew each time.
    cause TEXT UNIQUE,
    participant_id TEXT,
    event_name TEXT,
    -- By the clock of the environment.
    noted_at INTEGER NOT NULL,
    -- A JSON object.
    data TEXT NOT NULL
);
CREATE INDEX notices_by_scope ON notices (project, environment, notice);
