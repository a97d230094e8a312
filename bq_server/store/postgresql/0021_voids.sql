ALTER TABLE facts ADD COLUMN voids TEXT COLLATE "C";
ALTER TABLE facts ADD COLUMN voided_by BIGINT;
CREATE INDEX facts_that_void ON facts (participant) WHERE voids IS NOT NULL;

DROP VIEW fact_rows;
CREATE VIEW fact_rows AS
SELECT
    facts.seq, facts.fact_id, facts.event_id, facts.message_id, scopes.project, scopes.environment,
    fact_types.fact_type, fact_types.event_name, participants.participant_id, facts.properties, facts.occurred_at,
    facts.received_at, facts.processed_at, facts.idempotency_key, facts.fingerprint, facts.warnings, facts.voids,
    (
        SELECT coalesce(voiding.fact_id, voiding.event_id) FROM facts AS voiding WHERE voiding.seq = facts.voided_by
    ) AS voided_by,
    facts.scope, facts.type, facts.participant
FROM facts
JOIN scopes ON scopes.scope = facts.scope
JOIN fact_types ON fact_types.type = facts.type
JOIN participants ON participants.participant = facts.participant;
