DROP TABLE carried_over;
DROP TABLE old_effects;
DROP TABLE old_standings;
DROP TABLE old_ledger;
DROP TABLE old_cells;
DROP TABLE old_participants;
DROP TABLE old_duplicates;
DROP TABLE old_facts;
