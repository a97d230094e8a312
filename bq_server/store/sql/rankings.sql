-- name: ranking(project, environment, board, time_window, period)$
SELECT rankings.ranking FROM scopes JOIN rankings ON rankings.scope = scopes.scope
WHERE scopes.project = :project AND scopes.environment = :environment
    AND rankings.board = :board AND rankings.time_window = :time_window AND rankings.period = :period;

-- name: ranking_of_teams(project, environment, board, time_window, period)$
SELECT rankings.ranking FROM scopes JOIN rankings ON rankings.scope = -scopes.scope
WHERE scopes.project = :project AND scopes.environment = :environment
    AND rankings.board = :board AND rankings.time_window = :time_window AND rankings.period = :period;

-- name: best(ranking, limit)
-- Ties: who reached the score first.
SELECT participants.participant_id, standings.score, standings.reached_at
FROM standings JOIN participants ON participants.participant = standings.participant
WHERE standings.ranking = :ranking
ORDER BY standings.score DESC, standings.reached_at, participants.participant_id LIMIT :limit;

-- name: after(ranking, score, reached_at, participant_id, limit)
-- The places after one: among its equals, then among those of its score, then below.
SELECT participant_id, score, reached_at FROM (
    SELECT * FROM (
        SELECT participants.participant_id, standings.score, standings.reached_at
        FROM standings JOIN participants ON participants.participant = standings.participant
        WHERE standings.ranking = :ranking AND standings.score = :score AND standings.reached_at = :reached_at
            AND participants.participant_id > :participant_id
        ORDER BY participants.participant_id LIMIT :limit
    ) AS equal
    UNION ALL
    SELECT * FROM (
        SELECT participants.participant_id, standings.score, standings.reached_at
        FROM standings JOIN participants ON participants.participant = standings.participant
        WHERE standings.ranking = :ranking AND standings.score = :score AND standings.reached_at > :reached_at
        ORDER BY standings.reached_at, participants.participant_id LIMIT :limit
    ) AS later
    UNION ALL
    SELECT * FROM (
        SELECT participants.participant_id, standings.score, standings.reached_at
        FROM standings JOIN participants ON participants.participant = standings.participant
        WHERE standings.ranking = :ranking AND standings.score < :score
        ORDER BY standings.score DESC, standings.reached_at, participants.participant_id LIMIT :limit
    ) AS below
) AS found ORDER BY score DESC, reached_at, participant_id LIMIT :limit;

-- name: before(ranking, score, reached_at, participant_id, limit)
-- The places before one, the nearest first.
SELECT participant_id, score, reached_at FROM (
    SELECT * FROM (
        SELECT participants.participant_id, standings.score, standings.reached_at
        FROM standings JOIN participants ON participants.participant = standings.participant
        WHERE standings.ranking = :ranking AND standings.score = :score AND standings.reached_at = :reached_at
            AND participants.participant_id < :participant_id
        ORDER BY participants.participant_id DESC LIMIT :limit
    ) AS equal
    UNION ALL
    SELECT * FROM (
        SELECT participants.participant_id, standings.score, standings.reached_at
        FROM standings JOIN participants ON participants.participant = standings.participant
        WHERE standings.ranking = :ranking AND standings.score = :score AND standings.reached_at < :reached_at
        ORDER BY standings.reached_at DESC, participants.participant_id DESC LIMIT :limit
    ) AS sooner
    UNION ALL
    SELECT * FROM (
        SELECT participants.participant_id, standings.score, standings.reached_at
        FROM standings JOIN participants ON participants.participant = standings.participant
        WHERE standings.ranking = :ranking AND standings.score > :score
        ORDER BY standings.score, standings.reached_at DESC, participants.participant_id DESC LIMIT :limit
    ) AS above
) AS found ORDER BY score, reached_at DESC, participant_id DESC LIMIT :limit;

