-- name: insert_key(key_id, project, environment, sha256, scopes, name, created_at)!
INSERT INTO api_keys (key_id, project, environment, sha256, scopes, name, created_at)
VALUES (:key_id, :project, :environment, :sha256, :scopes, :name, :created_at)
ON CONFLICT (sha256) DO UPDATE SET revoked_at = NULL, scopes = excluded.scopes;

-- name: revoke_key(revoked_at, key_id)!
-- Revoking twice keeps the first moment.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, :revoked_at) WHERE key_id = :key_id;

-- name: revoke_test_keys_named(name, revoked_at)!
UPDATE api_keys SET revoked_at = :revoked_at WHERE name = :name AND environment = 'test' AND revoked_at IS NULL;

-- name: all_keys()
SELECT key_id, project, environment, sha256, scopes, name, created_at, revoked_at FROM api_keys
ORDER BY created_at, key_id;
