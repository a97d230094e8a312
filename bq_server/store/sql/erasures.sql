-- name: add_nobody(scope)!
-- Who the facts of erased participants belong to: no event can name it, because a name has at least a character.
INSERT INTO participants (scope, participant_id, created_at, known) VALUES (:scope, '', 0, 0) ON CONFLICT DO NOTHING;

-- name: nobody(scope)$
SELECT participant FROM participants WHERE scope = :scope AND participant_id = '';

-- name: facts_to_strip(participant, limit)
SELECT seq, event_id, fact_id, scope, type, occurred_at, received_at, processed_at, message_id, idempotency_key
FROM facts WHERE participant = :participant ORDER BY occurred_at, seq LIMIT :limit;

-- name: strip_facts(seq, participant)*!
UPDATE facts SET participant = :participant, idempotency_key = NULL, fingerprint = NULL, properties = '{}',
    warnings = NULL, effects = NULL
WHERE seq = :seq;

-- name: remove_warnings(project, environment, fact_ids)!
-- What rules have warned of on account of these facts, given as JSON: the text may quote them.
DELETE FROM game_warnings
WHERE project = :project AND environment = :environment AND fact_id IN (SELECT value FROM json_each(:fact_ids));

-- name: remove_cells(participant)!
DELETE FROM cells WHERE participant = :participant;

-- name: remove_ledger(participant)!
DELETE FROM ledger WHERE participant = :participant;

-- name: remove_standings(participant)!
DELETE FROM standings WHERE participant = :participant;

-- name: remove_participant(participant)!
DELETE FROM participants WHERE participant = :participant;

-- name: remove_tries(project, environment, participant_id)!
DELETE FROM webhook_tries WHERE position IN (
    SELECT position FROM webhook_deliveries WHERE participant_id = :participant_id AND endpoint_id IN (
        SELECT endpoint_id FROM webhook_endpoints WHERE project = :project AND environment = :environment
    )
);

-- name: remove_deliveries(project, environment, participant_id)!
DELETE FROM webhook_deliveries WHERE participant_id = :participant_id AND endpoint_id IN (
    SELECT endpoint_id FROM webhook_endpoints WHERE project = :project AND environment = :environment
);

-- name: remove_notices(project, environment, participant_id)!
DELETE FROM notices WHERE project = :project AND environment = :environment AND participant_id = :participant_id;

-- name: recount_waiting(project, environment)!
UPDATE webhook_endpoints SET waiting = (
    SELECT count(*) FROM webhook_deliveries
    WHERE webhook_deliveries.endpoint_id = webhook_endpoints.endpoint_id AND state = 'waiting'
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

-- name: notices_of(project, environment, participant_id)
SELECT kind, noted_at, data FROM notices
WHERE project = :project AND environment = :environment AND participant_id = :participant_id ORDER BY notice;

-- name: deliveries_of(project, environment, participant_id)
SELECT delivery_id, endpoint_id, event_type, fact_id, created_at, state FROM webhook_deliveries
WHERE participant_id = :participant_id AND endpoint_id IN (
    SELECT endpoint_id FROM webhook_endpoints WHERE project = :project AND environment = :environment
) ORDER BY position;
