-- name: watch(project, environment, participant_id, due_at)*!
INSERT INTO expiring_points (project, environment, participant_id, due_at)
VALUES (:project, :environment, :participant_id, :due_at)
ON CONFLICT (project, environment, participant_id) DO UPDATE SET
    due_at = min(excluded.due_at, expiring_points.due_at);

-- name: watch_everyone(project, environment)!
INSERT INTO expiring_points (project, environment, participant_id, due_at)
SELECT scopes.project, scopes.environment, participants.participant_id, 0
FROM scopes JOIN participants ON participants.scope = scopes.scope
WHERE scopes.project = :project AND scopes.environment = :environment AND participants.participant_id <> ''
ON CONFLICT (project, environment, participant_id) DO UPDATE SET due_at = 0;

-- name: due(project, environment, now, limit)
SELECT participant_id FROM expiring_points
WHERE project = :project AND environment = :environment AND due_at <= :now ORDER BY due_at LIMIT :limit;

-- name: next_due(project, environment)$
SELECT min(due_at) FROM expiring_points WHERE project = :project AND environment = :environment;

-- name: remove(project, environment, participant_id)!
DELETE FROM expiring_points
WHERE project = :project AND environment = :environment AND participant_id = :participant_id;

-- name: scopes()
SELECT DISTINCT project, environment FROM expiring_points;
