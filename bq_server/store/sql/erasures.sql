-- name: add_nobody(scope)!
-- Who the facts of erased participants belong to: no event can name it, because a name has at least a character.
INSERT INTO participants (scope, participant_id, created_at, known) VALUES (:scope, '', 0, 0) ON CONFLICT DO NOTHING;

-- name: nobody(scope)$
SELECT participant FROM participants WHERE scope = :scope AND participant_id = '';

-- name: facts_to_strip(participant, limit)
SELECT seq, event_id, fact_id, scope, type, occurred_at, received_at, processed_at, message_id, idempotency_key
FROM facts WHERE participant = :participant ORDER BY occurred_at, seq LIMIT :limit;

-- name: strip_facts(seq, participant)*!
-- Who has received a fact that is void must not be given again what it gave.
UPDATE facts SET participant = :participant, idempotency_key = NULL, fingerprint = NULL, properties = '{}',
    warnings = NULL, effects = NULL, voids = NULL, sent_as = NULL,
    voided_by = CASE WHEN EXISTS (SELECT 1 FROM received_facts WHERE fact = :seq) THEN voided_by END
WHERE seq = :seq;

-- name: remove_warnings(project, environment, fact_ids)!
-- What rules have warned of on account of these facts, given as JSON: the text may quote them.
DELETE FROM game_warnings
WHERE project = :project AND environment = :environment AND fact_id IN (SELECT value FROM json_each(:fact_ids));

-- name: count_facts(participant)$
SELECT count(*) FROM facts WHERE participant = :participant;

-- name: remove_cells(participant)!
DELETE FROM cells WHERE participant = :participant;

-- name: remove_ledger(participant, limit)!
DELETE FROM ledger WHERE participant = :participant AND number IN (
    SELECT number FROM ledger WHERE participant = :participant ORDER BY number LIMIT :limit
);

-- name: remove_participant(participant)!
DELETE FROM participants WHERE participant = :participant;

-- name: remove_aliases(participant)!
DELETE FROM aliases WHERE alias = :participant OR participant = :participant;

-- name: deliveries_to_remove(project, environment, participant_id, limit)
SELECT position FROM webhook_deliveries WHERE participant_id = :participant_id AND endpoint_id IN (
    SELECT endpoint_id FROM webhook_endpoints WHERE project = :project AND environment = :environment
) ORDER BY position LIMIT :limit;

-- name: remove_tries(position)*!
DELETE FROM webhook_tries WHERE position = :position;

-- name: remove_deliveries(position)*!
DELETE FROM webhook_deliveries WHERE position = :position;

-- name: announcements_until(after, limit)$
-- The last of the next rows; NULL where there is none.
SELECT max(position) FROM (
    SELECT position FROM webhook_outbox WHERE position > :after ORDER BY position LIMIT :limit
) AS next;

-- name: remove_announcements(project, environment, participant_id, after, until)!
-- What is not yet a delivery. A space at the start says how to read numbers: see `exact_json`.
UPDATE webhook_outbox SET
    content = CASE WHEN content LIKE ' %' THEN ' ' ELSE '' END || (
        SELECT json_group_array(json(value)) FROM json_each(content) WHERE value ->> 0 <> :participant_id
    ),
    deliveries = (SELECT count(*) FROM json_each(content) WHERE value ->> 0 <> :participant_id)
WHERE position > :after AND position <= :until AND endpoint_id IN (
    SELECT endpoint_id FROM webhook_endpoints WHERE project = :project AND environment = :environment
) AND EXISTS (SELECT 1 FROM json_each(content) WHERE value ->> 0 = :participant_id);

-- name: remove_empty_announcements(after, until)!
-- A row that holds nothing would keep those behind it waiting.
DELETE FROM webhook_outbox WHERE position > :after AND position <= :until AND deliveries = 0;

-- name: remove_watched_streaks(project, environment, participant_id)!
DELETE FROM watched_streaks
WHERE project = :project AND environment = :environment AND participant_id = :participant_id;

-- name: remove_expiring_points(project, environment, participant_id)!
DELETE FROM expiring_points
WHERE project = :project AND environment = :environment AND participant_id = :participant_id;

-- name: recount_waiting(project, environment)!
UPDATE webhook_endpoints SET waiting = (
    SELECT count(*) FROM webhook_deliveries
    WHERE webhook_deliveries.endpoint_id = webhook_endpoints.endpoint_id AND state = 'waiting'
) + (
    SELECT coalesce(sum(deliveries), 0) FROM webhook_outbox
    WHERE webhook_outbox.endpoint_id = webhook_endpoints.endpoint_id
) WHERE project = :project AND environment = :environment;

-- name: step_back(project, environment, participant_id)!
-- Refolds remember the participant they came to last: the one before stands for the same place.
UPDATE refolds SET after_participant = coalesce((
    SELECT max(participants.participant_id) FROM participants JOIN scopes ON scopes.scope = participants.scope
    WHERE scopes.project = :project AND scopes.environment = :environment
        AND participants.participant_id < :participant_id
), '')
WHERE project = :project AND environment = :environment AND after_participant = :participant_id;

-- name: add_erasure(project, environment, erased_at, facts)!
INSERT INTO erasures (project, environment, erased_at, facts) VALUES (:project, :environment, :erased_at, :facts);

-- name: open_erasures()
SELECT erasure FROM erasures WHERE cleaned_at IS NULL ORDER BY erasure;

-- name: put_cleaned(until, cleaned_at)!
UPDATE erasures SET cleaned_at = :cleaned_at WHERE erasure <= :until AND cleaned_at IS NULL;

-- name: facts_with_effects(participant, occurred_at, seq, limit)
-- The next facts of a participant in the order of the fold, each with what it caused.
SELECT fact_rows.*, facts.effects FROM facts JOIN fact_rows ON fact_rows.seq = facts.seq
WHERE facts.participant = :participant AND (facts.occurred_at, facts.seq) > (:occurred_at, :seq)
ORDER BY facts.occurred_at, facts.seq LIMIT :limit;

-- name: deliveries_of(project, environment, participant_id)
-- Those that have an id, and then those that are still to get one.
SELECT delivery_id, endpoint_id, event_type, fact_id, created_at, state FROM (
    SELECT * FROM webhook_deliveries WHERE participant_id = :participant_id ORDER BY position
) AS own WHERE endpoint_id IN (
    SELECT endpoint_id FROM webhook_endpoints WHERE project = :project AND environment = :environment
)
UNION ALL
SELECT NULL, webhook_outbox.endpoint_id, told.value ->> 1, told.value ->> 2, webhook_outbox.created_at, 'waiting'
FROM webhook_endpoints CROSS JOIN webhook_outbox CROSS JOIN json_each(webhook_outbox.content) AS told
WHERE webhook_endpoints.project = :project AND webhook_endpoints.environment = :environment
    AND webhook_outbox.endpoint_id = webhook_endpoints.endpoint_id AND told.value ->> 0 = :participant_id;
