-- name: cells_of(project, environment, wanted)
-- The cells named by (participant id, cell) pairs, given as JSON arrays in JSON.
SELECT cells.participant_id, cells.cell, cells.value FROM json_each(:wanted) AS pair
CROSS JOIN cells WHERE cells.project = :project AND cells.environment = :environment
    AND cells.participant_id = pair.value ->> 0 AND cells.cell = pair.value ->> 1;

-- name: cells_under(project, environment, participant_id, prefixes)
-- The cells of a participant whose names start with any of these, given as JSON.
SELECT cells.cell, cells.value FROM json_each(:prefixes) AS prefix
CROSS JOIN cells WHERE cells.project = :project AND cells.environment = :environment
    AND cells.participant_id = :participant_id
    AND cells.cell >= prefix.value AND cells.cell < prefix.value || char(1114111);

-- name: every_cell(project, environment, participant_id)
SELECT cell, value FROM cells
WHERE project = :project AND environment = :environment AND participant_id = :participant_id;

-- name: put_cells(project, environment, participant_id, cell, value)*!
INSERT INTO cells (project, environment, participant_id, cell, value)
VALUES (:project, :environment, :participant_id, :cell, :value)
ON CONFLICT (project, environment, participant_id, cell) DO UPDATE SET value = excluded.value;

-- name: remove_cells(project, environment, participant_id, cell)*!
DELETE FROM cells
WHERE project = :project AND environment = :environment AND participant_id = :participant_id AND cell = :cell;

-- name: put_standings(project, environment, board, time_window, period, participant_id, score, reached_at)*!
INSERT INTO standings (project, environment, board, time_window, period, participant_id, score, reached_at)
VALUES (:project, :environment, :board, :time_window, :period, :participant_id, :score, :reached_at)
ON CONFLICT (project, environment, board, time_window, period, participant_id) DO UPDATE SET
    score = excluded.score,
    reached_at = excluded.reached_at;

-- name: remove_standings(project, environment, board, time_window, period, participant_id)*!
DELETE FROM standings
WHERE project = :project AND environment = :environment AND board = :board AND time_window = :time_window
    AND period = :period AND participant_id = :participant_id;

-- name: remove_boards(project, environment, board)*!
DELETE FROM standings WHERE project = :project AND environment = :environment AND board = :board;

-- name: top_standings(project, environment, board, time_window, period, limit)
-- Ties: who reached the score first.
SELECT participant_id, score, reached_at FROM standings
WHERE project = :project AND environment = :environment AND board = :board AND time_window = :time_window
    AND period = :period
ORDER BY score DESC, reached_at, participant_id LIMIT :limit;

-- name: count_standings(project, environment, board, time_window, period)$
SELECT count(*) FROM standings
WHERE project = :project AND environment = :environment AND board = :board AND time_window = :time_window
    AND period = :period;

-- name: standing(project, environment, board, time_window, period, participant_id)^
SELECT participant_id, score, reached_at FROM standings
WHERE project = :project AND environment = :environment AND board = :board AND time_window = :time_window
    AND period = :period AND participant_id = :participant_id;

-- name: count_ahead(project, environment, board, time_window, period, participant_id, score, reached_at)$
-- Two counts, because each is a range of the index; with OR between them, SQLite reads the whole ranking.
SELECT (
    SELECT count(*) FROM standings
    WHERE project = :project AND environment = :environment AND board = :board AND time_window = :time_window
        AND period = :period AND score > :score
) + (
    SELECT count(*) FROM standings
    WHERE project = :project AND environment = :environment AND board = :board AND time_window = :time_window
        AND period = :period AND score = :score AND (reached_at, participant_id) < (:reached_at, :participant_id)
);

-- name: ranks(project, environment, board, time_window, period, participants)
-- Where participants, given as a JSON array, stand: one pass over the ranking, however many they are.
SELECT participant_id, place FROM (
    SELECT participant_id, row_number() OVER (ORDER BY score DESC, reached_at, participant_id) AS place FROM standings
    WHERE project = :project AND environment = :environment AND board = :board AND time_window = :time_window
        AND period = :period
) WHERE participant_id IN (SELECT value FROM json_each(:participants));

