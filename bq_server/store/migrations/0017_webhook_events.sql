-- Down to which rank an endpoint is told of leaderboards.
ALTER TABLE webhook_endpoints ADD COLUMN top_ranks INTEGER NOT NULL DEFAULT 10;
-- Whether requests also carry the headers of the vendor's webhooks.
ALTER TABLE webhook_endpoints ADD COLUMN vendor_headers INTEGER NOT NULL DEFAULT 0;

-- Streaks whose end some endpoint is to be told of.
CREATE TABLE watched_streaks (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    participant_id TEXT NOT NULL,
    code TEXT NOT NULL,
    longest INTEGER NOT NULL,
    -- The fact that gave it this length, and its event time.
    fact_id TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    -- When it breaks unless it goes on, by the clock of the environment; 0 where that is still to be found out.
    breaks_at INTEGER NOT NULL DEFAULT 0,
    -- Whether its end was told, because the next event came just after it.
    told INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (project, environment, participant_id, code)
) WITHOUT ROWID;
CREATE INDEX watched_streaks_due ON watched_streaks (project, environment, breaks_at);

-- Messages that are about to become dead letters, of which endpoints are told once they are.
CREATE TABLE dying_messages (
    message_id TEXT PRIMARY KEY,
    died_at INTEGER NOT NULL
) WITHOUT ROWID;
