-- name: put_streaks(project, environment, participant_id, code, longest, fact_id, occurred_at)!
INSERT INTO watched_streaks (project, environment, participant_id, code, longest, fact_id, occurred_at)
VALUES (:project, :environment, :participant_id, :code, :longest, :fact_id, :occurred_at)
ON CONFLICT (project, environment, participant_id, code) DO UPDATE SET
    longest = excluded.longest,
    fact_id = excluded.fact_id,
    occurred_at = excluded.occurred_at,
    breaks_at = 0,
    told = 0;

-- name: broken_of(project, environment, participants, now)
-- Streaks of these participants, given as JSON, that broke before now and were not told of.
SELECT participant_id, code, longest, fact_id, occurred_at, breaks_at, told FROM json_each(:participants) AS given
CROSS JOIN watched_streaks WHERE project = :project AND environment = :environment
    AND participant_id = given.value AND breaks_at > 0 AND breaks_at <= :now AND told = 0;

-- name: mark_told(project, environment, participant_id, code)*!
UPDATE watched_streaks SET told = 1, breaks_at = 0
WHERE project = :project AND environment = :environment AND participant_id = :participant_id AND code = :code;

-- name: look_again(project, environment, participants)!
-- Streaks of these participants, given as JSON, that were told to be broken: they may have begun anew.
UPDATE watched_streaks SET breaks_at = 0 WHERE project = :project AND environment = :environment
    AND participant_id IN (SELECT value FROM json_each(:participants)) AND told = 1 AND breaks_at > 0;

-- name: forget_when_of(project, environment, participants)!
UPDATE watched_streaks SET breaks_at = 0 WHERE project = :project AND environment = :environment
    AND participant_id IN (SELECT value FROM json_each(:participants));

-- name: forget_when(project, environment)!
UPDATE watched_streaks SET breaks_at = 0 WHERE project = :project AND environment = :environment;

-- name: due(project, environment, now, limit)
SELECT participant_id, code, longest, fact_id, occurred_at, breaks_at, told FROM watched_streaks
WHERE project = :project AND environment = :environment AND breaks_at <= :now ORDER BY breaks_at LIMIT :limit;

-- name: next_due(project, environment)$
SELECT min(breaks_at) FROM watched_streaks WHERE project = :project AND environment = :environment;

-- name: put_when(project, environment, participant_id, code, breaks_at, told)*!
UPDATE watched_streaks SET breaks_at = :breaks_at, told = :told
WHERE project = :project AND environment = :environment AND participant_id = :participant_id AND code = :code;

-- name: remove(project, environment, participant_id, code)*!
DELETE FROM watched_streaks
WHERE project = :project AND environment = :environment AND participant_id = :participant_id AND code = :code;

-- name: remove_all(project, environment)!
DELETE FROM watched_streaks WHERE project = :project AND environment = :environment;

-- name: scopes()
SELECT DISTINCT project, environment FROM watched_streaks;
