-- Times are microseconds since the epoch, UTC, by the database's clock, which all processes share.

-- name: remove_predecessor(place)!
DELETE FROM processes WHERE place = :place;

-- name: report(process_id, place, role, knows)!
INSERT INTO processes (process_id, place, role, started_at, knows, heard_at)
SELECT :process_id, :place, :role, moment, :knows, moment
FROM (SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) AS moment) AS clock
WHERE true
ON CONFLICT (process_id) DO UPDATE SET knows = excluded.knows, heard_at = excluded.heard_at;

-- name: leave(process_id)!
DELETE FROM processes WHERE process_id = :process_id;

-- name: every_process()
SELECT process_id, place, role, knows,
    CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) - heard_at,
    EXISTS (SELECT 1 FROM leases WHERE leases.holder = processes.process_id AND leases.expires_at > 0)
FROM processes ORDER BY started_at, process_id;

-- name: remove_long_lost(silence)!
DELETE FROM processes
WHERE heard_at < CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) - :silence;

-- name: count_ignorant(number, silence)$
SELECT count(*) FROM processes
WHERE knows < :number AND heard_at >= CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) - :silence;

-- name: take_lease(name, holder, lasts)$
INSERT INTO leases (name, holder, term, expires_at)
SELECT :name, :holder, moment, moment + :lasts
FROM (SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) AS moment) AS clock
WHERE true
ON CONFLICT (name) DO UPDATE SET
    term = CASE WHEN leases.holder = excluded.holder THEN leases.term ELSE max(excluded.term, leases.term + 1) END,
    holder = excluded.holder,
    expires_at = excluded.expires_at
WHERE leases.holder = excluded.holder OR leases.expires_at <= excluded.term
RETURNING term;

-- name: give_up_lease(name, holder)!
-- It stays, with its term: the next holder's must be later.
UPDATE leases SET expires_at = 0 WHERE name = :name AND holder = :holder;

-- name: standing(memory, name, holder)^
SELECT coalesce((SELECT number FROM wakes WHERE wakes.name = :memory), 0), EXISTS (
    SELECT 1 FROM leases
    WHERE leases.name = :name AND holder = :holder
        AND expires_at > CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
);

-- name: is_permitted(name, holder, term, lease)$
SELECT EXISTS (
    SELECT 1 FROM leases AS given JOIN leases AS own ON own.holder = given.holder
    WHERE given.name = :name AND given.holder = :holder AND given.term = :term
        AND own.name = :lease AND own.expires_at > CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
);

-- name: number_of(name)$
SELECT coalesce((SELECT number FROM wakes WHERE name = :name), 0);

-- name: newest_number()$
SELECT coalesce(max(number), 0) FROM wakes;

-- name: wake(names)!
INSERT INTO wakes (name, number)
SELECT value, (SELECT coalesce(max(number), 0) + 1 FROM wakes) FROM json_each(:names)
WHERE true
ON CONFLICT (name) DO UPDATE SET number = excluded.number;

-- name: woken_after(number)
SELECT name, number FROM wakes WHERE number > :number;

-- name: grant_permit(name, holder, term, lease)$
INSERT INTO leases (name, holder, term, expires_at)
SELECT :name, :holder, :term, 0 FROM leases AS led
WHERE led.name = :lease AND led.holder = :holder
    AND led.expires_at > CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = excluded.term
RETURNING term;

-- name: revoke_permit(name, holder, term)!
DELETE FROM leases WHERE name = :name AND holder = :holder AND term = :term;

-- name: revoke_permits(begin, lease, holder)!
DELETE FROM leases
WHERE substr(name, 1, length(:begin)) = :begin AND (holder = :holder OR EXISTS (
    SELECT 1 FROM leases AS led
    WHERE led.name = :lease AND led.holder = :holder
        AND led.expires_at > CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
));
