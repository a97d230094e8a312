CREATE TABLE contest_ends (
    project TEXT COLLATE "C" NOT NULL,
    environment TEXT COLLATE "C" NOT NULL,
    contest_code TEXT COLLATE "C" NOT NULL,
    due_at BIGINT NOT NULL,
    frozen_at BIGINT,
    entries BIGINT,
    PRIMARY KEY (project, environment, contest_code)
);
CREATE TABLE contest_places (
    project TEXT COLLATE "C" NOT NULL,
    environment TEXT COLLATE "C" NOT NULL,
    contest_code TEXT COLLATE "C" NOT NULL,
    place BIGINT NOT NULL,
    participant BIGINT NOT NULL,
    score NUMERIC NOT NULL,
    reached_at BIGINT NOT NULL,
    PRIMARY KEY (project, environment, contest_code, place)
);
