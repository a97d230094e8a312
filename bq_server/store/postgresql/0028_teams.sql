CREATE TABLE team_boards (
    ranking BIGINT PRIMARY KEY,
    combine TEXT COLLATE "C" NOT NULL,
    unit BIGINT NOT NULL,
    ascending BIGINT NOT NULL
);
CREATE TABLE team_scores (
    ranking BIGINT NOT NULL,
    team BIGINT NOT NULL,
    participant BIGINT NOT NULL,
    score NUMERIC NOT NULL,
    reached_at BIGINT NOT NULL,
    exact TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ranking, team, participant)
);
CREATE INDEX team_scores_by_score ON team_scores (ranking, team, score DESC, reached_at);
CREATE INDEX team_scores_by_time ON team_scores (ranking, team, reached_at);
CREATE INDEX team_scores_of_participant ON team_scores (participant);
CREATE TABLE team_totals (
    ranking BIGINT NOT NULL,
    team BIGINT NOT NULL,
    members BIGINT NOT NULL,
    total TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ranking, team)
);
