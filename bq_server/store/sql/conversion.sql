-- name: has_any()$
SELECT EXISTS (SELECT 1 FROM old_facts) OR EXISTS (SELECT 1 FROM old_participants) OR EXISTS (SELECT 1 FROM old_cells)
    OR EXISTS (SELECT 1 FROM old_ledger) OR EXISTS (SELECT 1 FROM old_standings);

-- name: had_facts()$
SELECT count(*) FROM sqlite_sequence WHERE name = 'old_facts';

-- name: progress(step)^
SELECT after, done FROM carried_over WHERE step = :step;

-- name: put_progress(step, after, done)!
INSERT INTO carried_over (step, after, done) VALUES (:step, :after, :done)
ON CONFLICT (step) DO UPDATE SET after = excluded.after, done = excluded.done;

-- name: keep_seq()!
-- The seq of a fact that was removed is not given again.
INSERT INTO sqlite_sequence (name, seq) SELECT 'facts', seq FROM sqlite_sequence WHERE name = 'old_facts';

-- name: scope_of_facts(project, environment)^
SELECT project, environment FROM old_facts WHERE (project, environment) > (:project, :environment)
ORDER BY project, environment LIMIT 1;

-- name: scope_of_duplicates(project, environment)^
SELECT project, environment FROM old_duplicates WHERE (project, environment) > (:project, :environment)
ORDER BY project, environment LIMIT 1;

-- name: scope_of_participants(project, environment)^
SELECT project, environment FROM old_participants WHERE (project, environment) > (:project, :environment)
ORDER BY project, environment LIMIT 1;

-- name: scope_of_cells(project, environment)^
SELECT project, environment FROM old_cells WHERE (project, environment) > (:project, :environment)
ORDER BY project, environment LIMIT 1;

-- name: scope_of_entries(project, environment)^
SELECT project, environment FROM old_ledger WHERE (project, environment) > (:project, :environment)
ORDER BY project, environment LIMIT 1;

-- name: scope_of_places(project, environment)^
SELECT project, environment FROM old_standings WHERE (project, environment) > (:project, :environment)
ORDER BY project, environment LIMIT 1;

-- name: add_scope(project, environment)!
INSERT INTO scopes (project, environment) VALUES (:project, :environment) ON CONFLICT DO NOTHING;

-- name: participants_after(project, environment, participant_id, limit)
-- The next participants that are known, or have rows of their own.
SELECT project, environment, participant_id FROM (
    SELECT project, environment, participant_id FROM old_participants
    WHERE (project, environment, participant_id) > (:project, :environment, :participant_id)
    ORDER BY project, environment, participant_id LIMIT :limit
) AS known
UNION SELECT project, environment, participant_id FROM (
    SELECT DISTINCT project, environment, participant_id FROM old_cells
    WHERE (project, environment, participant_id) > (:project, :environment, :participant_id)
    ORDER BY project, environment, participant_id LIMIT :limit
) AS with_cells
UNION SELECT project, environment, participant_id FROM (
    SELECT DISTINCT project, environment, participant_id FROM old_facts
    WHERE (project, environment, participant_id) > (:project, :environment, :participant_id)
    ORDER BY project, environment, participant_id LIMIT :limit
) AS with_facts
UNION SELECT project, environment, participant_id FROM (
    SELECT DISTINCT project, environment, participant_id FROM old_ledger
    WHERE (project, environment, participant_id) > (:project, :environment, :participant_id)
    ORDER BY project, environment, participant_id LIMIT :limit
) AS with_points
ORDER BY project, environment, participant_id LIMIT :limit;

-- name: cells_between(project, environment, participant_id, last_project, last_environment, last_participant)
-- The cells that stand in participants' own rows.
SELECT project, environment, participant_id, cell, value FROM old_cells
WHERE (project, environment, participant_id) > (:project, :environment, :participant_id)
    AND (project, environment, participant_id) <= (:last_project, :last_environment, :last_participant)
    AND substr(cell, 1, 5) NOT IN ('seen/', 'past/')
ORDER BY project, environment, participant_id;

-- name: entries_between(project, environment, participant_id, last_project, last_environment, last_participant)
SELECT project, environment, participant_id, count(*) FROM old_ledger
WHERE (project, environment, participant_id) > (:project, :environment, :participant_id)
    AND (project, environment, participant_id) <= (:last_project, :last_environment, :last_participant)
GROUP BY project, environment, participant_id;

