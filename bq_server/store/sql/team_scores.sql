-- name: put_board(ranking, combine, unit, ascending)!
INSERT INTO team_boards (ranking, combine, unit, ascending) VALUES (:ranking, :combine, :unit, :ascending)
ON CONFLICT (ranking) DO UPDATE SET
    combine = excluded.combine,
    unit = excluded.unit,
    ascending = excluded.ascending;

-- name: board(ranking)^
SELECT combine, unit, ascending FROM team_boards WHERE ranking = :ranking;

-- name: add_team(scope, name, now)!
-- The scope is a negated one.
INSERT INTO participants (scope, participant_id, created_at, known) VALUES (:scope, :name, :now, 0)
ON CONFLICT DO NOTHING;

-- name: team(scope, name)$
SELECT participant FROM participants WHERE scope = :scope AND participant_id = :name;

-- name: own(ranking, hidden, team, participant)^
-- A member's score, in sight or not.
SELECT ranking, exact FROM team_scores
WHERE ranking IN (:ranking, :hidden) AND team = :team AND participant = :participant;

-- name: put_score(ranking, team, participant, score, reached_at, exact)!
INSERT INTO team_scores (ranking, team, participant, score, reached_at, exact)
VALUES (:ranking, :team, :participant, :score, :reached_at, :exact)
ON CONFLICT (ranking, team, participant) DO UPDATE SET
    score = excluded.score,
    reached_at = excluded.reached_at,
    exact = excluded.exact;

-- name: remove_score(ranking, team, participant)!
DELETE FROM team_scores WHERE ranking = :ranking AND team = :team AND participant = :participant;

-- name: turn_score(ranking, team, participant)!
UPDATE team_scores SET ranking = -ranking
WHERE ranking = :ranking AND team = :team AND participant = :participant;

-- name: total(ranking, team)^
SELECT members, total FROM team_totals WHERE ranking = :ranking AND team = :team;

-- name: put_total(ranking, team, members, total)!
INSERT INTO team_totals (ranking, team, members, total) VALUES (:ranking, :team, :members, :total)
ON CONFLICT (ranking, team) DO UPDATE SET members = excluded.members, total = excluded.total;

-- name: remove_total(ranking, team)!
DELETE FROM team_totals WHERE ranking = :ranking AND team = :team;

-- name: best(ranking, team)^
-- The best score of a member, and when it was first reached.
SELECT score, reached_at FROM team_scores WHERE ranking = :ranking AND team = :team
ORDER BY score DESC, reached_at LIMIT 1;

-- name: newest(ranking, team, never)$
-- When the newest change of a member's score was; null if there was none.
SELECT reached_at FROM team_scores WHERE ranking = :ranking AND team = :team AND reached_at < :never
ORDER BY reached_at DESC LIMIT 1;

-- name: place(ranking, team)^
SELECT score, reached_at FROM standings WHERE ranking = :ranking AND participant = :team;

-- name: put_place(ranking, team, score, reached_at)!
INSERT INTO standings (ranking, participant, score, reached_at) VALUES (:ranking, :team, :score, :reached_at)
ON CONFLICT (ranking, participant) DO UPDATE SET score = excluded.score, reached_at = excluded.reached_at;

-- name: remove_place(ranking, team)!
DELETE FROM standings WHERE ranking = :ranking AND participant = :team;

-- name: of_participant(participant)
-- What a participant has scored for teams, in sight or not.
SELECT team_scores.ranking, team_scores.team, rankings.board, rankings.time_window, rankings.period,
    teams.participant_id, team_scores.score, team_scores.reached_at, team_scores.exact
FROM team_scores
JOIN rankings ON rankings.ranking = abs(team_scores.ranking)
JOIN participants AS teams ON teams.participant = team_scores.team
WHERE team_scores.participant = :participant
ORDER BY team_scores.ranking, team_scores.team;

-- name: members(ranking, name)$
-- How many members in sight a team has.
SELECT team_totals.members
FROM rankings, participants AS teams, team_totals
WHERE rankings.ranking = :ranking AND teams.scope = rankings.scope AND teams.participant_id = :name
    AND team_totals.ranking = rankings.ranking AND team_totals.team = teams.participant;

-- name: rankings_of_teams(project, environment)
SELECT team_boards.ranking, rankings.board, rankings.time_window, rankings.period
FROM scopes JOIN rankings ON rankings.scope = -scopes.scope
JOIN team_boards ON team_boards.ranking = rankings.ranking
WHERE scopes.project = :project AND scopes.environment = :environment
ORDER BY team_boards.ranking;

-- name: scores_of(ranking)
-- Everything that counts in a ranking of teams, team by team.
SELECT team, exact, score, reached_at FROM team_scores WHERE ranking = :ranking ORDER BY team;

-- name: totals_of(ranking)
SELECT team, members, total FROM team_totals WHERE ranking = :ranking;

-- name: places_of(ranking)
SELECT participant, score, reached_at FROM standings WHERE ranking = :ranking;

-- name: name_of(team)$
SELECT participant_id FROM participants WHERE participant = :team;

-- name: rankings_of_board(project, environment, board)
SELECT rankings.ranking FROM scopes JOIN rankings ON rankings.scope = -scopes.scope
WHERE scopes.project = :project AND scopes.environment = :environment AND rankings.board = :board;

-- name: remove_scores(ranking, hidden)!
DELETE FROM team_scores WHERE ranking IN (:ranking, :hidden);

-- name: remove_totals(ranking)!
DELETE FROM team_totals WHERE ranking = :ranking;

-- name: remove_board(ranking)!
DELETE FROM team_boards WHERE ranking = :ranking;

-- name: remove_standings(ranking)!
DELETE FROM standings WHERE ranking = :ranking;

-- name: remove_cells(project, environment, since, until)!
-- Cells kept apart whose names lie between two.
DELETE FROM cells WHERE participant IN (
    SELECT participants.participant FROM participants JOIN scopes ON scopes.scope = participants.scope
    WHERE scopes.project = :project AND scopes.environment = :environment
) AND cell >= :since AND cell < :until;
