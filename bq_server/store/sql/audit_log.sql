-- name: add_entry(at, project, environment, action, key_id, command, address, request_id, about)!
INSERT INTO audit_log (at, project, environment, action, key_id, command, address, request_id, about)
VALUES (:at, :project, :environment, :action, :key_id, :command, :address, :request_id, :about);

-- name: newest_position()$
SELECT coalesce(max(position), 0) FROM audit_log;

-- name: entries(action, key_id, since, until, before, limit)
SELECT position, at, project, environment, action, key_id, command, address, request_id, about FROM audit_log
WHERE position < :before AND at >= :since AND at < :until
    AND (CAST(:action AS TEXT) IS NULL OR action = :action) AND (CAST(:key_id AS TEXT) IS NULL OR key_id = :key_id)
ORDER BY position DESC
LIMIT :limit;

-- name: entries_of(project, environment, action, key_id, since, until, before, limit)
-- Of an environment, and of what concerns all.
SELECT position, at, project, environment, action, key_id, command, address, request_id, about FROM audit_log
WHERE position < :before AND at >= :since AND at < :until
    AND (project IS NULL OR (project = :project AND environment = :environment))
    AND (CAST(:action AS TEXT) IS NULL OR action = :action) AND (CAST(:key_id AS TEXT) IS NULL OR key_id = :key_id)
ORDER BY position DESC
LIMIT :limit;

-- name: commands_after(position)
-- What commands did since, the oldest first.
SELECT position, at, project, environment, action, key_id, command, address, request_id, about FROM audit_log
WHERE position > :position AND command IS NOT NULL
ORDER BY position
LIMIT 100;
