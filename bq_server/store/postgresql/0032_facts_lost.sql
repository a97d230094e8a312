-- How many facts the database itself lacks, at least: it was set back to an earlier moment beside its stream.
ALTER TABLE losses ADD COLUMN facts BIGINT NOT NULL DEFAULT 0;
-- How many dead letters there were at the last check, and went with a stream that was emptied or replaced.
ALTER TABLE stream_account ADD COLUMN dead BIGINT NOT NULL DEFAULT 0;
ALTER TABLE losses ADD COLUMN dead BIGINT NOT NULL DEFAULT 0;
