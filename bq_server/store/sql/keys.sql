-- name: insert_key(key_id, project, environment, sha256, scopes, name, created_at, expires_at, rate_limit)!
INSERT INTO api_keys (key_id, project, environment, sha256, scopes, name, created_at, expires_at, rate_limit)
VALUES (:key_id, :project, :environment, :sha256, :scopes, :name, :created_at, :expires_at, :rate_limit)
ON CONFLICT (sha256) DO UPDATE SET
    revoked_at = NULL,
    scopes = excluded.scopes,
    expires_at = excluded.expires_at,
    rate_limit = excluded.rate_limit;

-- name: limit_key(rate_limit, key_id)!
UPDATE api_keys SET rate_limit = :rate_limit WHERE key_id = :key_id;

-- name: expire_key(expires_at, key_id)!
-- A key that ends sooner keeps its end.
UPDATE api_keys SET expires_at = min(coalesce(expires_at, :expires_at), :expires_at) WHERE key_id = :key_id;

-- name: note_use*!
UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), :used_at) WHERE key_id = :key_id;

-- name: revoke_key(revoked_at, key_id)!
-- Revoking twice keeps the first moment.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, :revoked_at) WHERE key_id = :key_id;

-- name: all_keys()
SELECT key_id, project, environment, sha256, scopes, name, created_at, revoked_at, expires_at, last_used_at,
    rate_limit
FROM api_keys
ORDER BY created_at, key_id;
