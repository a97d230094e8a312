-- name: add(message_id, died_at)!
INSERT INTO dying_messages (message_id, died_at) VALUES (:message_id, :died_at)
ON CONFLICT (message_id) DO UPDATE SET died_at = excluded.died_at;

-- name: every()
SELECT message_id, died_at FROM dying_messages ORDER BY died_at, message_id;

-- name: remove(message_id)!
DELETE FROM dying_messages WHERE message_id = :message_id;
