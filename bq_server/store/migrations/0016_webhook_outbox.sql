-- What endpoints are still to be told, before it becomes deliveries: a row for all that one endpoint is told of a batch.
CREATE TABLE webhook_outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint_id TEXT NOT NULL,
    -- A JSON array of [participant, event type, fact, its event time, what is told of it].
    content TEXT NOT NULL,
    -- How many deliveries it holds.
    deliveries INTEGER NOT NULL,
    -- By the clock of the environment.
    created_at INTEGER NOT NULL
);
CREATE INDEX webhook_outbox_of_endpoint ON webhook_outbox (endpoint_id, position);
