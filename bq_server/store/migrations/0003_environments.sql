-- What is particular to an environment; one without a row has never been reset and reads the real clock.

CREATE TABLE environments (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    -- How often it was emptied. Claims on idempotency keys carry it, so that those from before hold no more.
    resets INTEGER NOT NULL DEFAULT 0,
    -- Its own clock, if it has one: whether it stands still, and the moment or the distance from the real clock.
    clock_frozen INTEGER,
    clock_at INTEGER,
    PRIMARY KEY (project, environment)
);
