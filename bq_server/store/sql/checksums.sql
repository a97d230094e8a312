-- name: rows_without(limit)
-- The next facts without a checksum. Text is read as bytes: it may be none any more.
SELECT seq, scope, type, participant, occurred_at, received_at, processed_at, event_id, fact_id,
    CAST(message_id AS BLOB), CAST(idempotency_key AS BLOB), CAST(fingerprint AS BLOB), CAST(properties AS BLOB),
    CAST(warnings AS BLOB), CAST(effects AS BLOB)
FROM facts WHERE checksum IS NULL ORDER BY seq LIMIT :limit;

-- name: rows_of(seqs)
-- These facts, given as JSON.
SELECT seq, scope, type, coalesce(sent_as, participant), occurred_at, received_at, processed_at, event_id, fact_id,
    CAST(message_id AS BLOB), CAST(idempotency_key AS BLOB), CAST(fingerprint AS BLOB), CAST(properties AS BLOB),
    CAST(warnings AS BLOB), CAST(effects AS BLOB), CAST(voids AS BLOB)
FROM facts WHERE seq IN (SELECT value FROM json_each(:seqs));

-- name: rows_after(project, environment, after, limit)
-- The next facts of an environment, each with its checksum and its participant.
SELECT facts.seq, facts.scope, type, coalesce(sent_as, facts.participant), occurred_at, received_at, processed_at, event_id, fact_id,
    CAST(message_id AS BLOB), CAST(idempotency_key AS BLOB), CAST(fingerprint AS BLOB), CAST(properties AS BLOB),
    CAST(warnings AS BLOB), CAST(effects AS BLOB), checksum, participants.participant_id,
    CAST(voids AS BLOB)
FROM facts LEFT JOIN participants ON participants.participant = facts.participant
WHERE facts.scope = (SELECT scopes.scope FROM scopes WHERE scopes.project = :project AND scopes.environment = :environment)
    AND facts.seq > :after
ORDER BY facts.seq LIMIT :limit;

-- name: put_checksums(seq, checksum)*!
UPDATE facts SET checksum = :checksum WHERE seq = :seq;
