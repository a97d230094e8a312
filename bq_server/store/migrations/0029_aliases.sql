-- Names that stand for another participant, who may stand for one in turn: what is sent under them is in that one's story.
CREATE TABLE aliases (
    -- The participant whose id is the name.
    alias INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    -- Whom it stands for.
    participant INTEGER NOT NULL,
    -- The fact that says so.
    fact INTEGER NOT NULL,
    -- Whether the alias was known to the API before.
    known INTEGER NOT NULL
);
CREATE INDEX aliases_of_participant ON aliases (participant);
CREATE INDEX aliases_of_scope ON aliases (scope);

-- The participant under whose name a fact was sent, where that isn't the one in whose story it is. Which story that is
-- follows from the aliases; the name is what the checksum is made of.
ALTER TABLE facts ADD COLUMN sent_as INTEGER;
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
