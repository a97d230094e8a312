-- name: put_participant(project, environment, participant_id, display_name, avatar_url, attributes, created_at)!
INSERT INTO participants (scope, participant_id, display_name, avatar_url, attributes, created_at)
SELECT scope, :participant_id, :display_name, :avatar_url, :attributes, :created_at FROM scopes
WHERE project = :project AND environment = :environment
ON CONFLICT (scope, participant_id) DO UPDATE SET
    display_name = excluded.display_name,
    avatar_url = excluded.avatar_url,
    attributes = excluded.attributes,
    created_at = CASE WHEN participants.known = 1 THEN participants.created_at ELSE excluded.created_at END,
    known = 1;

-- name: participant(project, environment, participant_id)^
SELECT participant_id, display_name, avatar_url, attributes, total_events, created_at, participant, known
FROM participants
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    AND participant_id = :participant_id;

-- name: count_participants(project, environment)$
SELECT count(*) FROM participants
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment) AND known = 1;

-- name: participants_after(project, environment, after, limit)
SELECT participant_id FROM participants
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    AND known = 1 AND participant_id > :after
ORDER BY participant_id LIMIT :limit;

-- name: page_of_participants(project, environment, after, search, looked_at, limit)
-- Of the next participants by id, as many as are looked at, those whose id or name holds the text.
SELECT participant_id, display_name, avatar_url, attributes, total_events, created_at FROM (
    SELECT * FROM participants
    WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
        AND known = 1 AND participant_id > :after
    ORDER BY participant_id LIMIT :looked_at
) AS looked
WHERE :search = '' OR instr(lower(participant_id), lower(:search)) > 0
    OR instr(lower(coalesce(display_name, '')), lower(:search)) > 0
ORDER BY participant_id LIMIT :limit;

-- name: last_looked_at(project, environment, after, looked_at)$
-- The last of as many of the next participants, where there are so many.
SELECT participant_id FROM participants
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    AND known = 1 AND participant_id > :after
ORDER BY participant_id LIMIT 1 OFFSET :looked_at - 1;

-- name: facts_of(project, environment, participant_id, fact_types, since)
-- A participant's facts of these types (JSON), in the order of the fold; null types for all.
SELECT * FROM fact_rows
WHERE participant = (
    SELECT participants.participant FROM participants JOIN scopes ON scopes.scope = participants.scope
    WHERE scopes.project = :project AND scopes.environment = :environment
        AND participants.participant_id = :participant_id
) AND occurred_at >= :since
    AND (:fact_types IS NULL OR fact_type IN (SELECT value FROM json_each(:fact_types)))
ORDER BY occurred_at, seq;

-- name: count_listeners(project, environment, listening)$
-- How many participants have a fact of any of these (fact type, after seq) pairs, given as JSON arrays in JSON. Nobody,
-- whose the facts of erased participants are, is none.
SELECT count(DISTINCT nullif(facts.participant, (
    SELECT participants.participant FROM participants
    WHERE participants.scope = scopes.scope AND participants.participant_id = ''
))) FROM json_each(:listening) AS pair
CROSS JOIN scopes CROSS JOIN fact_types CROSS JOIN facts
WHERE scopes.project = :project AND scopes.environment = :environment
    AND fact_types.scope = scopes.scope AND fact_types.fact_type = pair.value ->> 0
    AND facts.type = fact_types.type AND facts.seq > pair.value ->> 1;

-- name: put_total_events(participant, total_events, created_at)!
UPDATE participants SET
    total_events = :total_events,
    created_at = CASE WHEN known = 1 THEN created_at ELSE :created_at END,
    known = 1
WHERE participant = :participant;

-- name: named_after(project, environment, after, limit)
-- The next participants of whom any row tells, whether or not they are known.
SELECT participant_id, participant FROM participants
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    AND participant_id > :after
ORDER BY participant_id LIMIT :limit;

-- name: every_scope()
SELECT project, environment FROM scopes
WHERE scope IN (SELECT participants.scope FROM participants) ORDER BY project, environment;
