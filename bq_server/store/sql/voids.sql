-- name: facts_that_void(participant)
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids
FROM facts JOIN fact_types ON fact_types.type = facts.type
WHERE facts.participant = :participant AND facts.voids IS NOT NULL;

-- name: named_facts(participant, scope, keys, fact_ids)
-- A participant's facts of these idempotency keys or ids, given as JSON, the ids in hexadecimal digits.
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids
FROM (
    SELECT seq FROM facts WHERE scope = :scope AND idempotency_key IN (SELECT value FROM json_each(:keys))
    UNION SELECT seq FROM facts WHERE fact_id IN (SELECT unhex(value) FROM json_each(:fact_ids))
    UNION SELECT seq FROM facts WHERE event_id IN (SELECT unhex(value) FROM json_each(:fact_ids)) AND fact_id IS NULL
) AS named
CROSS JOIN facts ON facts.seq = named.seq
JOIN fact_types ON fact_types.type = facts.type
WHERE facts.participant = :participant;

-- name: mark(fact, void)*!
UPDATE facts SET voided_by = :void WHERE seq = :fact;