-- name: place(ranking, participant_id)^
SELECT participants.participant_id, standings.score, standings.reached_at
FROM rankings CROSS JOIN participants CROSS JOIN standings
WHERE rankings.ranking = :ranking
    AND participants.scope = rankings.scope AND participants.participant_id = :participant_id
    AND standings.ranking = rankings.ranking AND standings.participant = participants.participant;

-- name: count(ranking)$
SELECT count(*) FROM standings WHERE ranking = :ranking;

-- name: count_within(ranking, top, since, until, score, from_time, reached_at)$
-- The places from one on, given as score and time, and before another. Counts added, because each is a range of the
-- index; with OR between them, SQLite reads the whole ranking. `until` ends the first range where both have one score;
-- `from_time` then empties the last.
SELECT (
    SELECT count(*) FROM standings
    WHERE ranking = :ranking AND score = :top AND reached_at >= :since AND reached_at <= :until
) + (
    SELECT count(*) FROM standings WHERE ranking = :ranking AND score < :top AND score > :score
) + (
    SELECT count(*) FROM standings
    WHERE ranking = :ranking AND score = :score AND reached_at >= :from_time AND reached_at < :reached_at
);

-- name: count_equals(ranking, score, reached_at, participant_id)$
-- Of those who reached the score at the same moment, how many stand before one by their ids.
SELECT count(*) FROM standings JOIN participants ON participants.participant = standings.participant
WHERE standings.ranking = :ranking AND standings.score = :score AND standings.reached_at = :reached_at
    AND participants.participant_id < :participant_id;

-- name: sections(ranking)
SELECT behind, reached_at, places FROM rank_sections WHERE ranking = :ranking ORDER BY behind, reached_at;

-- name: is_divided(ranking)$
SELECT EXISTS (SELECT 1 FROM rank_sections WHERE ranking = :ranking);

-- name: nth_from(ranking, score, reached_at, nth)^
-- The place so many after one, given as score and time.
SELECT score, reached_at FROM (
    SELECT * FROM (
        SELECT score, reached_at FROM standings
        WHERE ranking = :ranking AND score = :score AND reached_at >= :reached_at
        ORDER BY reached_at LIMIT :nth + 1
    ) AS equal
    UNION ALL
    SELECT * FROM (
        SELECT score, reached_at FROM standings WHERE ranking = :ranking AND score < :score
        ORDER BY score DESC, reached_at LIMIT :nth + 1
    ) AS below
) AS found ORDER BY score DESC, reached_at LIMIT 1 OFFSET :nth;

-- name: put_section(ranking, behind, reached_at, places)*!
INSERT INTO rank_sections (ranking, behind, reached_at, places) VALUES (:ranking, :behind, :reached_at, :places)
ON CONFLICT (ranking, behind, reached_at) DO UPDATE SET places = excluded.places;

-- name: remove_sections(ranking)!
DELETE FROM rank_sections WHERE ranking = :ranking;

-- name: keys_of(ranking, participants)
-- The places of participants, given as JSON, as score and time.
SELECT standings.score, standings.reached_at FROM json_each(:participants) AS given CROSS JOIN standings
WHERE standings.ranking = :ranking AND standings.participant = given.value;

-- name: rankings_within(scope, participant)
-- Where a participant has a place, in sight or not.
SELECT standings.ranking FROM rankings CROSS JOIN standings
WHERE rankings.scope = :scope AND standings.ranking IN (rankings.ranking, -rankings.ranking)
    AND standings.participant = :participant;

-- name: turn_place(ranking, participant)*!
UPDATE standings SET ranking = -ranking WHERE ranking = :ranking AND participant = :participant;

-- name: remove_place(ranking, participant)*!
DELETE FROM standings WHERE ranking = :ranking AND participant = :participant;

-- name: divided(project, environment)
-- The rankings in sections.
SELECT DISTINCT rankings.ranking, rankings.board, rankings.time_window, rankings.period
FROM scopes JOIN rankings ON rankings.scope IN (scopes.scope, -scopes.scope)
JOIN rank_sections ON rank_sections.ranking = rankings.ranking
WHERE scopes.project = :project AND scopes.environment = :environment;
