-- name: taken_events(event_ids)$
-- Whether any of these event ids, given as hexadecimal digits in JSON, has a fact.
SELECT EXISTS (SELECT 1 FROM json_each(:event_ids) AS given JOIN facts ON facts.event_id = unhex(given.value));

-- name: facts_by_events(event_ids)
SELECT * FROM fact_rows WHERE event_id IN (SELECT unhex(value) FROM json_each(:event_ids));

-- name: facts_by_keys(scope, keys)
-- The facts of a scope that hold any of these idempotency keys, given as JSON.
SELECT fact_rows.* FROM json_each(:keys) AS given CROSS JOIN fact_rows
WHERE fact_rows.scope = :scope AND fact_rows.idempotency_key = given.value;

-- name: seq_given_last()^
-- The seq given last: those of facts that were removed are not given again. And the height of the store.
SELECT seq, seq FROM (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'facts'), 0) AS seq);

-- name: environment(project, environment)^
-- The version of the game in force, 0 for none, and whether an endpoint is on or a feed wishes for something.
SELECT coalesce((SELECT version FROM games WHERE project = :project AND environment = :environment), 0), EXISTS (
    SELECT 1 FROM webhook_endpoints
    WHERE project = :project AND environment = :environment AND off_because IS NULL
) OR EXISTS (SELECT 1 FROM feed_wishes WHERE project = :project AND environment = :environment);

-- name: states(scope, participants)
-- What is stored of participants, given as a JSON array of ids.
SELECT participants.participant_id, participants.participant, participants.state
FROM json_each(:participants) AS given CROSS JOIN participants
WHERE participants.scope = :scope AND participants.participant_id = given.value;

-- name: references_of(scope, participants)
SELECT participants.participant_id, participants.participant
FROM json_each(:participants) AS given CROSS JOIN participants
WHERE participants.scope = :scope AND participants.participant_id = given.value;

-- name: cells(wanted)
-- The cells named by (participant, cell) pairs, given as JSON arrays in JSON, each with the place of its pair.
SELECT given.key, cells.value FROM json_each(:wanted) AS given CROSS JOIN cells
WHERE cells.participant = given.value ->> 0 AND cells.cell = given.value ->> 1;

-- name: history(participant, fact_types, since, until)
-- A participant's facts of these types, given as JSON, in the order of the fold. Void ones are left out.
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at
FROM facts JOIN fact_types ON fact_types.type = facts.type
WHERE facts.participant = :participant AND facts.occurred_at >= :since AND facts.occurred_at < :until
    AND facts.voided_by IS NULL AND fact_types.fact_type IN (SELECT value FROM json_each(:fact_types))
ORDER BY facts.occurred_at, facts.seq;

-- name: places(wanted)
-- Participants' places in rankings, in sight or not, given as (participant, ranking) pairs, each with the place of its pair.
SELECT given.key, standings.score, standings.reached_at, standings.exact FROM json_each(:wanted) AS given
CROSS JOIN standings WHERE standings.participant = given.value ->> 0
    AND standings.ranking IN (given.value ->> 1, -(given.value ->> 1));

-- name: put_participants(scope, participant_id, created_at, total_events, state)!
INSERT INTO participants (scope, participant_id, created_at, total_events, state)
VALUES (:scope, :participant_id, :created_at, :total_events, :state)
ON CONFLICT (scope, participant_id) DO UPDATE SET
    created_at = CASE WHEN participants.known = 1 THEN participants.created_at ELSE excluded.created_at END,
    known = 1,
    total_events = participants.total_events + excluded.total_events,
    state = excluded.state;

-- name: put_state(participant, state)!
UPDATE participants SET state = :state WHERE participant = :participant;

-- name: insert_facts(seq, scope, type, participant, occurred_at, received_at, processed_at, event_id, fact_id, message_id, idempotency_key, fingerprint, properties, warnings, effects, voids, checksum)!
INSERT INTO facts (
    seq, scope, type, participant, occurred_at, received_at, processed_at, event_id, fact_id, message_id,
    idempotency_key, fingerprint, properties, warnings, effects, voids, checksum
) VALUES (
    :seq, :scope, :type, :participant, :occurred_at, :received_at, :processed_at, :event_id, :fact_id, :message_id,
    :idempotency_key, :fingerprint, :properties, :warnings, :effects, :voids, :checksum
);

-- name: put_cells(participant, cell, value)!
INSERT INTO cells (participant, cell, value) VALUES (:participant, :cell, :value)
ON CONFLICT (participant, cell) DO UPDATE SET value = excluded.value;

-- name: remove_cells(participant, cell)*!
DELETE FROM cells WHERE participant = :participant AND cell = :cell;

-- name: put_places(ranking, participant, score, reached_at, exact)!
INSERT INTO standings (ranking, participant, score, reached_at, exact)
VALUES (:ranking, :participant, :score, :reached_at, :exact)
ON CONFLICT (ranking, participant) DO UPDATE SET
    score = excluded.score,
    reached_at = excluded.reached_at,
    exact = excluded.exact;

-- name: remove_places(ranking, participant)*!
DELETE FROM standings WHERE ranking = :ranking AND participant = :participant;

-- name: add_entries(participant, number, transaction_id, cause, fact, amount, balance, occurred_at, created_at)!
INSERT INTO ledger (participant, number, transaction_id, cause, fact, amount, balance, occurred_at, created_at)
VALUES (:participant, :number, :transaction_id, :cause, :fact, :amount, :balance, :occurred_at, :created_at);

-- name: first(ranking, limit)
-- The best of a ranking. Ties: who reached the score first.
SELECT participants.participant_id, standings.score
FROM standings JOIN participants ON participants.participant = standings.participant
WHERE standings.ranking = :ranking
ORDER BY standings.score DESC, standings.reached_at, participants.participant_id LIMIT :limit;
