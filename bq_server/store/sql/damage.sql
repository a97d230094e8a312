-- name: tables()
SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name;

-- name: damage_of(name)$
-- The first thing that is wrong with a table and its indexes, but for whether each row is in each of these; or 'ok'.
SELECT quick_check FROM pragma_quick_check(:name) LIMIT 1;
