-- When the contests of games end, by the clocks of their environments, and when their results were frozen.
CREATE TABLE contest_ends (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    contest_code TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    frozen_at INTEGER,
    -- How many had a place when it was frozen.
    entries INTEGER,
    PRIMARY KEY (project, environment, contest_code)
) WITHOUT ROWID;
-- Places of frozen results of which no fact tells yet.
CREATE TABLE contest_places (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    contest_code TEXT NOT NULL,
    place INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    score NUMERIC NOT NULL,
    reached_at INTEGER NOT NULL,
    PRIMARY KEY (project, environment, contest_code, place)
) WITHOUT ROWID;
