-- Challenges that groups share. What members add is ranked as the scores of teams are, and added up beside it.

-- Whose share has changed, or is to be looked at anew because their group has come further: whoever took part and has
-- yet to be told of it becomes a fact, in the transaction that removes the row.
CREATE TABLE group_dues (
    -- Of the challenge.
    ranking INTEGER NOT NULL,
    team INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    PRIMARY KEY (ranking, team, participant)
) WITHOUT ROWID;
CREATE INDEX group_dues_of_participant ON group_dues (participant);

-- How far groups have come, as everybody who took part was looked at for it. Removed when a total falls.
CREATE TABLE group_steps (
    ranking INTEGER NOT NULL,
    team INTEGER NOT NULL,
    -- Of the definition.
    revision TEXT NOT NULL,
    -- The fraction of the whole, as text.
    reached TEXT NOT NULL,
    PRIMARY KEY (ranking, team)
) WITHOUT ROWID;
