-- name: add_scope(project, environment)!
INSERT INTO scopes (project, environment) VALUES (:project, :environment) ON CONFLICT DO NOTHING;

-- name: scope(project, environment)$
SELECT scope FROM scopes WHERE project = :project AND environment = :environment;

-- name: add_fact_type(scope, fact_type, event_name)!
INSERT INTO fact_types (scope, fact_type, event_name) VALUES (:scope, :fact_type, :event_name) ON CONFLICT DO NOTHING;

-- name: fact_type(scope, fact_type)$
SELECT type FROM fact_types WHERE scope = :scope AND fact_type = :fact_type;

-- name: add_ranking(scope, board, time_window, period)!
INSERT INTO rankings (scope, board, time_window, period) VALUES (:scope, :board, :time_window, :period)
ON CONFLICT DO NOTHING;

-- name: ranking(scope, board, time_window, period)$
SELECT ranking FROM rankings
WHERE scope = :scope AND board = :board AND time_window = :time_window AND period = :period;
