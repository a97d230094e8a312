-- Long rankings of which ranks are asked, in sections of some thousand places that follow one another: how many places
-- there are from the section's first one on. A rank is then a sum of sections and a count within one.
CREATE TABLE rank_sections (
    ranking INTEGER NOT NULL,
    -- The score of the first place, negated, so that sections sort as places stand. Minus infinity in the first section.
    behind NUMERIC NOT NULL,
    -- When that place was reached.
    reached_at INTEGER NOT NULL,
    places INTEGER NOT NULL,
    PRIMARY KEY (ranking, behind, reached_at)
) WITHOUT ROWID;
