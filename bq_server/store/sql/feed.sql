-- name: head()^
-- The place after all that is there: the seq and the notice given last, those of rows that were removed included. Up to
-- that seq no fact is still to come.
SELECT
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'facts'), 0),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'notices'), 0);

-- name: facts_after(project, environment, seq, until, limit)
SELECT * FROM fact_rows
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    AND seq > :seq AND seq <= :until
ORDER BY seq LIMIT :limit;

-- name: notices_after(project, environment, notice, limit)
SELECT after_seq, notice, kind, participant_id, event_name, noted_at, data FROM notices
WHERE project = :project AND environment = :environment AND notice > :notice
ORDER BY notice LIMIT :limit;

-- name: add_notice(project, environment, kind, participant_id, event_name, noted_at, data)!
INSERT INTO notices (project, environment, after_seq, kind, participant_id, event_name, noted_at, data)
VALUES (
    :project, :environment, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'facts'), 0), :kind,
    :participant_id, :event_name, :noted_at, :data
);

-- name: remove_old_notices(project, environment, most)!
-- All but those of recomputed definitions, which are kept for ever, as facts are.
DELETE FROM notices WHERE project = :project AND environment = :environment AND kind <> 'effects.recomputed'
AND notice <= (
    SELECT notice FROM notices
    WHERE project = :project AND environment = :environment AND kind <> 'effects.recomputed'
    ORDER BY notice DESC LIMIT 1 OFFSET :most
);

-- name: notices_of(project, environment, participant_id)
SELECT after_seq, notice, kind, participant_id, event_name, noted_at, data FROM notices
WHERE project = :project AND environment = :environment AND participant_id = :participant_id
ORDER BY notice;

-- name: remove_notices_of(project, environment, participant_id)!
DELETE FROM notices WHERE project = :project AND environment = :environment AND participant_id = :participant_id;

-- name: remove_notices(project, environment)!
DELETE FROM notices WHERE project = :project AND environment = :environment;
