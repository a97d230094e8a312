-- name: environments()
SELECT project, environment, resets, clock_frozen, clock_at FROM environments;

-- name: put_clock(project, environment, clock_frozen, clock_at)!
INSERT INTO environments (project, environment, clock_frozen, clock_at)
VALUES (:project, :environment, :clock_frozen, :clock_at)
ON CONFLICT (project, environment) DO UPDATE SET
    clock_frozen = excluded.clock_frozen,
    clock_at = excluded.clock_at;

-- name: count_reset(project, environment)!
INSERT INTO environments (project, environment, resets) VALUES (:project, :environment, 1)
ON CONFLICT (project, environment) DO UPDATE SET resets = environments.resets + 1;

-- name: count_facts(project, environment)$
SELECT count(*) FROM facts WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment);

-- name: count_duplicates(project, environment)$
SELECT count(*) FROM duplicates WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment);

-- name: facts_after(project, environment, seq, until, limit)
-- But for those of erased participants, which are nobody's.
SELECT * FROM fact_rows
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    AND seq > :seq AND seq <= :until AND participant_id <> ''
ORDER BY seq LIMIT :limit;

-- name: count_facts_until(project, environment, seq)$
-- As `facts_after` tells them.
SELECT count(*) FROM facts
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment) AND seq <= :seq
    AND participant <> coalesce((
        SELECT participants.participant FROM participants
        WHERE participants.scope = facts.scope AND participants.participant_id = ''
    ), 0);

-- name: remove_oldest_facts(project, environment, limit)!
DELETE FROM facts WHERE seq IN (
    SELECT seq FROM facts
    WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    ORDER BY seq LIMIT :limit
);

-- name: remove_duplicates(project, environment, limit)!
DELETE FROM duplicates WHERE (scope, message_id) IN (
    SELECT scope, message_id FROM duplicates
    WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_expiring_points(project, environment)!
DELETE FROM expiring_points WHERE project = :project AND environment = :environment;

-- name: remove_aliases(project, environment)!
DELETE FROM aliases
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment);

-- name: remove_token_series(project, environment)!
DELETE FROM token_series WHERE project = :project AND environment = :environment;

-- name: remove_reward_claims(project, environment)!
DELETE FROM reward_claims
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment);

-- name: remove_event_names(project, environment)!
DELETE FROM event_names WHERE project = :project AND environment = :environment;

-- name: remove_catalog_totals(project, environment)!
DELETE FROM catalog_totals WHERE project = :project AND environment = :environment;

-- name: remove_event_forms(project, environment)!
DELETE FROM event_forms WHERE project = :project AND environment = :environment;

-- name: remove_event_properties(project, environment)!
DELETE FROM event_properties WHERE project = :project AND environment = :environment;

-- name: remove_refolds(project, environment)!
DELETE FROM refolds WHERE project = :project AND environment = :environment;

-- name: remove_game_warnings(project, environment)!
DELETE FROM game_warnings WHERE project = :project AND environment = :environment;

-- name: participants_to_remove(project, environment, limit)
SELECT participant FROM participants
WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
ORDER BY participant_id LIMIT :limit;

-- name: teams_to_remove(project, environment, limit)
SELECT participant FROM participants
WHERE scope = (SELECT -scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
ORDER BY participant_id LIMIT :limit;

-- name: remove_team_scores(project, environment, limit)!
DELETE FROM team_scores WHERE (ranking, team, participant) IN (
    SELECT team_scores.ranking, team_scores.team, team_scores.participant
    FROM rankings JOIN team_scores ON team_scores.ranking IN (rankings.ranking, -rankings.ranking)
    WHERE rankings.scope = (SELECT -scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_team_totals(project, environment, limit)!
DELETE FROM team_totals WHERE (ranking, team) IN (
    SELECT team_totals.ranking, team_totals.team
    FROM rankings JOIN team_totals ON team_totals.ranking = rankings.ranking
    WHERE rankings.scope = (SELECT -scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_group_dues(project, environment, limit)!
DELETE FROM group_dues WHERE (ranking, team, participant) IN (
    SELECT group_dues.ranking, group_dues.team, group_dues.participant
    FROM rankings JOIN group_dues ON group_dues.ranking = rankings.ranking
    WHERE rankings.scope = (SELECT -scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_group_steps(project, environment, limit)!
DELETE FROM group_steps WHERE (ranking, team) IN (
    SELECT group_steps.ranking, group_steps.team
    FROM rankings JOIN group_steps ON group_steps.ranking = rankings.ranking
    WHERE rankings.scope = (SELECT -scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_team_boards(project, environment, limit)!
DELETE FROM team_boards WHERE ranking IN (
    SELECT team_boards.ranking FROM rankings JOIN team_boards ON team_boards.ranking = rankings.ranking
    WHERE rankings.scope = (SELECT -scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_cells(participant)*!
DELETE FROM cells WHERE participant = :participant;

-- name: remove_ledger(participant)*!
DELETE FROM ledger WHERE participant = :participant;

-- name: remove_participants(participant)*!
DELETE FROM participants WHERE participant = :participant;

-- name: remove_rank_sections(project, environment, limit)!
DELETE FROM rank_sections WHERE (ranking, behind, reached_at) IN (
    SELECT rank_sections.ranking, rank_sections.behind, rank_sections.reached_at
    FROM rankings JOIN rank_sections ON rank_sections.ranking = rankings.ranking
    WHERE abs(rankings.scope) = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_standings(project, environment, limit)!
DELETE FROM standings WHERE (ranking, participant) IN (
    SELECT standings.ranking, standings.participant
    FROM rankings JOIN standings ON standings.ranking IN (rankings.ranking, -rankings.ranking)
    WHERE abs(rankings.scope) = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_rankings(project, environment, limit)!
DELETE FROM rankings WHERE ranking IN (
    SELECT ranking FROM rankings
    WHERE abs(scope) = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_fact_types(project, environment, limit)!
DELETE FROM fact_types WHERE type IN (
    SELECT type FROM fact_types
    WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
    LIMIT :limit
);

-- name: remove_definitions(project, environment)!
DELETE FROM definitions WHERE project = :project AND environment = :environment;

-- name: remove_forgotten_definitions(project, environment)!
-- Those the game has no longer: without facts there is nothing left of them that could come back.
DELETE FROM definitions WHERE project = :project AND environment = :environment AND applied_seq < 0;

-- name: count_from_the_first(project, environment)!
-- Without facts every definition counts from the first to come, also one that an import which was killed left waiting.
UPDATE definitions SET applied_seq = 0 WHERE project = :project AND environment = :environment AND applied_seq > 0;

-- name: count_no_waiting_webhooks(project, environment)!
UPDATE webhook_endpoints SET waiting = 0 WHERE project = :project AND environment = :environment;

