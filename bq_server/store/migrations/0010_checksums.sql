-- Over all that the row says: see `store/checksums.py`. Facts of before get theirs in portions, before the next
-- migration, which the index is for.
ALTER TABLE facts ADD COLUMN checksum INTEGER;
CREATE INDEX facts_without_checksum ON facts (seq) WHERE checksum IS NULL;
