-- name: add(fact, project, environment, reward_code, code_value)*!
INSERT INTO reward_claims (fact, scope, reward_code, code_value)
SELECT :fact, scopes.scope, :reward_code, :code_value FROM scopes
WHERE scopes.project = :project AND scopes.environment = :environment;

-- name: are_any(project, environment)$
-- Whether there is any claim in the environment, cancelled ones included.
SELECT EXISTS (
    SELECT 1 FROM scopes JOIN reward_claims ON reward_claims.scope = scopes.scope
    WHERE scopes.project = :project AND scopes.environment = :environment
);

-- name: of_participant(participant)
SELECT facts.seq, reward_claims.reward_code, reward_claims.code_value
FROM facts JOIN reward_claims ON reward_claims.fact = facts.seq
WHERE facts.participant = :participant;

-- name: remove(fact)*!
DELETE FROM reward_claims WHERE fact = :fact;

-- name: codes(project, environment, reward_code)
-- The codes that came with the claims of a reward that were not cancelled; NULL for each without.
SELECT reward_claims.code_value
FROM scopes JOIN reward_claims ON reward_claims.scope = scopes.scope JOIN facts ON facts.seq = reward_claims.fact
WHERE scopes.project = :project AND scopes.environment = :environment AND reward_claims.reward_code = :reward_code
    AND facts.voided_by IS NULL;

-- name: count_of_reward(project, environment, participant_id, reward_code)$
-- How many claims of a reward by a participant were not cancelled; only the participant's own claims are looked at.
SELECT count(*) FROM scopes
JOIN participants ON participants.scope = scopes.scope AND participants.participant_id = :participant_id
JOIN fact_types ON fact_types.scope = scopes.scope AND fact_types.fact_type = 'system.reward_claimed'
JOIN facts ON facts.participant = participants.participant AND facts.type = fact_types.type
JOIN reward_claims ON reward_claims.fact = facts.seq
WHERE scopes.project = :project AND scopes.environment = :environment AND reward_claims.reward_code = :reward_code
    AND facts.voided_by IS NULL;

-- name: counts(project, environment)
-- How many claims of each reward were not cancelled.
SELECT reward_claims.reward_code, count(*)
FROM scopes JOIN reward_claims ON reward_claims.scope = scopes.scope JOIN facts ON facts.seq = reward_claims.fact
WHERE scopes.project = :project AND scopes.environment = :environment AND facts.voided_by IS NULL
GROUP BY reward_claims.reward_code;

-- name: count_of(project, environment, participant_id)$
-- How many claims of a participant were not cancelled.
SELECT count(*) FROM scopes
JOIN participants ON participants.scope = scopes.scope AND participants.participant_id = :participant_id
JOIN fact_types ON fact_types.scope = scopes.scope AND fact_types.fact_type = 'system.reward_claimed'
JOIN facts ON facts.participant = participants.participant AND facts.type = fact_types.type
WHERE scopes.project = :project AND scopes.environment = :environment AND facts.voided_by IS NULL;
