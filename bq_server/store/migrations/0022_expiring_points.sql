-- Who has points that expire, and when the first of them do, by the clock of the environment; 0 where that is still to
-- be found out.
CREATE TABLE expiring_points (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    participant_id TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (project, environment, participant_id)
) WITHOUT ROWID;
CREATE INDEX expiring_points_due ON expiring_points (project, environment, due_at);
