-- name: add(ranking, team, participant)!
INSERT INTO group_dues (ranking, team, participant) VALUES (:ranking, :team, :participant) ON CONFLICT DO NOTHING;

-- name: add_members(ranking, team)!
-- Everybody who took part.
INSERT INTO group_dues (ranking, team, participant)
SELECT team_scores.ranking, team_scores.team, team_scores.participant FROM team_scores
WHERE team_scores.ranking = :ranking AND team_scores.team = :team
ON CONFLICT DO NOTHING;

-- name: scopes()
-- The environments in which somebody is to be looked at.
SELECT DISTINCT scopes.project, scopes.environment
FROM group_dues JOIN rankings ON rankings.ranking = group_dues.ranking JOIN scopes ON scopes.scope = -rankings.scope;

-- name: due(project, environment, limit)
-- Few are due at any time, and rankings of teams are many.
SELECT group_dues.ranking, group_dues.team, group_dues.participant, rankings.board, teams.participant_id,
    participants.participant_id, team_totals.total
FROM group_dues CROSS JOIN rankings CROSS JOIN scopes CROSS JOIN participants CROSS JOIN participants AS teams
LEFT JOIN team_totals ON team_totals.ranking = group_dues.ranking AND team_totals.team = group_dues.team
WHERE rankings.ranking = group_dues.ranking AND scopes.scope = -rankings.scope
    AND participants.participant = group_dues.participant AND teams.participant = group_dues.team
    AND scopes.project = :project AND scopes.environment = :environment
ORDER BY group_dues.ranking, group_dues.team, group_dues.participant LIMIT :limit;

-- name: remove(ranking, team, participant)*!
DELETE FROM group_dues WHERE ranking = :ranking AND team = :team AND participant = :participant;

-- name: remove_of(participant)!
DELETE FROM group_dues WHERE participant = :participant;

-- name: remove_dues(ranking)!
DELETE FROM group_dues WHERE ranking = :ranking;

-- name: took_part(ranking, team, participant)$
SELECT 1 FROM team_scores WHERE ranking = :ranking AND team = :team AND participant = :participant;

-- name: newest(ranking, team)$
-- When the newest event was that added something.
SELECT max(reached_at) FROM team_scores WHERE ranking = :ranking AND team = :team;

-- name: step(ranking, team)^
SELECT revision, reached FROM group_steps WHERE ranking = :ranking AND team = :team;

-- name: put_step(ranking, team, revision, reached)!
INSERT INTO group_steps (ranking, team, revision, reached) VALUES (:ranking, :team, :revision, :reached)
ON CONFLICT (ranking, team) DO UPDATE SET revision = excluded.revision, reached = excluded.reached;

-- name: remove_step(ranking, team)!
DELETE FROM group_steps WHERE ranking = :ranking AND team = :team;

-- name: remove_steps(ranking)!
DELETE FROM group_steps WHERE ranking = :ranking;

-- name: shares_of(participant)
-- The groups to which a participant has added something, with all that was added to each, and whether any member of
-- it is still to be looked at.
SELECT rankings.board, teams.participant_id, team_totals.total, team_scores.ranking, team_scores.team, EXISTS (
    SELECT 1 FROM group_dues
    WHERE group_dues.ranking = team_scores.ranking AND group_dues.team = team_scores.team
)
FROM team_scores
JOIN rankings ON rankings.ranking = team_scores.ranking
JOIN team_boards ON team_boards.ranking = rankings.ranking AND team_boards.combine = 'shared'
JOIN participants AS teams ON teams.participant = team_scores.team
JOIN team_totals ON team_totals.ranking = team_scores.ranking AND team_totals.team = team_scores.team
WHERE team_scores.participant = :participant
ORDER BY rankings.board, teams.participant_id;

-- name: total(project, environment, board, name)^
-- What the members of a group have added up, and how many they are.
SELECT team_totals.total, team_totals.members
FROM scopes JOIN rankings ON rankings.scope = -scopes.scope AND rankings.board = :board
JOIN participants AS teams ON teams.scope = -scopes.scope AND teams.participant_id = :name
JOIN team_totals ON team_totals.ranking = rankings.ranking AND team_totals.team = teams.participant
WHERE scopes.project = :project AND scopes.environment = :environment;
