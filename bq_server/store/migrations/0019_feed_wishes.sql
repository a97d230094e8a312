-- Whoever tells of a dead letter does so once, so that notices need no cause.
CREATE TABLE new_notices (
    notice INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    -- The seq given last when it was written: the notice comes after that fact and before the next.
    after_seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    participant_id TEXT,
    event_name TEXT,
    -- By the clock of the environment.
    noted_at INTEGER NOT NULL,
    -- A JSON object.
    data TEXT NOT NULL
);
INSERT INTO new_notices (notice, project, environment, after_seq, kind, participant_id, event_name, noted_at, data)
SELECT notice, project, environment, after_seq, kind, participant_id, event_name, noted_at, data FROM notices;
-- A notice that was removed leaves its number behind: positions of feeds count on it.
DELETE FROM sqlite_sequence WHERE name = 'new_notices';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_notices', seq FROM sqlite_sequence WHERE name = 'notices';
DROP TABLE notices;
ALTER TABLE new_notices RENAME TO notices;
CREATE INDEX notices_by_scope ON notices (project, environment, notice);
-- Those of which only the newest are kept. What a recomputed definition caused is kept for ever, as facts are.
CREATE INDEX notices_bounded ON notices (project, environment, notice) WHERE kind <> 'effects.recomputed';

-- What open feeds have asked to be told that is worked out only for who asks.
CREATE TABLE feed_wishes (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    event_type TEXT NOT NULL,
    -- By the server's clock: a feed that is open puts it off.
    until INTEGER NOT NULL,
    PRIMARY KEY (project, environment, event_type)
) WITHOUT ROWID;
