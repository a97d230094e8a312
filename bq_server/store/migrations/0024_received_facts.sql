-- Facts that stand in the stories of others than their own participant, since they name these: see `award_to`. Those of
-- an erased participant are nobody's, so that it stays known that the fact named somebody more.
CREATE TABLE received_facts (
    participant INTEGER NOT NULL,
    fact INTEGER NOT NULL,
    -- What the fact caused for this participant, as in facts.
    effects TEXT,
    PRIMARY KEY (participant, fact)
) WITHOUT ROWID;
CREATE INDEX received_facts_by_fact ON received_facts (fact);
