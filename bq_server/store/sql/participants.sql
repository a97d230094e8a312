-- name: count_events(project, environment, participant_id, count, created_at)*!
INSERT INTO participants (project, environment, participant_id, total_events, created_at)
VALUES (:project, :environment, :participant_id, :count, :created_at)
ON CONFLICT (project, environment, participant_id) DO UPDATE SET
    total_events = participants.total_events + excluded.total_events;

-- name: put_participant(project, environment, participant_id, display_name, avatar_url, attributes, created_at)!
INSERT INTO participants (project, environment, participant_id, display_name, avatar_url, attributes, created_at)
VALUES (:project, :environment, :participant_id, :display_name, :avatar_url, :attributes, :created_at)
ON CONFLICT (project, environment, participant_id) DO UPDATE SET
    display_name = excluded.display_name,
    avatar_url = excluded.avatar_url,
    attributes = excluded.attributes;

-- name: participant(project, environment, participant_id)^
SELECT participant_id, display_name, avatar_url, attributes, total_events, created_at FROM participants
WHERE project = :project AND environment = :environment AND participant_id = :participant_id;

-- name: count_participants(project, environment)$
SELECT count(*) FROM participants WHERE project = :project AND environment = :environment;

-- name: participants_after(project, environment, after, limit)
SELECT participant_id FROM participants
WHERE project = :project AND environment = :environment AND participant_id > :after
ORDER BY participant_id LIMIT :limit;

-- name: scopes_with_participants()
SELECT DISTINCT project, environment FROM participants ORDER BY project, environment;

-- name: facts_of(project, environment, participant_id, fact_types, since)
-- A participant's facts of these types (JSON), in the order of the fold; null types for all.
SELECT * FROM facts
WHERE project = :project AND environment = :environment AND participant_id = :participant_id
    AND occurred_at >= :since
    AND (:fact_types IS NULL OR fact_type IN (SELECT value FROM json_each(:fact_types)))
ORDER BY occurred_at, seq;

-- name: count_listeners(project, environment, listening)$
-- How many participants have a fact of any of these (fact type, after seq) pairs, given as JSON arrays in JSON.
SELECT count(DISTINCT facts.participant_id) FROM json_each(:listening) AS pair
CROSS JOIN facts WHERE facts.project = :project AND facts.environment = :environment
    AND facts.fact_type = pair.value ->> 0 AND facts.seq > pair.value ->> 1;

-- name: put_total_events(project, environment, participant_id, total_events, created_at)!
INSERT INTO participants (project, environment, participant_id, total_events, created_at)
VALUES (:project, :environment, :participant_id, :total_events, :created_at)
ON CONFLICT (project, environment, participant_id) DO UPDATE SET total_events = excluded.total_events;

-- name: named_after(project, environment, after, limit)
-- The next ids that any row of a participant's own names, whether or not the participant is known.
SELECT participant_id FROM (
    SELECT participant_id FROM participants
    WHERE project = :project AND environment = :environment AND participant_id > :after
    ORDER BY participant_id LIMIT :limit
) AS known
UNION SELECT participant_id FROM (
    SELECT DISTINCT participant_id FROM facts
    WHERE project = :project AND environment = :environment AND participant_id > :after
    ORDER BY participant_id LIMIT :limit
) AS with_facts
UNION SELECT participant_id FROM (
    SELECT DISTINCT participant_id FROM cells
    WHERE project = :project AND environment = :environment AND participant_id > :after
    ORDER BY participant_id LIMIT :limit
) AS with_cells
UNION SELECT participant_id FROM (
    SELECT DISTINCT participant_id FROM ledger
    WHERE project = :project AND environment = :environment AND participant_id > :after
    ORDER BY participant_id LIMIT :limit
) AS with_points
ORDER BY participant_id LIMIT :limit;

-- name: every_scope()
SELECT project, environment FROM participants UNION SELECT project, environment FROM facts
UNION SELECT project, environment FROM cells UNION SELECT project, environment FROM ledger
UNION SELECT project, environment FROM standings ORDER BY project, environment;
