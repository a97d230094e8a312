-- The game of an environment, what is known of its participants, and everything that follows from facts.

CREATE TABLE games (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    -- Grows with every change of what facts mean: an apply, or the end of a refold.
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    PRIMARY KEY (project, environment)
);

CREATE TABLE definitions (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    -- <kind>/<code>
    definition TEXT NOT NULL,
    -- It counts the facts after this one.
    applied_seq INTEGER NOT NULL,
    PRIMARY KEY (project, environment, definition)
);

-- Recomputing definitions for every participant, in the order of their ids; finished when finished_at is set.
CREATE TABLE refolds (
    refold_id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    definitions TEXT NOT NULL,
    -- The newest fact there was when it began: later ones have been looked at when they came.
    until_seq INTEGER NOT NULL,
    after_participant TEXT NOT NULL,
    done INTEGER NOT NULL,
    total INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER
);
CREATE INDEX refolds_by_environment ON refolds (project, environment, started_at);

CREATE TABLE game_warnings (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    definition TEXT NOT NULL,
    message TEXT NOT NULL,
    count INTEGER NOT NULL,
    fact_id TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (project, environment, definition, message)
);

CREATE TABLE participants (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    participant_id TEXT NOT NULL,
    display_name TEXT,
    avatar_url TEXT,
    attributes TEXT NOT NULL DEFAULT '{}',
    total_events INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project, environment, participant_id)
);

-- A participant's state, in cells that the game names; see docs/game.md.
CREATE TABLE cells (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    participant_id TEXT NOT NULL,
    cell TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (project, environment, participant_id, cell)
) WITHOUT ROWID;

-- Append-only. An entry is unique by its cause, so that nothing is paid twice.
CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id TEXT NOT NULL,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    participant_id TEXT NOT NULL,
    cause TEXT NOT NULL,
    amount INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    fact_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX ledger_by_cause ON ledger (project, environment, participant_id, cause);
CREATE INDEX ledger_by_participant ON ledger (project, environment, participant_id, entry);

CREATE TABLE standings (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    -- leaderboard/<code> or challenge/<code>
    board TEXT NOT NULL,
    time_window TEXT NOT NULL,
    period TEXT NOT NULL,
    participant_id TEXT NOT NULL,
    score NUMERIC NOT NULL,
    reached_at INTEGER NOT NULL,
    PRIMARY KEY (project, environment, board, time_window, period, participant_id)
) WITHOUT ROWID;
CREATE INDEX standings_by_score
ON standings (project, environment, board, time_window, period, score DESC, reached_at, participant_id);

-- What a fact caused when it was processed; a fact that caused nothing has no row.
CREATE TABLE fact_effects (
    fact_id TEXT PRIMARY KEY,
    effects TEXT NOT NULL
) WITHOUT ROWID;
