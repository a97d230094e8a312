-- name: account(place)^
SELECT epoch, appended, settled, lost, oldest, newest, final, dead FROM stream_account WHERE place = :place;

-- name: put_account(place, epoch, appended, settled, lost, oldest, newest, final, dead)!
INSERT INTO stream_account (place, epoch, appended, settled, lost, oldest, newest, final, dead)
VALUES (:place, :epoch, :appended, :settled, :lost, :oldest, :newest, :final, :dead)
ON CONFLICT (place) DO UPDATE SET
    epoch = excluded.epoch,
    appended = excluded.appended,
    settled = excluded.settled,
    lost = excluded.lost,
    oldest = excluded.oldest,
    newest = excluded.newest,
    final = excluded.final,
    dead = excluded.dead;

-- name: remove_account()!
DELETE FROM stream_account;

-- name: losses()
-- All columns: a command reads databases of older versions, too, which lack the last columns.
SELECT * FROM losses ORDER BY loss;

-- name: add_loss(noticed_at, what, messages, first, last, at_least, facts, dead)!
INSERT INTO losses (noticed_at, what, messages, first, last, at_least, facts, dead)
VALUES (:noticed_at, :what, :messages, :first, :last, :at_least, :facts, :dead);

-- name: correct_loss(place, messages)!
UPDATE losses SET messages = :messages
WHERE loss = (SELECT ordered.loss FROM losses AS ordered ORDER BY ordered.loss LIMIT 1 OFFSET :place);

-- name: acknowledge(now)
-- In one statement, so that none is acknowledged but those it returns.
UPDATE losses SET acknowledged_at = :now WHERE acknowledged_at IS NULL RETURNING *;

-- name: facts_of_messages(lowest, highest, limit)
SELECT message_id FROM facts
WHERE message_id IS NOT NULL AND message_id >= :lowest AND message_id < :highest
ORDER BY message_id LIMIT :limit;

-- name: repeats_of_messages(lowest, highest, limit)
SELECT duplicates.message_id FROM scopes CROSS JOIN duplicates
WHERE duplicates.scope = scopes.scope AND duplicates.message_id >= :lowest AND duplicates.message_id < :highest
LIMIT :limit;
