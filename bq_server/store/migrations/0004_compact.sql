-- Texts that every row repeated become small integers. The tables of before stay under other names until what they
-- hold has been carried over, in portions (`conversion.py`); the next migration drops them.
ALTER TABLE facts RENAME TO old_facts;
ALTER TABLE duplicates RENAME TO old_duplicates;
ALTER TABLE participants RENAME TO old_participants;
ALTER TABLE cells RENAME TO old_cells;
ALTER TABLE ledger RENAME TO old_ledger;
ALTER TABLE standings RENAME TO old_standings;
ALTER TABLE fact_effects RENAME TO old_effects;

-- How far that has come: of each step the key of the last row carried, as JSON, and how many there were.
CREATE TABLE carried_over (
    step TEXT PRIMARY KEY,
    after TEXT NOT NULL,
    done INTEGER NOT NULL
) WITHOUT ROWID;

-- A project and an environment.
CREATE TABLE scopes (
    scope INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    UNIQUE (project, environment)
);

-- What facts of an environment can be.
CREATE TABLE fact_types (
    type INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    fact_type TEXT NOT NULL,
    event_name TEXT NOT NULL,
    UNIQUE (scope, fact_type)
);

CREATE TABLE participants (
    participant INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    participant_id TEXT NOT NULL,
    display_name TEXT,
    avatar_url TEXT,
    attributes TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    -- Nobody counted so far: not known to the API, though rows of others may name the participant.
    known INTEGER NOT NULL DEFAULT 1,
    total_events INTEGER NOT NULL DEFAULT 0,
    -- What the facts have led to, as one JSON object: the cells that the game names and, under `scores`, the newest
    -- period of each window of each leaderboard. See `store/state.py`.
    state TEXT NOT NULL DEFAULT '{}',
    UNIQUE (scope, participant_id)
);

-- Cells of which a participant may have any number, each read only by a fact that names it.
CREATE TABLE cells (
    participant INTEGER NOT NULL,
    cell TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (participant, cell)
) WITHOUT ROWID;

CREATE TABLE facts (
    -- The order in which facts were made; breaks ties between facts of one moment. Never used twice.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- 16 bytes of an id of ours; of any other its text. A redelivered message carries the event id it was accepted
    -- with: this key makes its effect happen once.
    event_id BLOB NOT NULL UNIQUE,
    -- NULL where the fact's id is the event's with another prefix.
    fact_id BLOB,
    scope INTEGER NOT NULL,
    type INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    processed_at INTEGER NOT NULL,
    message_id TEXT,
    idempotency_key TEXT,
    fingerprint BLOB,
    properties TEXT NOT NULL,
    -- NULL for none.
    warnings TEXT,
    -- What the fact caused when it was processed, as `game.effects.pack` writes it; NULL for nothing.
    effects TEXT
);
CREATE UNIQUE INDEX facts_by_own_id ON facts (fact_id) WHERE fact_id IS NOT NULL;
CREATE UNIQUE INDEX facts_by_key ON facts (scope, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX facts_by_message_id ON facts (message_id) WHERE message_id IS NOT NULL;
-- An index ends with the seq, so that the newest of an environment are found without sorting.
CREATE INDEX facts_by_scope ON facts (scope, seq);
CREATE INDEX facts_of_type ON facts (type, seq);
CREATE INDEX facts_of_participant ON facts (participant, occurred_at, seq, type);

-- Facts with the texts that their integers stand for.
CREATE VIEW fact_rows AS
SELECT
    facts.seq, facts.fact_id, facts.event_id, facts.message_id, scopes.project, scopes.environment,
    fact_types.fact_type, fact_types.event_name, participants.participant_id, facts.properties, facts.occurred_at,
    facts.received_at, facts.processed_at, facts.idempotency_key, facts.fingerprint, facts.warnings,
    facts.scope, facts.type, facts.participant
FROM facts
JOIN scopes ON scopes.scope = facts.scope
JOIN fact_types ON fact_types.type = facts.type
JOIN participants ON participants.participant = facts.participant;

-- Messages that turned out to repeat a fact under its idempotency key, so that their sender can be told.
CREATE TABLE duplicates (
    scope INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    fact INTEGER NOT NULL,
    PRIMARY KEY (scope, message_id)
) WITHOUT ROWID;

-- Append-only. The number counts a participant's entries; the cause makes one unique, so that nothing is paid twice.
CREATE TABLE ledger (
    participant INTEGER NOT NULL,
    number INTEGER NOT NULL,
    transaction_id BLOB NOT NULL,
    -- Ends with a slash where the id of the fact follows.
    cause TEXT NOT NULL,
    fact INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (participant, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX ledger_by_fact ON ledger (participant, fact, cause);
CREATE UNIQUE INDEX ledger_by_step ON ledger (participant, cause) WHERE substr(cause, -1) <> '/';

-- One period of one window of a leaderboard, or of a challenge: leaderboard/<code> or challenge/<code>.
CREATE TABLE rankings (
    ranking INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    board TEXT NOT NULL,
    time_window TEXT NOT NULL,
    period TEXT NOT NULL,
    UNIQUE (scope, board, time_window, period)
);

CREATE TABLE standings (
    ranking INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    score NUMERIC NOT NULL,
    reached_at INTEGER NOT NULL,
    -- The score in the rule's own unit, where `score` is not exactly that.
    exact TEXT,
    PRIMARY KEY (ranking, participant)
) WITHOUT ROWID;
CREATE INDEX standings_by_place ON standings (ranking, score DESC, reached_at);
