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

-- name: remove_boards(project, environment, board)*!
DELETE FROM standings WHERE ranking IN (
    SELECT ranking FROM rankings JOIN scopes ON scopes.scope = rankings.scope
    WHERE scopes.project = :project AND scopes.environment = :environment AND rankings.board = :board
);

-- name: top_standings(project, environment, board, time_window, period, limit)
-- Ties: who reached the score first.
SELECT participants.participant_id, standings.score, standings.reached_at
FROM standings JOIN participants ON participants.participant = standings.participant
WHERE standings.ranking = (
    SELECT ranking FROM rankings JOIN scopes ON scopes.scope = rankings.scope
    WHERE scopes.project = :project AND scopes.environment = :environment AND rankings.board = :board
        AND rankings.time_window = :time_window AND rankings.period = :period
)
ORDER BY standings.score DESC, standings.reached_at, participants.participant_id LIMIT :limit;

-- name: count_standings(project, environment, board, time_window, period)$
SELECT count(*) FROM standings WHERE ranking = (
    SELECT ranking FROM rankings JOIN scopes ON scopes.scope = rankings.scope
    WHERE scopes.project = :project AND scopes.environment = :environment AND rankings.board = :board
        AND rankings.time_window = :time_window AND rankings.period = :period
);

-- name: standing(project, environment, board, time_window, period, participant_id)^
SELECT participants.participant_id, standings.score, standings.reached_at, standings.ranking
FROM scopes CROSS JOIN rankings CROSS JOIN participants CROSS JOIN standings
WHERE scopes.project = :project AND scopes.environment = :environment
    AND rankings.scope = scopes.scope AND rankings.board = :board AND rankings.time_window = :time_window
    AND rankings.period = :period
    AND participants.scope = scopes.scope AND participants.participant_id = :participant_id
    AND standings.ranking = rankings.ranking AND standings.participant = participants.participant;

-- name: count_ahead(ranking, participant_id, score, reached_at)$
-- Counts added, because each is a range of the index; with OR between them, SQLite reads the whole ranking.
SELECT (
    SELECT count(*) FROM standings WHERE ranking = :ranking AND score > :score
) + (
    SELECT count(*) FROM standings WHERE ranking = :ranking AND score = :score AND reached_at < :reached_at
) + (
    SELECT count(*) FROM standings JOIN participants ON participants.participant = standings.participant
    WHERE standings.ranking = :ranking AND standings.score = :score AND standings.reached_at = :reached_at
        AND participants.participant_id < :participant_id
);

-- name: ranks(project, environment, board, time_window, period, participants)
-- Where participants, given as a JSON array, stand: one pass over the ranking, however many they are.
SELECT participant_id, place FROM (
    SELECT participants.participant_id, row_number() OVER (
        ORDER BY standings.score DESC, standings.reached_at, participants.participant_id
    ) AS place
    FROM standings JOIN participants ON participants.participant = standings.participant
    WHERE standings.ranking = (
        SELECT ranking FROM rankings JOIN scopes ON scopes.scope = rankings.scope
        WHERE scopes.project = :project AND scopes.environment = :environment AND rankings.board = :board
            AND rankings.time_window = :time_window AND rankings.period = :period
    )
) AS placed WHERE participant_id IN (SELECT value FROM json_each(:participants));

-- name: places_of(participant, boards)
-- A participant's places on boards, given as JSON, in every window and period.
SELECT rankings.board, rankings.time_window, rankings.period, standings.score, standings.reached_at, standings.exact
FROM json_each(:boards) AS given
CROSS JOIN participants CROSS JOIN rankings CROSS JOIN standings
WHERE participants.participant = :participant
    AND rankings.scope = participants.scope AND rankings.board = given.value
    AND standings.ranking = rankings.ranking AND standings.participant = participants.participant;

-- name: places_after(project, environment, ranking, participant, limit)
-- The next places of all rankings, by the integers of ranking and participant, each with the participant's state.
SELECT standings.ranking, standings.participant, rankings.board, rankings.time_window, rankings.period,
    participants.participant_id, standings.score, standings.reached_at, standings.exact, participants.state
FROM standings
CROSS JOIN rankings ON rankings.ranking = standings.ranking
CROSS JOIN participants ON participants.participant = standings.participant
WHERE rankings.scope = (SELECT scope FROM scopes WHERE project = :project AND environment = :environment)
    AND (standings.ranking, standings.participant) > (:ranking, :participant)
ORDER BY standings.ranking, standings.participant LIMIT :limit;
