CREATE TABLE rank_sections (
    ranking BIGINT NOT NULL,
    behind NUMERIC NOT NULL,
    reached_at BIGINT NOT NULL,
    places BIGINT NOT NULL,
    PRIMARY KEY (ranking, behind, reached_at)
);
