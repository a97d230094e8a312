CREATE TABLE processes (
    process_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    place TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    knows BIGINT NOT NULL,
    heard_at BIGINT NOT NULL
);
CREATE TABLE leases (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    term BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE TABLE console_sessions (
    secret_hash TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    lasts BIGINT NOT NULL,
    ends_at BIGINT NOT NULL
);
CREATE TABLE wakes (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);
