-- name: of(project, environment)
SELECT event_type FROM feed_wishes WHERE project = :project AND environment = :environment;

-- name: untils(project, environment)
SELECT event_type, until FROM feed_wishes WHERE project = :project AND environment = :environment;

-- name: put(project, environment, event_type, until)!
INSERT INTO feed_wishes (project, environment, event_type, until)
VALUES (:project, :environment, :event_type, :until)
ON CONFLICT (project, environment, event_type) DO UPDATE SET until = excluded.until;

-- name: remove_old(now)!
DELETE FROM feed_wishes WHERE until < :now;
