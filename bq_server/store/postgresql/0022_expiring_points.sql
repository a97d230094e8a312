CREATE TABLE expiring_points (
    project TEXT COLLATE "C" NOT NULL,
    environment TEXT COLLATE "C" NOT NULL,
    participant_id TEXT COLLATE "C" NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (project, environment, participant_id)
);
CREATE INDEX expiring_points_due ON expiring_points (project, environment, due_at);
