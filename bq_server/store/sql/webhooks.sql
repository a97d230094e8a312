-- name: add_endpoint(endpoint_id, project, environment, url, event_types, description, top_ranks, vendor_headers, secret, created_at)!
INSERT INTO webhook_endpoints (
    endpoint_id, project, environment, url, event_types, description, top_ranks, vendor_headers, secret, created_at
) VALUES (
    :endpoint_id, :project, :environment, :url, :event_types, :description, :top_ranks, :vendor_headers, :secret,
    :created_at
);

-- name: endpoints()
SELECT endpoint_id, project, environment, url, event_types, description, secret, created_at, top_ranks, vendor_headers,
    previous_secret, previous_until, off_because, failing_since, waiting
FROM webhook_endpoints ORDER BY created_at, endpoint_id;

-- name: change_endpoint(endpoint_id, url, event_types, description, top_ranks, vendor_headers, off_because)!
-- One that is switched on again, or is elsewhere now, is not failing.
UPDATE webhook_endpoints SET
    url = :url, event_types = :event_types, description = :description, top_ranks = :top_ranks,
    vendor_headers = :vendor_headers,
    failing_since = CASE WHEN off_because IS NULL AND url = :url THEN failing_since END, off_because = :off_because
WHERE endpoint_id = :endpoint_id;

-- name: rotate(endpoint_id, secret, previous_until)!
UPDATE webhook_endpoints SET previous_secret = secret, previous_until = :previous_until, secret = :secret
WHERE endpoint_id = :endpoint_id;

-- name: remove_endpoint(endpoint_id)!
DELETE FROM webhook_endpoints WHERE endpoint_id = :endpoint_id;

-- name: remove_deliveries(endpoint_id, limit)
-- The oldest of the endpoint.
DELETE FROM webhook_deliveries WHERE position IN (
    SELECT position FROM webhook_deliveries WHERE endpoint_id = :endpoint_id ORDER BY position LIMIT :limit
) RETURNING position;

-- name: remove_of_outbox(endpoint_id, limit)!
DELETE FROM webhook_outbox WHERE position IN (
    SELECT position FROM webhook_outbox WHERE endpoint_id = :endpoint_id ORDER BY position LIMIT :limit
);

-- name: due(endpoint_id, now, limit)
-- Deliveries that may be tried. What waits of a participant is due together, and is tried in order of its positions.
SELECT position, delivery_id, participant_id, event_type, fact_id, occurred_at, effect, created_at, tries
FROM webhook_deliveries
WHERE endpoint_id = :endpoint_id AND state = 'waiting' AND next_at <= :now
ORDER BY next_at, position LIMIT :limit;

-- name: next_due(endpoint_id)$
SELECT min(next_at) FROM webhook_deliveries WHERE endpoint_id = :endpoint_id AND state = 'waiting';

-- name: count_due(endpoint_id, now)$
SELECT (
    SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = :endpoint_id AND state = 'waiting' AND next_at <= :now
) + (
    SELECT coalesce(sum(deliveries), 0) FROM webhook_outbox WHERE endpoint_id = :endpoint_id
);

-- name: is_filled(endpoint_id, limit)$
SELECT EXISTS (
    SELECT 1 FROM webhook_deliveries
    WHERE endpoint_id = :endpoint_id AND state = 'waiting' ORDER BY next_at, position LIMIT 1 OFFSET :limit - 1
);

-- name: is_outbox_filled(endpoint_id)$
SELECT EXISTS (SELECT 1 FROM webhook_outbox WHERE endpoint_id = :endpoint_id);

-- name: add_tries(position, tried_at, status, milliseconds, answer)!
INSERT INTO webhook_tries (position, tried_at, status, milliseconds, answer)
VALUES (:position, :tried_at, :status, :milliseconds, :answer);

-- name: present(positions)
-- Those deliveries that were not removed meanwhile.
SELECT position FROM webhook_deliveries WHERE position IN (SELECT value FROM json_each(:positions));

-- name: finish(positions, state, now)!
-- These deliveries: they are done, or put aside.
UPDATE webhook_deliveries SET state = :state, done_at = :now, tries = tries + 1
WHERE position IN (SELECT value FROM json_each(:positions)) AND state = 'waiting';

