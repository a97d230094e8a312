-- name: last_seq()$
-- The seq of the newest fact, or 0.
SELECT coalesce(max(seq), 0) FROM facts;

-- name: insert_facts(fact_id, event_id, message_id, project, environment, fact_type, event_name, participant_id, properties, occurred_at, received_at, processed_at, idempotency_key, fingerprint, warnings)*!
-- Insert what is not yet a fact; leave alone what is, by event id or by idempotency key.
INSERT INTO facts (
    fact_id, event_id, message_id, project, environment, fact_type, event_name, participant_id, properties,
    occurred_at, received_at, processed_at, idempotency_key, fingerprint, warnings
) VALUES (
    :fact_id, :event_id, :message_id, :project, :environment, :fact_type, :event_name, :participant_id, :properties,
    :occurred_at, :received_at, :processed_at, :idempotency_key, :fingerprint, :warnings
) ON CONFLICT DO NOTHING;

-- name: facts_after(seq)
-- The facts made since that seq, oldest first.
SELECT * FROM facts WHERE seq > :seq ORDER BY seq;

-- name: fact_by_id(fact_id, project, environment)^
SELECT * FROM facts WHERE fact_id = :fact_id AND project = :project AND environment = :environment;

-- name: fact_by_event(event_id)^
SELECT * FROM facts WHERE event_id = :event_id;

-- name: fact_by_key(project, environment, idempotency_key)^
SELECT * FROM facts
WHERE project = :project AND environment = :environment AND idempotency_key = :idempotency_key;

-- name: facts_by_keys(triples)
-- The facts that hold any of these (project, environment, idempotency key) triples, given as JSON arrays in JSON.
SELECT facts.* FROM json_each(:triples) AS triple
CROSS JOIN facts WHERE facts.project = triple.value ->> 0
    AND facts.environment = triple.value ->> 1
    AND facts.idempotency_key = triple.value ->> 2;

-- name: taken_event_ids(event_ids)
-- Those of these event ids, given as JSON, that have a fact.
SELECT event_id FROM facts WHERE event_id IN (SELECT value FROM json_each(:event_ids));

-- name: fact_by_message(message_id, project, environment)^
-- A message id is nearly unique; the sums keep the planner from an index of the whole environment.
SELECT * FROM facts
WHERE message_id = :message_id AND project || '' = :project AND environment || '' = :environment;

-- name: newest_facts(project, environment, before, since, until, limit)
SELECT * FROM facts
WHERE project = :project AND environment = :environment
    AND seq < :before AND occurred_at >= :since AND occurred_at < :until
ORDER BY seq DESC LIMIT :limit;

-- name: newest_facts_of_type(project, environment, fact_type, before, since, until, limit)
SELECT * FROM facts
WHERE project = :project AND environment = :environment AND fact_type = :fact_type
    AND seq < :before AND occurred_at >= :since AND occurred_at < :until
ORDER BY seq DESC LIMIT :limit;

-- name: newest_facts_of_participant(project, environment, participant_id, fact_type, before, since, until, limit)
SELECT * FROM facts
WHERE project = :project AND environment = :environment AND participant_id = :participant_id
    AND (:fact_type IS NULL OR fact_type = :fact_type)
    AND seq < :before AND occurred_at >= :since AND occurred_at < :until
ORDER BY seq DESC LIMIT :limit;

-- name: participant_events(project, environment, participant_id, event_name, limit, offset)
-- One page of the facts that a participant's own events became, latest in event time first.
SELECT * FROM facts
WHERE project = :project AND environment = :environment AND participant_id = :participant_id
    AND substr(fact_type, 1, 7) = 'custom.'
    AND (:event_name IS NULL OR event_name = :event_name)
ORDER BY occurred_at DESC, seq DESC LIMIT :limit OFFSET :offset;

-- name: count_participant_events(project, environment, participant_id, event_name)$
SELECT count(*) FROM facts
WHERE project = :project AND environment = :environment AND participant_id = :participant_id
    AND substr(fact_type, 1, 7) = 'custom.'
    AND (:event_name IS NULL OR event_name = :event_name);

-- name: insert_duplicate(message_id, project, environment, fact_id)!
INSERT INTO duplicates (message_id, project, environment, fact_id)
VALUES (:message_id, :project, :environment, :fact_id)
ON CONFLICT DO NOTHING;

-- name: fact_by_duplicate(message_id, project, environment)^
SELECT facts.* FROM duplicates JOIN facts ON facts.fact_id = duplicates.fact_id
WHERE duplicates.message_id = :message_id
    AND duplicates.project = :project AND duplicates.environment = :environment;
