CREATE TABLE received_facts (
    participant BIGINT NOT NULL,
    fact BIGINT NOT NULL,
    effects TEXT COLLATE "C",
    PRIMARY KEY (participant, fact)
);
CREATE INDEX received_facts_by_fact ON received_facts (fact);
