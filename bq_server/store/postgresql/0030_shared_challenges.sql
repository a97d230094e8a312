CREATE TABLE group_dues (
    ranking BIGINT NOT NULL,
    team BIGINT NOT NULL,
    participant BIGINT NOT NULL,
    PRIMARY KEY (ranking, team, participant)
);
CREATE INDEX group_dues_of_participant ON group_dues (participant);
CREATE TABLE group_steps (
    ranking BIGINT NOT NULL,
    team BIGINT NOT NULL,
    revision TEXT COLLATE "C" NOT NULL,
    reached TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ranking, team)
);
