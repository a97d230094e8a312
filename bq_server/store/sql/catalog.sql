-- name: add_event_names(project, environment, event_name, first_seen_at, last_seen_at, count)*!
INSERT INTO event_names (project, environment, event_name, first_seen_at, last_seen_at, count)
VALUES (:project, :environment, :event_name, :first_seen_at, :last_seen_at, :count)
ON CONFLICT (project, environment, event_name) DO UPDATE SET
    first_seen_at = min(event_names.first_seen_at, excluded.first_seen_at),
    last_seen_at = max(event_names.last_seen_at, excluded.last_seen_at),
    count = event_names.count + excluded.count;

-- name: add_event_properties(project, environment, event_name, property, json_type, count, most)*!
-- A property new to its event is left out once the event has :most of them: keys made of data are no schema.
INSERT INTO event_properties (project, environment, event_name, property, json_type, count)
SELECT :project, :environment, :event_name, :property, :json_type, :count
WHERE (
    SELECT count(*) FROM event_properties
    WHERE project = :project AND environment = :environment AND event_name = :event_name
) < :most OR EXISTS (
    SELECT 1 FROM event_properties
    WHERE project = :project AND environment = :environment AND event_name = :event_name
        AND property = :property AND json_type = :json_type
)
ON CONFLICT (project, environment, event_name, property, json_type) DO UPDATE SET
    count = event_properties.count + excluded.count;

-- name: event_names(project, environment)
SELECT event_name, first_seen_at, last_seen_at, count FROM event_names
WHERE project = :project AND environment = :environment
ORDER BY event_name;

-- name: event_properties(project, environment, event_name)
SELECT event_name, property, json_type, count FROM event_properties
WHERE project = :project AND environment = :environment
    AND (:event_name IS NULL OR event_name = :event_name)
ORDER BY event_name, property, count DESC, json_type;
