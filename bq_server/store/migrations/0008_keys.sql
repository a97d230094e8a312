-- When a key ends by itself, and when it last opened something; microseconds since the epoch, UTC.
ALTER TABLE api_keys ADD COLUMN expires_at INTEGER;
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;

-- The scope `ingest` alone gave awards by hand and rehearsed events: keys of that time go on doing so.
UPDATE api_keys SET scopes = scopes || ' award dry_run' WHERE ' ' || scopes || ' ' LIKE '% ingest %';
