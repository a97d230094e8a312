-- Participants who were erased, without a name: until their remains are cleaned up, and for ever after.
CREATE TABLE erasures (
    erasure INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    erased_at INTEGER NOT NULL,
    -- How many facts have lost their participant.
    facts INTEGER NOT NULL,
    -- When the files held nothing of it any more; NULL while they may.
    cleaned_at INTEGER
);
