CREATE TABLE aliases (
    alias BIGINT PRIMARY KEY,
    scope BIGINT NOT NULL,
    participant BIGINT NOT NULL,
    fact BIGINT NOT NULL,
    known BIGINT NOT NULL
);
CREATE INDEX aliases_of_participant ON aliases (participant);
CREATE INDEX aliases_of_scope ON aliases (scope);
ALTER TABLE facts ADD COLUMN sent_as BIGINT;
CREATE INDEX facts_sent_as ON facts (sent_as) WHERE sent_as IS NOT NULL;

DROP VIEW fact_rows;
CREATE VIEW fact_rows AS
SELECT
    facts.seq, facts.fact_id, facts.event_id, facts.message_id, scopes.project, scopes.environment,
    fact_types.fact_type, fact_types.event_name, participants.participant_id, facts.properties, facts.occurred_at,
    facts.received_at, facts.processed_at, facts.idempotency_key, facts.fingerprint, facts.warnings, facts.voids,
    (
        SELECT coalesce(voiding.fact_id, voiding.event_id) FROM facts AS voiding WHERE voiding.seq = facts.voided_by
    ) AS voided_by,
    (SELECT aliased.participant_id FROM participants AS aliased WHERE aliased.participant = facts.sent_as) AS sent_as,
    facts.scope, facts.type, facts.participant
FROM facts
JOIN scopes ON scopes.scope = facts.scope
JOIN fact_types ON fact_types.type = facts.type
JOIN participants ON participants.participant = facts.participant;
