-- name: installation_id()$
SELECT installation_id FROM installation;

-- name: insert_installation(installation_id, created_at)!
INSERT INTO installation (installation_id, created_at) VALUES (:installation_id, :created_at);

-- name: delete_installation()!
DELETE FROM installation;