-- name: add_participants(project, environment, participant_id, state)*!
INSERT INTO participants (
    scope, participant_id, display_name, avatar_url, attributes, created_at, known, total_events, state
)
SELECT
    scopes.scope, :participant_id, old.display_name, old.avatar_url, coalesce(old.attributes, '{}'),
    coalesce(old.created_at, 0), old.created_at IS NOT NULL, coalesce(old.total_events, 0), :state
FROM scopes LEFT JOIN old_participants AS old
    ON old.project = scopes.project AND old.environment = scopes.environment AND old.participant_id = :participant_id
WHERE scopes.project = :project AND scopes.environment = :environment;

-- name: last_fact(after, limit)^
SELECT count(*), max(seq) FROM (SELECT seq FROM old_facts WHERE seq > :after ORDER BY seq LIMIT :limit) AS page;

-- name: add_fact_types(after, until)!
INSERT INTO fact_types (scope, fact_type, event_name)
SELECT DISTINCT scopes.scope, old.fact_type, old.event_name
FROM old_facts AS old CROSS JOIN scopes
WHERE old.seq > :after AND old.seq <= :until
    AND scopes.project = old.project AND scopes.environment = old.environment
ON CONFLICT DO NOTHING;

-- name: add_facts(after, until)!
INSERT INTO facts (
    seq, event_id, fact_id, scope, type, participant, occurred_at, received_at, processed_at, message_id,
    idempotency_key, fingerprint, properties, warnings, effects
)
SELECT
    old.seq, packed_id('evt', old.event_id), own_id(old.event_id, old.fact_id), scopes.scope, fact_types.type,
    participants.participant, old.occurred_at, old.received_at, old.processed_at, old.message_id,
    old.idempotency_key, packed_fingerprint(old.fingerprint), old.properties, nullif(old.warnings, '[]'),
    CASE WHEN old_effects.effects IS NOT NULL
        THEN packed_effects(old_effects.effects, old.fact_id, old.occurred_at) END
FROM old_facts AS old CROSS JOIN scopes CROSS JOIN fact_types CROSS JOIN participants
LEFT JOIN old_effects ON old_effects.fact_id = old.fact_id
WHERE old.seq > :after AND old.seq <= :until
    AND scopes.project = old.project AND scopes.environment = old.environment
    AND fact_types.scope = scopes.scope AND fact_types.fact_type = old.fact_type
    AND participants.scope = scopes.scope AND participants.participant_id = old.participant_id
ORDER BY old.seq;

-- name: last_entry(after, limit)^
SELECT count(*), max(entry) FROM (SELECT entry FROM old_ledger WHERE entry > :after ORDER BY entry LIMIT :limit) AS page;

-- name: add_entries(after, until)!
-- An entry that names no fact gets the seq it has or, where some fact has that, a negative one.
INSERT OR IGNORE INTO ledger (
    participant, number, transaction_id, cause, fact, amount, balance, occurred_at, created_at
)
SELECT
    participants.participant,
    coalesce((SELECT max(number) FROM ledger WHERE ledger.participant = participants.participant), 0)
        + row_number() OVER (PARTITION BY participants.participant ORDER BY old.entry),
    packed_id('txn', old.transaction_id),
    CASE WHEN named.seq IS NULL THEN old.cause ELSE packed_cause(old.cause, old.fact_id) END,
    coalesce(
        named.seq,
        CASE WHEN EXISTS (SELECT 1 FROM old_facts WHERE old_facts.seq = old.seq) THEN -old.entry ELSE old.seq END
    ),
    old.amount, old.balance, old.occurred_at, old.created_at
FROM old_ledger AS old CROSS JOIN scopes CROSS JOIN participants
LEFT JOIN old_facts AS named ON named.fact_id = old.fact_id
WHERE old.entry > :after AND old.entry <= :until
    AND scopes.project = old.project AND scopes.environment = old.environment
    AND participants.scope = scopes.scope AND participants.participant_id = old.participant_id;

-- name: cells_after(project, environment, participant_id, cell, limit)
SELECT project, environment, participant_id, cell FROM old_cells
WHERE (project, environment, participant_id, cell) > (:project, :environment, :participant_id, :cell)
ORDER BY project, environment, participant_id, cell LIMIT :limit;

-- name: add_cells(project, environment, participant_id, cell, last_project, last_environment, last_participant, last_cell)!
-- What is no JSON is kept as a string.
INSERT INTO cells (participant, cell, value)
SELECT
    participants.participant, old.cell, CASE WHEN json_valid(old.value) THEN old.value ELSE json_quote(old.value) END
