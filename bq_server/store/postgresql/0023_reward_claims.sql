CREATE TABLE reward_claims (
    fact BIGINT PRIMARY KEY,
    scope BIGINT NOT NULL,
    reward_code TEXT COLLATE "C" NOT NULL,
    code_value TEXT COLLATE "C"
);
CREATE INDEX claims_of_reward ON reward_claims (scope, reward_code);
