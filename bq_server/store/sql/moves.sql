-- name: make()!
-- How far a move has come, and between which stores: there while it lasts, and for ever in the one that was moved away.
CREATE TABLE store_moves (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- name: mark()^
SELECT name, value FROM store_moves WHERE name IN ('from', 'to');

-- name: put(name, value)!
INSERT INTO store_moves (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: get(name)$
SELECT value FROM store_moves WHERE name = :name;

-- name: end()!
DROP TABLE store_moves;