-- name: count_tried(position)!
UPDATE webhook_deliveries SET tries = tries + 1 WHERE position = :position AND state = 'waiting';

-- name: put_off(endpoint_id, participant_id, next_at)!
-- All that wait for the participant: none may overtake another.
UPDATE webhook_deliveries SET next_at = :next_at
WHERE endpoint_id = :endpoint_id AND participant_id = :participant_id AND state = 'waiting';

-- name: bring_forward(endpoint_id, participant_id)!
UPDATE webhook_deliveries SET next_at = 0
WHERE endpoint_id = :endpoint_id AND participant_id = :participant_id AND state = 'waiting' AND next_at > 0;

-- name: bring_all_forward(endpoint_id)!
UPDATE webhook_deliveries SET next_at = 0 WHERE endpoint_id = :endpoint_id AND state = 'waiting' AND next_at > 0;

-- name: fail_since(project, environment, now)!
-- None of these endpoints fails since a later moment.
UPDATE webhook_endpoints SET failing_since = :now
WHERE project = :project AND environment = :environment AND failing_since > :now;

-- name: after_tries(endpoint_id, finished, failing_since)!
-- `failing_since` is NULL where one succeeded.
UPDATE webhook_endpoints SET
    waiting = waiting - :finished,
    failing_since = CASE WHEN CAST(:failing_since AS BIGINT) IS NOT NULL THEN coalesce(failing_since, :failing_since) END
WHERE endpoint_id = :endpoint_id;

-- name: deliveries(endpoint_id, before, state, limit)
SELECT position, delivery_id, participant_id, event_type, fact_id, occurred_at, effect, created_at, tries, state,
    next_at, done_at
FROM webhook_deliveries
WHERE endpoint_id = :endpoint_id AND position < :before AND (CAST(:state AS TEXT) IS NULL OR state = :state)
ORDER BY position DESC LIMIT :limit;

-- name: tries(positions)
SELECT position, tried_at, status, milliseconds, answer FROM webhook_tries
WHERE position IN (SELECT value FROM json_each(:positions)) ORDER BY position, tried_at, rowid;

-- name: participant_of(endpoint_id, delivery_id)$
SELECT participant_id FROM webhook_deliveries WHERE endpoint_id = :endpoint_id AND delivery_id = :delivery_id;

-- name: again(endpoint_id, delivery_id)!
UPDATE webhook_deliveries SET state = 'waiting', tries = 0, next_at = 0, done_at = NULL
WHERE endpoint_id = :endpoint_id AND delivery_id = :delivery_id AND state <> 'waiting';

-- name: done(endpoint_id, since, until, after, limit)
-- What was delivered or set aside, the oldest first.
SELECT position FROM webhook_deliveries
WHERE endpoint_id = :endpoint_id AND position > :after AND created_at >= :since AND created_at < :until
    AND state <> 'waiting'
ORDER BY position LIMIT :limit;

-- name: replay(endpoint_id, positions)!
UPDATE webhook_deliveries SET state = 'waiting', tries = 0, next_at = 0, done_at = NULL
WHERE endpoint_id = :endpoint_id AND position IN (SELECT value FROM json_each(:positions)) AND state <> 'waiting';

-- name: recount(endpoint_id)!
UPDATE webhook_endpoints SET waiting = (
    SELECT count(*) FROM webhook_deliveries
    WHERE webhook_deliveries.endpoint_id = webhook_endpoints.endpoint_id AND state = 'waiting'
) + (
    SELECT coalesce(sum(deliveries), 0) FROM webhook_outbox
    WHERE webhook_outbox.endpoint_id = webhook_endpoints.endpoint_id
) WHERE endpoint_id = :endpoint_id;

-- name: remove_old(until, limit)
-- What was done before that moment, oldest first.
DELETE FROM webhook_deliveries WHERE position IN (
    SELECT position FROM webhook_deliveries WHERE done_at < :until ORDER BY done_at LIMIT :limit
) RETURNING position;

-- name: remove_tries(positions)!
DELETE FROM webhook_tries WHERE position IN (SELECT value FROM json_each(:positions));
