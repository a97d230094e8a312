-- Leaderboards of teams. A team is a name among the participants, under the negated number of the scope; so is its
-- ranking, so that whoever goes through the participants of a scope, or their places, meets neither.

-- How the scores of members become those of their teams, by the ranking of the teams.
CREATE TABLE team_boards (
    ranking INTEGER PRIMARY KEY,
    -- sum, mean or best
    combine TEXT NOT NULL,
    -- How many of what `exact` counts make 1 of a score.
    unit INTEGER NOT NULL,
    -- Whether the lowest leads: then scores are negated where they rank.
    ascending INTEGER NOT NULL
);

-- What each member has scored for a team. Those of hidden participants stand under the negated ranking.
CREATE TABLE team_scores (
    ranking INTEGER NOT NULL,
    team INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    -- As it ranks.
    score NUMERIC NOT NULL,
    reached_at INTEGER NOT NULL,
    -- In the rule's own unit: a whole number of any size.
    exact TEXT NOT NULL,
    PRIMARY KEY (ranking, team, participant)
) WITHOUT ROWID;
CREATE INDEX team_scores_by_score ON team_scores (ranking, team, score DESC, reached_at);
CREATE INDEX team_scores_by_time ON team_scores (ranking, team, reached_at);
CREATE INDEX team_scores_of_participant ON team_scores (participant);

-- What the members in sight add up to.
CREATE TABLE team_totals (
    ranking INTEGER NOT NULL,
    team INTEGER NOT NULL,
    members INTEGER NOT NULL,
    total TEXT NOT NULL,
    PRIMARY KEY (ranking, team)
) WITHOUT ROWID;
