-- name: totals(project, environment)^
SELECT names, properties, events_left_out, properties_left_out FROM catalog_totals
WHERE project = :project AND environment = :environment;

-- name: put_totals(project, environment, names, properties, events_left_out, properties_left_out)!
INSERT INTO catalog_totals (project, environment, names, properties, events_left_out, properties_left_out)
VALUES (:project, :environment, :names, :properties, :events_left_out, :properties_left_out)
ON CONFLICT (project, environment) DO UPDATE SET
    names = excluded.names,
    properties = excluded.properties,
    events_left_out = excluded.events_left_out,
    properties_left_out = excluded.properties_left_out;

-- name: left_out()
SELECT project, environment, names, properties, events_left_out, properties_left_out FROM catalog_totals
WHERE events_left_out > 0 OR properties_left_out > 0
ORDER BY project, environment;

-- name: count_names(project, environment, event_name, first_seen_at, last_seen_at, count)*!
UPDATE event_names SET
    first_seen_at = min(first_seen_at, :first_seen_at),
    last_seen_at = max(last_seen_at, :last_seen_at),
    count = count + :count
WHERE project = :project AND environment = :environment AND event_name = :event_name;

-- name: knows_name(project, environment, event_name)$
SELECT 1 FROM event_names
WHERE project = :project AND environment = :environment AND event_name = :event_name;

-- name: knows_property(project, environment, event_name, property, json_type)$
SELECT 1 FROM event_properties
WHERE project = :project AND environment = :environment AND event_name = :event_name
    AND property = :property AND json_type = :json_type;

-- name: add_name(project, environment, event_name, first_seen_at, last_seen_at, count)!
INSERT INTO event_names (project, environment, event_name, first_seen_at, last_seen_at, count)
VALUES (:project, :environment, :event_name, :first_seen_at, :last_seen_at, :count);

-- name: count_properties(project, environment, event_name, property, json_type, count)*!
UPDATE event_properties SET count = count + :count
WHERE project = :project AND environment = :environment AND event_name = :event_name
    AND property = :property AND json_type = :json_type;

-- name: properties_of(project, environment, event_name)$
SELECT count(*) FROM event_properties
WHERE project = :project AND environment = :environment AND event_name = :event_name;

-- name: add_property(project, environment, event_name, property, json_type, count)!
INSERT INTO event_properties (project, environment, event_name, property, json_type, count)
VALUES (:project, :environment, :event_name, :property, :json_type, :count);

-- name: names_after(project, environment, after, limit)
SELECT event_name, first_seen_at, last_seen_at, count FROM event_names
WHERE project = :project AND environment = :environment AND event_name > :after
ORDER BY event_name
LIMIT :limit;

-- name: name_of(project, environment, event_name)^
SELECT event_name, first_seen_at, last_seen_at, count FROM event_names
WHERE project = :project AND environment = :environment AND event_name = :event_name;

-- name: properties_between(project, environment, first, last, limit)
SELECT event_name, property, json_type, count FROM event_properties
WHERE project = :project AND environment = :environment AND event_name BETWEEN :first AND :last
ORDER BY event_name, property, count DESC, json_type
LIMIT :limit;

-- name: not_indexed(limit)
SELECT project, environment, event_name FROM event_names WHERE plain IS NULL LIMIT :limit;

-- name: index_name(project, environment, event_name, plain, form)*!
UPDATE event_names SET plain = :plain, form = :form
WHERE project = :project AND environment = :environment AND event_name = :event_name;

-- name: add_form(project, environment, variant, form)*!
INSERT INTO event_forms (project, environment, variant, form)
VALUES (:project, :environment, :variant, :form)
ON CONFLICT DO NOTHING;

-- name: alike(project, environment, plain, limit)
SELECT event_name, plain, count FROM event_names
WHERE project = :project AND environment = :environment AND plain = :plain
LIMIT :limit;

-- name: forms_sharing(project, environment, variants, form, limit)
-- A cross join keeps its order: SQLite would look through all forms of the environment for each few variants.
SELECT DISTINCT event_forms.form FROM json_each(:variants) AS wanted CROSS JOIN event_forms
WHERE event_forms.project = :project AND event_forms.environment = :environment
    AND event_forms.variant = wanted.value AND event_forms.form <> :form
LIMIT :limit;

-- name: of_form(project, environment, form, limit)
SELECT event_name, plain, count FROM event_names
WHERE project = :project AND environment = :environment AND form = :form
LIMIT :limit;
