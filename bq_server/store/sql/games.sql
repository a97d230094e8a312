-- name: game(project, environment)^
SELECT version, document, applied_at FROM games WHERE project = :project AND environment = :environment;

-- name: version(project, environment)$
SELECT version FROM games WHERE project = :project AND environment = :environment;

-- name: put_game(project, environment, document, applied_at)!
INSERT INTO games (project, environment, version, document, applied_at)
VALUES (:project, :environment, 1, :document, :applied_at)
ON CONFLICT (project, environment) DO UPDATE SET
    version = games.version + 1,
    document = excluded.document,
    applied_at = excluded.applied_at;

-- name: bump_version(project, environment)!
UPDATE games SET version = version + 1 WHERE project = :project AND environment = :environment;

-- name: definitions(project, environment)
SELECT definition, applied_seq FROM definitions WHERE project = :project AND environment = :environment;

-- name: put_definitions(project, environment, definition, applied_seq)*!
INSERT INTO definitions (project, environment, definition, applied_seq)
VALUES (:project, :environment, :definition, :applied_seq)
ON CONFLICT (project, environment, definition) DO UPDATE SET applied_seq = excluded.applied_seq;

-- name: add_refold(refold_id, project, environment, definitions, until_seq, total, started_at)!
INSERT INTO refolds (
    refold_id, project, environment, definitions, until_seq, after_participant, done, total, started_at
) VALUES (:refold_id, :project, :environment, :definitions, :until_seq, '', 0, :total, :started_at);

-- name: refolds_of(project, environment)
-- Those under way, and the newest that ended; the newest first.
SELECT * FROM refolds WHERE project = :project AND environment = :environment
ORDER BY finished_at IS NOT NULL, started_at DESC LIMIT 20;

-- name: open_refolds()
SELECT * FROM refolds WHERE finished_at IS NULL ORDER BY started_at;

-- name: advance_refold(refold_id, after_participant, done)!
UPDATE refolds SET after_participant = :after_participant, done = done + :done WHERE refold_id = :refold_id;

-- name: finish_refold(refold_id, finished_at)!
UPDATE refolds SET finished_at = :finished_at, total = done WHERE refold_id = :refold_id;

-- name: add_warnings(project, environment, definition, message, count, fact_id, last_at, most)*!
-- A message new to its definition is left out once there are :most of them: messages made of data are no news.
INSERT INTO game_warnings (project, environment, definition, message, count, fact_id, last_at)
SELECT :project, :environment, :definition, :message, :count, :fact_id, :last_at
WHERE (
    SELECT count(*) FROM game_warnings
    WHERE project = :project AND environment = :environment AND definition = :definition
) < :most OR EXISTS (
    SELECT 1 FROM game_warnings
    WHERE project = :project AND environment = :environment AND definition = :definition AND message = :message
)
ON CONFLICT (project, environment, definition, message) DO UPDATE SET
    count = game_warnings.count + excluded.count,
    fact_id = excluded.fact_id,
    last_at = excluded.last_at;

-- name: warnings(project, environment)
SELECT definition, message, count, fact_id, last_at FROM game_warnings
WHERE project = :project AND environment = :environment
ORDER BY definition, count DESC, message;

-- name: remove_warnings(project, environment, definition)*!
DELETE FROM game_warnings WHERE project = :project AND environment = :environment AND definition = :definition;
