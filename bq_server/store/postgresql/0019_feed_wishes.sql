ALTER TABLE notices DROP COLUMN cause;
CREATE INDEX notices_bounded ON notices (project, environment, notice) WHERE kind <> 'effects.recomputed';

CREATE TABLE feed_wishes (
    project TEXT COLLATE "C" NOT NULL,
    environment TEXT COLLATE "C" NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (project, environment, event_type)
);
