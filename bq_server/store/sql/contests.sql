-- name: put_end(project, environment, contest_code, due_at)*!
-- What is frozen stays so.
INSERT INTO contest_ends (project, environment, contest_code, due_at)
VALUES (:project, :environment, :contest_code, :due_at)
ON CONFLICT (project, environment, contest_code) DO UPDATE SET due_at = excluded.due_at
WHERE contest_ends.frozen_at IS NULL;

-- name: remove_end(project, environment, contest_code)*!
DELETE FROM contest_ends
WHERE project = :project AND environment = :environment AND contest_code = :contest_code;

-- name: ends(project, environment)
SELECT contest_code, due_at, frozen_at, entries, EXISTS (
    SELECT 1 FROM contest_places
    WHERE contest_places.project = contest_ends.project AND contest_places.environment = contest_ends.environment
        AND contest_places.contest_code = contest_ends.contest_code
) FROM contest_ends
WHERE project = :project AND environment = :environment ORDER BY due_at, contest_code;

-- name: scopes()
-- The environments in which something is still to be done.
SELECT project, environment FROM contest_ends WHERE frozen_at IS NULL
UNION SELECT project, environment FROM contest_places;

-- name: freeze(project, environment, contest_code, frozen_at, entries)!
UPDATE contest_ends SET frozen_at = :frozen_at, entries = :entries
WHERE project = :project AND environment = :environment AND contest_code = :contest_code;

-- name: copy_places(project, environment, contest_code, ranking)!
INSERT INTO contest_places (project, environment, contest_code, place, participant, score, reached_at)
SELECT :project, :environment, :contest_code,
    row_number() OVER (ORDER BY standings.score DESC, standings.reached_at, participants.participant_id),
    standings.participant, standings.score, standings.reached_at
FROM standings JOIN participants ON participants.participant = standings.participant
WHERE standings.ranking = :ranking;

-- name: count_places(project, environment, contest_code)$
SELECT count(*) FROM contest_places
WHERE project = :project AND environment = :environment AND contest_code = :contest_code;

-- name: next_places(project, environment, limit)
SELECT contest_places.contest_code, contest_places.place, participants.participant_id, contest_places.score,
    contest_places.reached_at
FROM contest_places JOIN participants ON participants.participant = contest_places.participant
WHERE contest_places.project = :project AND contest_places.environment = :environment
ORDER BY contest_places.contest_code, contest_places.place LIMIT :limit;

-- name: remove_place(project, environment, contest_code, place)*!
DELETE FROM contest_places
WHERE project = :project AND environment = :environment AND contest_code = :contest_code AND place = :place;

-- name: remove_places_of(participant)!
DELETE FROM contest_places WHERE participant = :participant;

-- name: remove_ends(project, environment)!
DELETE FROM contest_ends WHERE project = :project AND environment = :environment;

-- name: remove_places(project, environment)!
DELETE FROM contest_places WHERE project = :project AND environment = :environment;

-- name: names(project, environment, participants)
-- What participants, given as JSON, are called.
SELECT participants.participant_id, participants.display_name
FROM json_each(:participants) AS given CROSS JOIN scopes CROSS JOIN participants
WHERE scopes.project = :project AND scopes.environment = :environment
    AND participants.scope = scopes.scope AND participants.participant_id = given.value;
