-- name: states_of(project, environment, participants)
-- What is stored of participants, given as JSON.
SELECT participants.participant_id, participants.state
FROM json_each(:participants) AS given CROSS JOIN scopes CROSS JOIN participants
WHERE scopes.project = :project AND scopes.environment = :environment
    AND participants.scope = scopes.scope AND participants.participant_id = given.value;

-- name: state_of(participant)$
SELECT state FROM participants WHERE participant = :participant;

-- name: cells_of(participant, prefixes)
-- The cells kept apart of a participant whose names start with any of these, given as JSON.
SELECT cells.cell, cells.value FROM json_each(:prefixes) AS prefix
CROSS JOIN cells WHERE cells.participant = :participant
    AND cells.cell >= prefix.value AND cells.cell < prefix.value || char(1114111);

-- name: cells_named(project, environment, participant_id, names)
-- The cells kept apart of a participant that have these names, given as JSON.
SELECT cells.cell, cells.value FROM scopes CROSS JOIN participants CROSS JOIN json_each(:names) AS given CROSS JOIN cells
WHERE scopes.project = :project AND scopes.environment = :environment
    AND participants.scope = scopes.scope AND participants.participant_id = :participant_id
    AND cells.participant = participants.participant AND cells.cell = given.value;

-- name: remove_sections_of_boards(project, environment, board)*!
DELETE FROM rank_sections WHERE ranking IN (
    SELECT ranking FROM rankings JOIN scopes ON scopes.scope = rankings.scope
    WHERE scopes.project = :project AND scopes.environment = :environment AND rankings.board = :board
);

-- name: remove_boards(project, environment, board)*!
DELETE FROM standings WHERE ranking IN (
    SELECT ranking FROM rankings JOIN scopes ON scopes.scope = rankings.scope
    WHERE scopes.project = :project AND scopes.environment = :environment AND rankings.board = :board
    UNION ALL
    SELECT -ranking FROM rankings JOIN scopes ON scopes.scope = rankings.scope
    WHERE scopes.project = :project AND scopes.environment = :environment AND rankings.board = :board
);

-- name: places_of(participant, boards)
-- A participant's places on boards, given as JSON, in every window and period, in sight or not.
SELECT rankings.board, rankings.time_window, rankings.period, standings.score, standings.reached_at, standings.exact,
    standings.ranking < 0
FROM json_each(:boards) AS given
CROSS JOIN participants CROSS JOIN rankings CROSS JOIN standings
WHERE participants.participant = :participant
    AND rankings.scope = participants.scope AND rankings.board = given.value
    AND standings.ranking IN (rankings.ranking, -rankings.ranking)
    AND standings.participant = participants.participant;

-- name: places_after(project, environment, ranking, participant, limit)
-- The next places of all rankings, by the integers of ranking and participant, each with the participant's state.
SELECT standings.ranking, standings.participant, rankings.board, rankings.time_window, rankings.period,
    participants.participant_id, standings.score, standings.reached_at, standings.exact, standings.ranking < 0,
    participants.state
FROM standings
CROSS JOIN rankings ON rankings.ranking = abs(standings.ranking)
CROSS JOIN participants ON participants.participant = standings.participant
WHERE rankings.scope = (SELECT scope FROM scopes WHERE project = :project AND environment = :environment)
    AND (standings.ranking, standings.participant) > (:ranking, :participant)
ORDER BY standings.ranking, standings.participant LIMIT :limit;
