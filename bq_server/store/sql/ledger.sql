-- name: entries(participant)
-- The whole ledger of a participant, in the order written.
SELECT ledger.cause, ledger.amount, ledger.occurred_at, ledger.fact, facts.fact_id, facts.event_id
FROM ledger LEFT JOIN facts ON facts.seq = ledger.fact
WHERE ledger.participant = :participant ORDER BY ledger.number;

-- name: page_of_entries(project, environment, participant_id, limit, offset)
SELECT ledger.transaction_id, ledger.cause, ledger.amount, ledger.balance, ledger.occurred_at, ledger.created_at,
    facts.fact_id, facts.event_id
FROM scopes CROSS JOIN participants CROSS JOIN ledger LEFT JOIN facts ON facts.seq = ledger.fact
WHERE scopes.project = :project AND scopes.environment = :environment
    AND participants.scope = scopes.scope AND participants.participant_id = :participant_id
    AND ledger.participant = participants.participant
ORDER BY ledger.number DESC LIMIT :limit OFFSET :offset;

-- name: count_entries(project, environment, participant_id)$
SELECT count(*) FROM scopes CROSS JOIN participants CROSS JOIN ledger
WHERE scopes.project = :project AND scopes.environment = :environment
    AND participants.scope = scopes.scope AND participants.participant_id = :participant_id
    AND ledger.participant = participants.participant;

-- name: entries_of_fact(project, environment, participant_id, fact_id)
SELECT ledger.transaction_id, ledger.cause, ledger.amount, ledger.balance, ledger.occurred_at, ledger.created_at,
    facts.fact_id, facts.event_id
FROM scopes CROSS JOIN participants CROSS JOIN facts CROSS JOIN ledger
WHERE scopes.project = :project AND scopes.environment = :environment
    AND participants.scope = scopes.scope AND participants.participant_id = :participant_id
    AND facts.seq IN (
        SELECT own.seq FROM facts AS own WHERE own.fact_id = :fact_id
        UNION ALL SELECT same.seq FROM facts AS same WHERE same.event_id = :fact_id AND same.fact_id IS NULL
    )
    AND ledger.participant = participants.participant AND ledger.fact = facts.seq;

-- name: whole_ledger(participant)
-- Every entry of a participant with its number and its fact's seq, in the order written.
SELECT ledger.transaction_id, ledger.cause, ledger.amount, ledger.balance, ledger.occurred_at, ledger.created_at,
    facts.fact_id, facts.event_id, ledger.fact, ledger.number
FROM ledger LEFT JOIN facts ON facts.seq = ledger.fact
WHERE ledger.participant = :participant ORDER BY ledger.number;

-- name: mend_entries(participant, number, amount, balance, seq, occurred_at)*!
UPDATE ledger SET amount = :amount, balance = :balance, fact = :seq, occurred_at = :occurred_at
WHERE participant = :participant AND number = :number;

-- name: remove_entries(participant, number)*!
DELETE FROM ledger WHERE participant = :participant AND number = :number;
