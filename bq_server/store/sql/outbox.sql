-- name: listening(project, environment)
-- The endpoints of an environment that are on, with how much waits for each.
SELECT endpoint_id, event_types, waiting, failing_since IS NOT NULL, top_ranks FROM webhook_endpoints
WHERE project = :project AND environment = :environment AND off_because IS NULL;

-- name: put(endpoint_id, content, deliveries, created_at)!
INSERT INTO webhook_outbox (endpoint_id, content, deliveries, created_at)
VALUES (:endpoint_id, :content, :deliveries, :created_at);

-- name: add_waiting(endpoint_id, count)!
UPDATE webhook_endpoints SET waiting = waiting + :count WHERE endpoint_id = :endpoint_id;

-- name: switch_off(endpoint_id, off_because)!
UPDATE webhook_endpoints SET off_because = :off_because WHERE endpoint_id = :endpoint_id AND off_because IS NULL;

-- name: first(endpoint_id)^
SELECT position, content, created_at FROM webhook_outbox
WHERE endpoint_id = :endpoint_id ORDER BY position LIMIT 1;

-- name: remove(position)!
DELETE FROM webhook_outbox WHERE position = :position;

-- name: put_off_until(endpoint_id, participants)
-- Until when what waits of these participants, given as JSON, was put off: new deliveries stand behind it.
SELECT given.value, (
    SELECT next_at FROM webhook_deliveries
    WHERE endpoint_id = :endpoint_id AND participant_id = given.value AND state = 'waiting'
    ORDER BY position DESC LIMIT 1
) FROM json_each(:participants) AS given;

-- name: add_deliveries(delivery_id, endpoint_id, participant_id, event_type, fact_id, occurred_at, effect, created_at, next_at)!
INSERT INTO webhook_deliveries (
    delivery_id, endpoint_id, participant_id, event_type, fact_id, occurred_at, effect, created_at, next_at
) VALUES (
    :delivery_id, :endpoint_id, :participant_id, :event_type, :fact_id, :occurred_at, :effect, :created_at, :next_at
);
