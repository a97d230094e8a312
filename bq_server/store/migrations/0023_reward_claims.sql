-- Claims of rewards: which facts they are. Those that are void were cancelled.
CREATE TABLE reward_claims (
    fact INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    reward_code TEXT NOT NULL,
    -- The code that came with it; NULL for none.
    code_value TEXT
);
CREATE INDEX claims_of_reward ON reward_claims (scope, reward_code);
