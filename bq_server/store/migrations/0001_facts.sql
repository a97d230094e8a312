-- Moments are integers: microseconds since 1970-01-01T00:00:00Z. JSON is text.

CREATE TABLE facts (
    -- The order in which facts were made; breaks ties between facts of one moment. Never used twice.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    fact_id TEXT NOT NULL UNIQUE,
    -- A redelivered message carries the event id it was accepted with: this key makes its effect happen once.
    event_id TEXT NOT NULL UNIQUE,
    message_id TEXT,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    fact_type TEXT NOT NULL,
    event_name TEXT NOT NULL,
    participant_id TEXT NOT NULL,
    properties TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    processed_at INTEGER NOT NULL,
    idempotency_key TEXT,
    fingerprint TEXT,
    warnings TEXT NOT NULL
);
CREATE UNIQUE INDEX facts_by_idempotency_key ON facts (project, environment, idempotency_key)
WHERE idempotency_key IS NOT NULL;
CREATE INDEX facts_by_message ON facts (message_id) WHERE message_id IS NOT NULL;
-- An index ends with the seq, so that the newest of an environment are found without sorting.
CREATE INDEX facts_by_environment ON facts (project, environment, seq);
CREATE INDEX facts_by_type ON facts (project, environment, fact_type, seq);
CREATE INDEX facts_by_participant ON facts (project, environment, participant_id, occurred_at, seq, fact_type);

-- Messages that turned out to repeat a fact under its idempotency key, so that their sender can be told.
CREATE TABLE duplicates (
    message_id TEXT NOT NULL,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    fact_id TEXT NOT NULL,
    PRIMARY KEY (project, environment, message_id)
);

CREATE TABLE event_names (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    event_name TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (project, environment, event_name)
);

CREATE TABLE event_properties (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    event_name TEXT NOT NULL,
    property TEXT NOT NULL,
    json_type TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (project, environment, event_name, property, json_type)
);

-- A key itself is never stored, only its SHA-256 as lower-case hex.
CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    sha256 TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
);

-- One row: which installation these facts belong to. The stream remembers the same id (see Stream ownership).
CREATE TABLE installation (
    installation_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
);
