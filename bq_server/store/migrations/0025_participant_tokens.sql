-- What signs the tokens with which participants read what is theirs. The newest of an environment signs; the others are
-- recognized until they end.
CREATE TABLE token_secrets (
    secret_id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    -- Lower-case hex.
    secret TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ends_at INTEGER
) WITHOUT ROWID;
-- Who has tokens. They name the series they are of: with its row, all of them end.
CREATE TABLE token_series (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    participant_id TEXT NOT NULL,
    series TEXT NOT NULL,
    PRIMARY KEY (project, environment, participant_id)
) WITHOUT ROWID;