FROM old_cells AS old CROSS JOIN scopes CROSS JOIN participants
WHERE (old.project, old.environment, old.participant_id, old.cell)
        > (:project, :environment, :participant_id, :cell)
    AND (old.project, old.environment, old.participant_id, old.cell)
        <= (:last_project, :last_environment, :last_participant, :last_cell)
    AND substr(old.cell, 1, 5) IN ('seen/', 'past/')
    AND scopes.project = old.project AND scopes.environment = old.environment
    AND participants.scope = scopes.scope AND participants.participant_id = old.participant_id;

-- name: places_after(project, environment, board, time_window, period, participant_id, limit)
SELECT project, environment, board, time_window, period, participant_id FROM old_standings
WHERE (project, environment, board, time_window, period, participant_id)
    > (:project, :environment, :board, :time_window, :period, :participant_id)
ORDER BY project, environment, board, time_window, period, participant_id LIMIT :limit;

-- name: add_rankings(project, environment, board, time_window, period, participant_id, last_project, last_environment, last_board, last_time_window, last_period, last_participant)!
INSERT INTO rankings (scope, board, time_window, period)
SELECT DISTINCT scopes.scope, old.board, old.time_window, old.period
FROM old_standings AS old CROSS JOIN scopes
WHERE (old.project, old.environment, old.board, old.time_window, old.period, old.participant_id)
        > (:project, :environment, :board, :time_window, :period, :participant_id)
    AND (old.project, old.environment, old.board, old.time_window, old.period, old.participant_id)
        <= (:last_project, :last_environment, :last_board, :last_time_window, :last_period, :last_participant)
    AND scopes.project = old.project AND scopes.environment = old.environment
ON CONFLICT DO NOTHING;

-- name: add_ranked(project, environment, board, time_window, period, participant_id, last_project, last_environment, last_board, last_time_window, last_period, last_participant)!
-- Participants of whom there is nothing else.
INSERT INTO participants (scope, participant_id, created_at, known)
SELECT DISTINCT scopes.scope, old.participant_id, 0, 0
FROM old_standings AS old CROSS JOIN scopes
WHERE (old.project, old.environment, old.board, old.time_window, old.period, old.participant_id)
        > (:project, :environment, :board, :time_window, :period, :participant_id)
    AND (old.project, old.environment, old.board, old.time_window, old.period, old.participant_id)
        <= (:last_project, :last_environment, :last_board, :last_time_window, :last_period, :last_participant)
    AND scopes.project = old.project AND scopes.environment = old.environment
ON CONFLICT DO NOTHING;

-- name: add_places(project, environment, board, time_window, period, participant_id, last_project, last_environment, last_board, last_time_window, last_period, last_participant)!
INSERT INTO standings (ranking, participant, score, reached_at, exact)
SELECT
    rankings.ranking, participants.participant, old.score, old.reached_at,
    CASE WHEN own.value IS NOT NULL THEN exact_score(old.score, own.value) END
FROM old_standings AS old CROSS JOIN scopes CROSS JOIN rankings CROSS JOIN participants
LEFT JOIN old_cells AS own
    ON own.project = old.project AND own.environment = old.environment AND own.participant_id = old.participant_id
    AND substr(old.board, 1, 12) = 'leaderboard/'
    AND own.cell = 'score/' || substr(old.board, 13) || '/' || old.time_window || '/' || old.period
WHERE (old.project, old.environment, old.board, old.time_window, old.period, old.participant_id)
        > (:project, :environment, :board, :time_window, :period, :participant_id)
    AND (old.project, old.environment, old.board, old.time_window, old.period, old.participant_id)
        <= (:last_project, :last_environment, :last_board, :last_time_window, :last_period, :last_participant)
    AND scopes.project = old.project AND scopes.environment = old.environment
    AND rankings.scope = scopes.scope AND rankings.board = old.board AND rankings.time_window = old.time_window
    AND rankings.period = old.period
    AND participants.scope = scopes.scope AND participants.participant_id = old.participant_id;

-- name: last_duplicate(after, limit)^
SELECT count(*), max(rowid) FROM (
    SELECT rowid FROM old_duplicates WHERE rowid > :after ORDER BY rowid LIMIT :limit
) AS page;

-- name: add_duplicates(after, until)!
-- One that names no fact keeps its place, and still names none.
INSERT INTO duplicates (scope, message_id, fact)
SELECT scopes.scope, old.message_id, coalesce(named.seq, 0)
FROM old_duplicates AS old CROSS JOIN scopes LEFT JOIN old_facts AS named ON named.fact_id = old.fact_id
WHERE old.rowid > :after AND old.rowid <= :until
    AND scopes.project = old.project AND scopes.environment = old.environment;
