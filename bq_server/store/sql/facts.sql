-- name: last_seq()$
-- The seq of the newest fact, or 0.
SELECT coalesce(max(seq), 0) FROM facts;

-- name: fact_by_id(own_id, fact_id, project, environment)^
-- `own_id` and `fact_id` are the same id: of a fact that has one of its own, and of one that has its event's.
SELECT * FROM fact_rows
WHERE seq IN (
    SELECT seq FROM facts WHERE facts.fact_id = :own_id
    UNION ALL SELECT seq FROM facts WHERE event_id = :fact_id AND facts.fact_id IS NULL
) AND project = :project AND environment = :environment;

-- name: facts_by_events(event_ids)
-- The facts of these event ids, given as hexadecimal digits in JSON.
SELECT * FROM fact_rows WHERE event_id IN (SELECT unhex(value) FROM json_each(:event_ids));

-- name: fact_by_key(project, environment, idempotency_key)^
SELECT * FROM fact_rows
WHERE scope = (SELECT scopes.scope FROM scopes WHERE scopes.project = :project AND scopes.environment = :environment)
    AND idempotency_key = :idempotency_key;

-- name: count_who_came(project, environment, participant_id, maker, follower)$
-- How many others have a fact of the type `follower`, not void, whose idempotency key goes on after that of a fact of the
-- participant's of the type `maker`, and a colon. The semicolon comes after it.
SELECT count(DISTINCT came.participant) FROM scopes
CROSS JOIN participants CROSS JOIN fact_types AS made_type CROSS JOIN fact_types AS came_type
CROSS JOIN facts AS made CROSS JOIN facts AS came
WHERE scopes.project = :project AND scopes.environment = :environment
    AND participants.scope = scopes.scope AND participants.participant_id = :participant_id
    AND made_type.scope = scopes.scope AND made_type.fact_type = :maker
    AND came_type.scope = scopes.scope AND came_type.fact_type = :follower
    AND made.participant = participants.participant AND made.type = made_type.type
    AND came.scope = scopes.scope AND came.type = came_type.type
    AND came.idempotency_key >= made.idempotency_key || ':' AND came.idempotency_key < made.idempotency_key || ';'
    AND came.voided_by IS NULL AND came.participant <> made.participant;

-- name: facts_by_keys(triples)
-- The facts that hold any of these (project, environment, idempotency key) triples, given as JSON arrays in JSON.
SELECT fact_rows.* FROM json_each(:triples) AS triple
CROSS JOIN scopes CROSS JOIN fact_rows
WHERE scopes.project = triple.value ->> 0 AND scopes.environment = triple.value ->> 1
    AND fact_rows.scope = scopes.scope AND fact_rows.idempotency_key = triple.value ->> 2;

-- name: fact_by_message(message_id, project, environment)^
-- A message id is nearly unique.
SELECT * FROM fact_rows WHERE message_id = :message_id AND project || '' = :project AND environment || '' = :environment;

-- name: newest_facts(project, environment, before, since, until, limit)
SELECT * FROM fact_rows
WHERE scope = (SELECT scopes.scope FROM scopes WHERE scopes.project = :project AND scopes.environment = :environment)
    AND seq < :before AND occurred_at >= :since AND occurred_at < :until
ORDER BY seq DESC LIMIT :limit;

-- name: newest_facts_of_type(project, environment, fact_type, before, since, until, limit)
SELECT * FROM fact_rows
WHERE type = (
    SELECT fact_types.type FROM fact_types JOIN scopes ON scopes.scope = fact_types.scope
    WHERE scopes.project = :project AND scopes.environment = :environment AND fact_types.fact_type = :fact_type
) AND seq < :before AND occurred_at >= :since AND occurred_at < :until
ORDER BY seq DESC LIMIT :limit;

-- name: newest_facts_of_participant(project, environment, participant_id, fact_type, before, since, until, limit)
SELECT * FROM fact_rows
WHERE participant = (
    SELECT participants.participant FROM participants JOIN scopes ON scopes.scope = participants.scope
    WHERE scopes.project = :project AND scopes.environment = :environment
        AND participants.participant_id = :participant_id
) AND (CAST(:fact_type AS TEXT) IS NULL OR fact_type = :fact_type)
    AND seq < :before AND occurred_at >= :since AND occurred_at < :until
ORDER BY seq DESC LIMIT :limit;

-- name: participant_events(project, environment, participant_id, event_name, limit, offset)
-- One page of the facts that a participant's own events became, latest in event time first.
SELECT * FROM fact_rows
WHERE participant = (
    SELECT participants.participant FROM participants JOIN scopes ON scopes.scope = participants.scope
    WHERE scopes.project = :project AND scopes.environment = :environment
        AND participants.participant_id = :participant_id
) AND substr(fact_type, 1, 7) = 'custom.'
    AND (CAST(:event_name AS TEXT) IS NULL OR event_name = :event_name)
ORDER BY occurred_at DESC, seq DESC LIMIT :limit OFFSET :offset;

-- name: count_participant_events(project, environment, participant_id, event_name)$
SELECT count(*) FROM fact_rows
WHERE participant = (
    SELECT participants.participant FROM participants JOIN scopes ON scopes.scope = participants.scope
    WHERE scopes.project = :project AND scopes.environment = :environment
        AND participants.participant_id = :participant_id
) AND substr(fact_type, 1, 7) = 'custom.'
    AND (CAST(:event_name AS TEXT) IS NULL OR event_name = :event_name);

-- name: insert_duplicate(message_id, project, environment, fact)!
INSERT INTO duplicates (message_id, scope, fact)
SELECT :message_id, scope, :fact FROM scopes WHERE project = :project AND environment = :environment
ON CONFLICT DO NOTHING;

-- name: fact_by_duplicate(message_id, project, environment)^
SELECT fact_rows.* FROM duplicates
JOIN scopes ON scopes.scope = duplicates.scope
JOIN fact_rows ON fact_rows.seq = duplicates.fact
WHERE duplicates.message_id = :message_id AND scopes.project = :project AND scopes.environment = :environment;
