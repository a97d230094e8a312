-- name: put(secret_hash, kind, key_id, lasts, ends_at)!
INSERT INTO console_sessions (secret_hash, kind, key_id, lasts, ends_at)
VALUES (:secret_hash, :kind, :key_id, :lasts, :ends_at);

-- name: remove(secret_hash)!
DELETE FROM console_sessions WHERE secret_hash = :secret_hash;

-- name: remove_ended(now)!
DELETE FROM console_sessions WHERE ends_at <= :now;

-- name: every()
SELECT secret_hash, kind, key_id, lasts, ends_at FROM console_sessions ORDER BY ends_at, secret_hash;
