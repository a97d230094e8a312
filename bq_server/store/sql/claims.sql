-- name: add(fact, project, environment, reward_code, code_value)*!
INSERT INTO claims (fact, scope, reward_code, code_value)
SELECT :fact, scopes.scope, :reward_code, :code_value FROM scopes
WHERE scopes.project = :project AND scopes.environment = :environment;

-- name: live(project, environment, reward_code)
-- The claims of a reward that were not cancelled: whose, and the code that came with each.
SELECT participants.participant_id, claims.code_value
FROM scopes JOIN claims ON claims.scope = scopes.scope
JOIN facts ON facts.seq = claims.fact
JOIN participants ON participants.participant = facts.participant
WHERE scopes.project = :project AND scopes.environment = :environment AND claims.reward_code = :reward_code
    AND facts.voided_by IS NULL;

-- name: counts(project, environment)
-- How many claims of each reward were not cancelled.
SELECT claims.reward_code, count(*)
FROM scopes JOIN claims ON claims.scope = scopes.scope JOIN facts ON facts.seq = claims.fact
WHERE scopes.project = :project AND scopes.environment = :environment AND facts.voided_by IS NULL
GROUP BY claims.reward_code;