-- name: add_entries(transaction_id, project, environment, participant_id, cause, amount, balance, fact_id, seq, occurred_at, created_at)*!
INSERT INTO ledger (
    transaction_id, project, environment, participant_id, cause, amount, balance, fact_id, seq, occurred_at, created_at
) VALUES (
    :transaction_id, :project, :environment, :participant_id, :cause, :amount, :balance, :fact_id, :seq,
    :occurred_at, :created_at
);

-- name: entries(project, environment, participant_id)
-- The whole ledger of a participant, in the order written.
SELECT cause, amount, occurred_at, seq FROM ledger
WHERE project = :project AND environment = :environment AND participant_id = :participant_id ORDER BY entry;

-- name: page_of_entries(project, environment, participant_id, limit, offset)
SELECT transaction_id, cause, amount, balance, fact_id, occurred_at, created_at FROM ledger
WHERE project = :project AND environment = :environment AND participant_id = :participant_id
ORDER BY entry DESC LIMIT :limit OFFSET :offset;

-- name: count_entries(project, environment, participant_id)$
SELECT count(*) FROM ledger
WHERE project = :project AND environment = :environment AND participant_id = :participant_id;

-- name: entry_by_cause(project, environment, participant_id, cause)^
SELECT transaction_id, cause, amount, balance, fact_id, occurred_at, created_at FROM ledger
WHERE project = :project AND environment = :environment AND participant_id = :participant_id AND cause = :cause;

-- name: put_effects(fact_id, effects)*!
INSERT INTO fact_effects (fact_id, effects) VALUES (:fact_id, :effects) ON CONFLICT DO NOTHING;

-- name: effects(fact_id)$
SELECT effects FROM fact_effects WHERE fact_id = :fact_id;

-- name: whole_ledger(project, environment, participant_id)
-- Every entry of a participant with its fact's seq, in the order written.
SELECT transaction_id, cause, amount, balance, fact_id, occurred_at, created_at, seq FROM ledger
WHERE project = :project AND environment = :environment AND participant_id = :participant_id ORDER BY entry;

-- name: mend_entries(project, environment, participant_id, cause, amount, balance, seq, occurred_at)*!
UPDATE ledger SET amount = :amount, balance = :balance, seq = :seq, occurred_at = :occurred_at
WHERE project = :project AND environment = :environment AND participant_id = :participant_id AND cause = :cause;

-- name: remove_entries(project, environment, participant_id, cause)*!
DELETE FROM ledger
WHERE project = :project AND environment = :environment AND participant_id = :participant_id AND cause = :cause;

-- name: places_of(project, environment, participant_id, wanted)
-- A participant's places on (board, window, period) rankings, given as JSON arrays in JSON.
SELECT standings.board, standings.time_window, standings.period, standings.score, standings.reached_at
FROM json_each(:wanted) AS ranking
CROSS JOIN standings WHERE standings.project = :project AND standings.environment = :environment
    AND standings.board = ranking.value ->> 0
    AND standings.time_window = ranking.value ->> 1
    AND standings.period = ranking.value ->> 2
    AND standings.participant_id = :participant_id;

-- name: places_after(project, environment, board, time_window, period, participant_id, limit)
-- The next places of all rankings, each with the cell that gives it.
SELECT standings.board, standings.time_window, standings.period, standings.participant_id, standings.score,
    standings.reached_at, cells.value
FROM standings LEFT JOIN cells ON cells.project = standings.project AND cells.environment = standings.environment
    AND cells.participant_id = standings.participant_id
    AND cells.cell = CASE WHEN standings.board LIKE 'leaderboard/%'
        THEN 'score/' || substr(standings.board, 13) || '/' || standings.time_window || '/' || standings.period
        ELSE standings.board END
WHERE standings.project = :project AND standings.environment = :environment
    AND (standings.board, standings.time_window, standings.period, standings.participant_id)
    > (:board, :time_window, :period, :participant_id)
ORDER BY standings.board, standings.time_window, standings.period, standings.participant_id LIMIT :limit;
