-- name: listening(project, environment)
-- The endpoints of an environment that are on, with how much waits for each.
SELECT endpoint_id, event_types, waiting FROM webhook_endpoints
WHERE project = :project AND environment = :environment AND off_because IS NULL;

-- name: add_deliveries(delivery_id, endpoint_id, participant_id, event_type, fact_id, occurred_at, effect, created_at)*!
-- Behind what waits for the participant already.
INSERT INTO webhook_deliveries (
    delivery_id, endpoint_id, participant_id, event_type, fact_id, occurred_at, effect, created_at, next_at
) VALUES (
    :delivery_id, :endpoint_id, :participant_id, :event_type, :fact_id, :occurred_at, :effect, :created_at,
    coalesce((
        SELECT next_at FROM webhook_deliveries
        WHERE endpoint_id = :endpoint_id AND participant_id = :participant_id AND state = 'waiting'
        ORDER BY position DESC LIMIT 1
    ), 0)
);

-- name: add_waiting(endpoint_id, count)!
UPDATE webhook_endpoints SET waiting = waiting + :count WHERE endpoint_id = :endpoint_id;

-- name: switch_off(endpoint_id, off_because)!
UPDATE webhook_endpoints SET off_because = :off_because WHERE endpoint_id = :endpoint_id;
