-- Who is told outside of what happens here. Secrets are kept as they are: signatures are made with them.
CREATE TABLE webhook_endpoints (
    endpoint_id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    url TEXT NOT NULL,
    -- A JSON array.
    event_types TEXT NOT NULL,
    description TEXT NOT NULL,
    secret TEXT NOT NULL,
    -- Also signed with until that moment.
    previous_secret TEXT,
    previous_until INTEGER,
    -- Why nothing is sent there; NULL while it is on.
    off_because TEXT,
    -- Since when every try fails; NULL after one that succeeded.
    failing_since INTEGER,
    -- How many deliveries wait.
    waiting INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhook_endpoints_by_scope ON webhook_endpoints (project, environment);

-- What an endpoint is told: written in the transaction of the facts it tells of.
CREATE TABLE webhook_deliveries (
    -- In the order in which a participant's are sent.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id TEXT NOT NULL UNIQUE,
    endpoint_id TEXT NOT NULL,
    participant_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    fact_id TEXT,
    -- Of the fact.
    occurred_at INTEGER NOT NULL,
    -- As facts keep what they caused; NULL for what is no effect.
    effect TEXT,
    -- By the clock of the environment.
    created_at INTEGER NOT NULL,
    -- waiting, delivered, or aside: given up.
    state TEXT NOT NULL DEFAULT 'waiting',
    -- How often it has been tried since it began to wait.
    tries INTEGER NOT NULL DEFAULT 0,
    -- By the server's clock, as is the next: when it may be tried, and when it was delivered or set aside.
    next_at INTEGER NOT NULL DEFAULT 0,
    done_at INTEGER
);
CREATE INDEX webhook_deliveries_of_participant ON webhook_deliveries (endpoint_id, participant_id, position)
    WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_at, position) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id, position);
CREATE INDEX webhook_deliveries_done ON webhook_deliveries (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE webhook_tries (
    position INTEGER NOT NULL,
    tried_at INTEGER NOT NULL,
    -- NULL where no answer came.
    status INTEGER,
    milliseconds INTEGER NOT NULL,
    -- The first bytes of the answer, or why there was none.
    answer TEXT NOT NULL
);
CREATE INDEX webhook_tries_by_delivery ON webhook_tries (position, tried_at);
