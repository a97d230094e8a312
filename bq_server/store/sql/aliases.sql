-- name: scopes()
-- The environments that have aliases.
SELECT project, environment FROM scopes WHERE scope IN (SELECT aliases.scope FROM aliases);

-- name: stories_of(project, environment, names)
-- In whose story these names, given as JSON, stand; names that are no alias are left out.
WITH RECURSIVE chain (name, participant) AS (
    SELECT participants.participant_id, aliases.participant
    FROM json_each(:names) AS given CROSS JOIN scopes CROSS JOIN participants CROSS JOIN aliases
    WHERE scopes.project = :project AND scopes.environment = :environment
        AND participants.scope = scopes.scope AND participants.participant_id = given.value
        AND aliases.alias = participants.participant
    UNION
    SELECT chain.name, aliases.participant FROM chain JOIN aliases ON aliases.alias = chain.participant
)
SELECT chain.name, participants.participant_id
FROM chain JOIN participants ON participants.participant = chain.participant
WHERE NOT EXISTS (SELECT 1 FROM aliases WHERE aliases.alias = chain.participant);

-- name: alias(project, environment, name)^
-- Whom a name stands for, and the fact that says so.
SELECT participants.participant_id, coalesce(facts.fact_id, facts.event_id)
FROM scopes JOIN participants AS named ON named.scope = scopes.scope AND named.participant_id = :name
JOIN aliases ON aliases.alias = named.participant
JOIN participants ON participants.participant = aliases.participant
JOIN facts ON facts.seq = aliases.fact
WHERE scopes.project = :project AND scopes.environment = :environment;

-- name: names_in(participant)
-- The names whose story is that of a participant, with that one's own.
WITH RECURSIVE below (participant) AS (
    SELECT CAST(:participant AS BIGINT)
    UNION
    SELECT aliases.alias FROM below JOIN aliases ON aliases.participant = below.participant
)
SELECT below.participant, participants.participant_id, aliases.participant, aliases.fact, aliases.known
FROM below JOIN participants ON participants.participant = below.participant
LEFT JOIN aliases ON aliases.alias = below.participant
ORDER BY participants.participant_id;

-- name: story_of_number(participant)$
-- In whose story a participant's facts are.
WITH RECURSIVE chain (participant) AS (
    SELECT CAST(:participant AS BIGINT)
    UNION
    SELECT aliases.participant FROM chain JOIN aliases ON aliases.alias = chain.participant
)
SELECT chain.participant FROM chain WHERE NOT EXISTS (SELECT 1 FROM aliases WHERE aliases.alias = chain.participant);

-- name: told(participant)
-- The facts in a participant's story that say whom a name stands for, and are not void: with the name, and for whom.
SELECT facts.seq, facts.properties, coalesce(facts.sent_as, facts.participant)
FROM participants CROSS JOIN fact_types CROSS JOIN facts
WHERE participants.participant = :participant
    AND fact_types.scope = participants.scope AND fact_types.fact_type = 'system.participant_aliased'
    AND facts.participant = participants.participant AND facts.type = fact_types.type AND facts.voided_by IS NULL
ORDER BY facts.seq;

-- name: tellers(project, environment)
-- Whose facts say whom a name stands for.
SELECT DISTINCT facts.participant FROM scopes
JOIN fact_types ON fact_types.scope = scopes.scope AND fact_types.fact_type = 'system.participant_aliased'
JOIN facts ON facts.type = fact_types.type
JOIN participants ON participants.participant = facts.participant AND participants.participant_id <> ''
WHERE scopes.project = :project AND scopes.environment = :environment;

-- name: participant(scope, name)^
SELECT participant, known FROM participants WHERE scope = :scope AND participant_id = :name;

-- name: add_participant(scope, name, created_at)!
-- Who isn't known yet, but is named.
INSERT INTO participants (scope, participant_id, created_at, known) VALUES (:scope, :name, :created_at, 0)
ON CONFLICT DO NOTHING;

-- name: add(alias, scope, participant, fact, known)!
INSERT INTO aliases (alias, scope, participant, fact, known) VALUES (:alias, :scope, :participant, :fact, :known);

-- name: remove(alias)!
DELETE FROM aliases WHERE alias = :alias;

-- name: move_facts(name, story, sent_as)!
-- Put what was sent under a name into a story.
UPDATE facts SET participant = :story, sent_as = :sent_as
WHERE seq IN (
    SELECT own.seq FROM facts AS own WHERE own.participant = :name AND own.sent_as IS NULL
    UNION ALL SELECT same.seq FROM facts AS same WHERE same.sent_as = :name
);

-- name: put_sent_as(seq, sent_as)*!
UPDATE facts SET sent_as = :sent_as WHERE seq = :seq;

-- name: sent_as(participant)
-- The names under which facts in a story were sent.
SELECT DISTINCT named.participant, named.participant_id
FROM (SELECT DISTINCT coalesce(sent_as, participant) AS name FROM facts WHERE facts.participant = :participant) AS sent
JOIN participants AS named ON named.participant = sent.name
WHERE named.participant_id <> ''
ORDER BY named.participant_id;

-- name: story(participant)
-- All of a participant's own facts, in the order of the fold.
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids
FROM facts JOIN fact_types ON fact_types.type = facts.type
WHERE facts.participant = :participant ORDER BY facts.occurred_at, facts.seq;

-- name: clear(participant, known)!
-- A name that stands for somebody else has no state.
UPDATE participants SET state = '{}', total_events = 0, known = coalesce(CAST(:known AS BIGINT), known)
WHERE participant = :participant;

-- name: remove_cells(participant)!
DELETE FROM cells WHERE participant = :participant;

-- name: remove_ledger(participant)!
DELETE FROM ledger WHERE participant = :participant;

-- name: marks(participant)
SELECT seq, voided_by FROM facts WHERE participant = :participant AND voided_by IS NOT NULL;

-- name: state_of(participant)^
SELECT participant_id, state FROM participants WHERE participant = :participant;
