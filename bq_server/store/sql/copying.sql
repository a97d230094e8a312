-- name: damage()$
-- The first thing that is wrong with the file, or 'ok'.
SELECT integrity_check FROM pragma_integrity_check LIMIT 1;

-- name: schema_version()$
SELECT max(version) FROM schema_migrations;

-- name: has_table(name)$
SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = :name);

-- name: count_facts()$
SELECT count(*) FROM facts;

-- name: count_old_facts()$
SELECT count(*) FROM old_facts;

-- name: newest_processing()$
-- When the newest live fact was made, if it is among the newest of all: a test environment may have a clock of its own.
SELECT max(processed_at) FROM (SELECT scope, processed_at FROM facts ORDER BY seq DESC LIMIT 1000) AS newest
WHERE scope IN (SELECT scopes.scope FROM scopes WHERE environment = 'live');

-- name: newest_processing_of_the_first_release()$
SELECT max(processed_at) FROM (SELECT environment, processed_at FROM facts ORDER BY seq DESC LIMIT 1000) AS newest
WHERE environment = 'live';

-- name: newest_processing_of_old_facts()$
SELECT max(processed_at) FROM (SELECT environment, processed_at FROM old_facts ORDER BY seq DESC LIMIT 1000) AS newest
WHERE environment = 'live';

-- name: resets()
SELECT project, environment, resets FROM environments WHERE resets > 0;
