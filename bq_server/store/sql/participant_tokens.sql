-- name: secrets()
SELECT secret_id, project, environment, secret, created_at, ends_at FROM token_secrets ORDER BY created_at, secret_id;

-- name: add_secret(secret_id, project, environment, secret, created_at)!
INSERT INTO token_secrets (secret_id, project, environment, secret, created_at)
VALUES (:secret_id, :project, :environment, :secret, :created_at);

-- name: end_secrets(project, environment, ends_at)!
-- One that ends sooner keeps its end.
UPDATE token_secrets SET ends_at = :ends_at
WHERE project = :project AND environment = :environment AND coalesce(ends_at, :ends_at) >= :ends_at;

-- name: remove_ended_secrets(now)!
DELETE FROM token_secrets WHERE ends_at <= :now;

-- name: series(project, environment, participant_id)$
SELECT series FROM token_series
WHERE project = :project AND environment = :environment AND participant_id = :participant_id;

-- name: add_series(project, environment, participant_id, series)!
INSERT INTO token_series (project, environment, participant_id, series)
VALUES (:project, :environment, :participant_id, :series) ON CONFLICT DO NOTHING;

-- name: remove_series(project, environment, participant_id)!
DELETE FROM token_series
WHERE project = :project AND environment = :environment AND participant_id = :participant_id;
