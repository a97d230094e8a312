-- Requests and seconds with a slash between them, or off; NULL for what the settings say.
ALTER TABLE api_keys ADD COLUMN rate_limit TEXT;
