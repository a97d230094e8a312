-- name: has_any()$
SELECT EXISTS (SELECT 1 FROM received_facts);

-- name: put(participant, fact, effects)!
INSERT INTO received_facts (participant, fact, effects) VALUES (:participant, :fact, :effects)
ON CONFLICT (participant, fact) DO NOTHING;

-- name: whole_story(participant)
-- All that a participant has received, in the order of the fold.
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids, senders.participant_id, facts.voided_by
FROM received_facts
JOIN facts ON facts.seq = received_facts.fact
JOIN fact_types ON fact_types.type = facts.type
JOIN participants AS senders ON senders.participant = facts.participant
WHERE received_facts.participant = :participant
ORDER BY facts.occurred_at, facts.seq;

-- name: history(participant, fact_types, since, until)
-- What a participant has received of these types, given as JSON, in the order of the fold. Void facts are left out.
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids, senders.participant_id, facts.voided_by
FROM received_facts
JOIN facts ON facts.seq = received_facts.fact
JOIN fact_types ON fact_types.type = facts.type
JOIN participants AS senders ON senders.participant = facts.participant
WHERE received_facts.participant = :participant AND facts.occurred_at >= :since AND facts.occurred_at < :until
    AND facts.voided_by IS NULL AND fact_types.fact_type IN (SELECT value FROM json_each(:fact_types))
ORDER BY facts.occurred_at, facts.seq;

-- name: about_voids(participant)
-- What a participant has received that voids another or is void.
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids, senders.participant_id, facts.voided_by
FROM received_facts
JOIN facts ON facts.seq = received_facts.fact
JOIN fact_types ON fact_types.type = facts.type
JOIN participants AS senders ON senders.participant = facts.participant
WHERE received_facts.participant = :participant AND (
    facts.voids IS NOT NULL OR facts.voided_by IS NOT NULL OR facts.seq IN (
        SELECT void.voided_by FROM received_facts AS own JOIN facts AS void ON void.seq = own.fact
        WHERE own.participant = :participant
    )
);

-- name: named(participant, scope, keys, fact_ids)
-- What a participant has received of these idempotency keys or ids, given as JSON, the ids in hexadecimal digits.
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids, senders.participant_id, facts.voided_by
FROM (
    SELECT seq FROM facts WHERE scope = :scope AND idempotency_key IN (SELECT value FROM json_each(:keys))
    UNION SELECT seq FROM facts WHERE fact_id IN (SELECT unhex(value) FROM json_each(:fact_ids))
    UNION SELECT seq FROM facts WHERE event_id IN (SELECT unhex(value) FROM json_each(:fact_ids)) AND fact_id IS NULL
) AS named
CROSS JOIN received_facts ON received_facts.participant = :participant AND received_facts.fact = named.seq
JOIN facts ON facts.seq = named.seq
JOIN fact_types ON fact_types.type = facts.type
JOIN participants AS senders ON senders.participant = facts.participant;

-- name: recipients_of(seqs)
-- Who has received these facts, given by their seqs as JSON. Nobody, whom the erased have become, is left out.
SELECT received_facts.fact, participants.participant_id
FROM json_each(:seqs) AS given CROSS JOIN received_facts ON received_facts.fact = given.value
JOIN participants ON participants.participant = received_facts.participant
WHERE participants.participant_id <> '';

-- name: facts_to_deliver(scope, fact_types, after, limit)
-- The next facts of these types, given as JSON, that may name somebody: none that named one who was erased, and no
-- erased person's.
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids, participants.participant_id
FROM facts
JOIN fact_types ON fact_types.type = facts.type
JOIN participants ON participants.participant = facts.participant
WHERE facts.scope = :scope AND facts.seq > :after AND participants.participant_id <> ''
    AND fact_types.fact_type IN (SELECT value FROM json_each(:fact_types))
    AND NOT EXISTS (
        SELECT 1 FROM received_facts JOIN participants AS recipients
        ON recipients.participant = received_facts.participant
        WHERE received_facts.fact = facts.seq AND recipients.participant_id = ''
    )
ORDER BY facts.seq LIMIT :limit;

-- name: senders_of_voids(scope)
-- Whose facts void others.
SELECT DISTINCT participants.participant_id, participants.participant
FROM participants JOIN facts ON facts.participant = participants.participant
WHERE participants.scope = :scope AND participants.participant_id <> '' AND facts.voids IS NOT NULL;

-- name: recipients_by_sender(participant)
-- Who has received which of the facts of a participant; the empty string for the erased.
SELECT facts.seq, participants.participant_id
FROM facts
JOIN received_facts ON received_facts.fact = facts.seq
JOIN participants ON participants.participant = received_facts.participant
WHERE facts.participant = :participant;

-- name: give_to_nobody(participant, nobody, limit)!
INSERT INTO received_facts (participant, fact)
SELECT :nobody, fact FROM received_facts WHERE participant = :participant ORDER BY fact LIMIT :limit
ON CONFLICT (participant, fact) DO NOTHING;

-- name: take_from(participant, limit)!
DELETE FROM received_facts WHERE participant = :participant AND fact IN (
    SELECT own.fact FROM received_facts AS own WHERE own.participant = :participant ORDER BY own.fact LIMIT :limit
);

-- name: remove_of(participant)*!
DELETE FROM received_facts WHERE participant = :participant;

-- name: effects_for(participant)
-- What facts caused for a participant who received them, in the order of the fold.
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, facts.occurred_at, received_facts.effects
FROM received_facts
JOIN facts ON facts.seq = received_facts.fact
JOIN fact_types ON fact_types.type = facts.type
WHERE received_facts.participant = :participant
ORDER BY facts.occurred_at, facts.seq;

-- name: effects_of(seqs)
-- What facts, given by their seqs as JSON, caused for their own participants (null) and for others.
SELECT facts.seq, NULL, facts.effects FROM json_each(:seqs) AS given CROSS JOIN facts
WHERE facts.seq = given.value AND facts.effects IS NOT NULL
UNION ALL
SELECT received_facts.fact, participants.participant_id, received_facts.effects
FROM json_each(:seqs) AS given CROSS JOIN received_facts
JOIN participants ON participants.participant = received_facts.participant
WHERE received_facts.fact = given.value AND received_facts.effects IS NOT NULL
ORDER BY 1, 2;
