-- Statements of `sql/*.sql` as PostgreSQL wants them, each under the name of its file and its own, with the parameters
-- of the other. A statement that isn't here is the same for both. Where many rows are written at once, each parameter is
-- an array of what the rows have of it, and the statement takes them apart with `unnest`.

-- name: aliases.stories_of
WITH RECURSIVE chain (name, participant) AS (
    SELECT participants.participant_id, aliases.participant
    FROM scopes JOIN participants ON participants.scope = scopes.scope
    JOIN aliases ON aliases.alias = participants.participant
    WHERE scopes.project = :project AND scopes.environment = :environment
        AND participants.participant_id = ANY(ARRAY(SELECT json_array_elements_text(:names::json)))
    UNION
    SELECT chain.name, aliases.participant FROM chain JOIN aliases ON aliases.alias = chain.participant
)
SELECT chain.name, participants.participant_id
FROM chain JOIN participants ON participants.participant = chain.participant
WHERE NOT EXISTS (SELECT 1 FROM aliases WHERE aliases.alias = chain.participant);

-- name: batch.taken_events
SELECT EXISTS (
    SELECT 1 FROM facts
    WHERE event_id = ANY(ARRAY(SELECT decode(value, 'hex') FROM json_array_elements_text(:event_ids::json)))
);

-- name: batch.facts_by_events
SELECT * FROM fact_rows
WHERE event_id = ANY(ARRAY(SELECT decode(value, 'hex') FROM json_array_elements_text(:event_ids::json)));

-- name: batch.facts_by_keys
SELECT * FROM fact_rows
WHERE scope = :scope AND idempotency_key = ANY(ARRAY(SELECT json_array_elements_text(:keys::json)));

-- name: batch.seq_given_last
SELECT newest_seq(), height();

-- name: batch.states
SELECT participant_id, participant, state FROM participants
WHERE scope = :scope AND participant_id = ANY(ARRAY(SELECT json_array_elements_text(:participants::json)));

-- name: batch.references_of
SELECT participant_id, participant FROM participants
WHERE scope = :scope AND participant_id = ANY(ARRAY(SELECT json_array_elements_text(:participants::json)));

-- name: batch.cells
SELECT given.key - 1, cells.value FROM json_array_elements(:wanted::json) WITH ORDINALITY AS given(value, key)
JOIN cells ON cells.participant = (given.value ->> 0)::bigint AND cells.cell = given.value ->> 1;

-- name: batch.history
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at
FROM facts JOIN fact_types ON fact_types.type = facts.type
WHERE facts.participant = :participant AND facts.occurred_at >= :since AND facts.occurred_at < :until
    AND facts.voided_by IS NULL
    AND fact_types.fact_type = ANY(ARRAY(SELECT json_array_elements_text(:fact_types::json)))
ORDER BY facts.occurred_at, facts.seq;

-- name: batch.places
SELECT given.key - 1, standings.score, standings.reached_at, standings.exact
FROM json_array_elements(:wanted::json) WITH ORDINALITY AS given(value, key)
JOIN standings ON standings.participant = (given.value ->> 0)::bigint
    AND standings.ranking IN ((given.value ->> 1)::bigint, -(given.value ->> 1)::bigint);

-- name: batch.put_participants
INSERT INTO participants (scope, participant_id, created_at, total_events, state)
SELECT * FROM unnest(
    :scope::bigint[], :participant_id::text[], :created_at::bigint[], :total_events::bigint[], :state::text[]
)
ON CONFLICT (scope, participant_id) DO UPDATE SET
    created_at = CASE WHEN participants.known = 1 THEN participants.created_at ELSE excluded.created_at END,
    known = 1,
    total_events = participants.total_events + excluded.total_events,
    state = excluded.state;

-- name: batch.insert_facts
INSERT INTO facts (
    seq, scope, type, participant, occurred_at, received_at, processed_at, event_id, fact_id, message_id,
    idempotency_key, fingerprint, properties, warnings, effects, voids, checksum
) SELECT * FROM unnest(
    :seq::bigint[], :scope::bigint[], :type::bigint[], :participant::bigint[], :occurred_at::bigint[],
    :received_at::bigint[], :processed_at::bigint[], :event_id::bytea[], :fact_id::bytea[], :message_id::text[],
    :idempotency_key::text[], :fingerprint::bytea[], :properties::text[], :warnings::text[], :effects::text[],
    :voids::text[], :checksum::bigint[]
);

-- name: batch.put_cells
INSERT INTO cells (participant, cell, value)
SELECT * FROM unnest(:participant::bigint[], :cell::text[], :value::text[])
ON CONFLICT (participant, cell) DO UPDATE SET value = excluded.value;

-- name: batch.remove_cells
DELETE FROM cells USING unnest(:participant::bigint[], :cell::text[]) AS given(participant, cell)
WHERE cells.participant = given.participant AND cells.cell = given.cell;

-- name: batch.put_places
INSERT INTO standings (ranking, participant, score, reached_at, exact)
SELECT * FROM unnest(
    :ranking::bigint[], :participant::bigint[], :score::numeric[], :reached_at::bigint[], :exact::text[]
)
ON CONFLICT (ranking, participant) DO UPDATE SET
    score = excluded.score,
    reached_at = excluded.reached_at,
    exact = excluded.exact;

-- name: batch.remove_places
DELETE FROM standings USING unnest(:ranking::bigint[], :participant::bigint[]) AS given(ranking, participant)
WHERE standings.ranking = given.ranking AND standings.participant = given.participant;

-- name: batch.add_entries
INSERT INTO ledger (participant, number, transaction_id, cause, fact, amount, balance, occurred_at, created_at)
SELECT * FROM unnest(
    :participant::bigint[], :number::bigint[], :transaction_id::bytea[], :cause::text[], :fact::bigint[],
    :amount::bigint[], :balance::bigint[], :occurred_at::bigint[], :created_at::bigint[]
);

-- name: catalog.count_names
UPDATE event_names SET
    first_seen_at = least(event_names.first_seen_at, given.first_seen_at),
    last_seen_at = greatest(event_names.last_seen_at, given.last_seen_at),
    count = event_names.count + given.count
FROM unnest(
    :project::text[], :environment::text[], :event_name::text[], :first_seen_at::bigint[], :last_seen_at::bigint[],
    :count::bigint[]
) AS given(project, environment, event_name, first_seen_at, last_seen_at, count)
WHERE event_names.project = given.project AND event_names.environment = given.environment
    AND event_names.event_name = given.event_name;

-- name: catalog.count_properties
UPDATE event_properties SET count = event_properties.count + given.count
FROM unnest(
    :project::text[], :environment::text[], :event_name::text[], :property::text[], :json_type::text[],
    :count::bigint[]
) AS given(project, environment, event_name, property, json_type, count)
WHERE event_properties.project = given.project AND event_properties.environment = given.environment
    AND event_properties.event_name = given.event_name AND event_properties.property = given.property
    AND event_properties.json_type = given.json_type;

-- name: catalog.add_form
INSERT INTO event_forms (project, environment, variant, form)
SELECT * FROM unnest(:project::text[], :environment::text[], :variant::text[], :form::text[])
ON CONFLICT DO NOTHING;

-- name: catalog.forms_sharing
SELECT DISTINCT form FROM event_forms
WHERE project = :project AND environment = :environment
    AND variant = ANY(ARRAY(SELECT json_array_elements_text(:variants::json))) AND form <> :form
LIMIT :limit;

-- name: checksums.rows_without
SELECT seq, scope, type, participant, occurred_at, received_at, processed_at, event_id, fact_id,
    convert_to(message_id, 'UTF8'), convert_to(idempotency_key, 'UTF8'), fingerprint, convert_to(properties, 'UTF8'),
    convert_to(warnings, 'UTF8'), convert_to(effects, 'UTF8')
FROM facts WHERE checksum IS NULL ORDER BY seq LIMIT :limit;

-- name: checksums.rows_of
SELECT seq, scope, type, coalesce(sent_as, participant), occurred_at, received_at, processed_at, event_id, fact_id,
    convert_to(message_id, 'UTF8'), convert_to(idempotency_key, 'UTF8'), fingerprint, convert_to(properties, 'UTF8'),
    convert_to(warnings, 'UTF8'), convert_to(effects, 'UTF8'), convert_to(voids, 'UTF8')
FROM facts WHERE seq = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:seqs::json)));

-- name: checksums.rows_after
SELECT facts.seq, facts.scope, type, coalesce(sent_as, facts.participant), occurred_at, received_at, processed_at, event_id, fact_id,
    convert_to(message_id, 'UTF8'), convert_to(idempotency_key, 'UTF8'), fingerprint, convert_to(properties, 'UTF8'),
    convert_to(warnings, 'UTF8'), convert_to(effects, 'UTF8'), checksum, participants.participant_id,
    convert_to(voids, 'UTF8')
FROM facts LEFT JOIN participants ON participants.participant = facts.participant
WHERE facts.scope = (SELECT scopes.scope FROM scopes WHERE scopes.project = :project AND scopes.environment = :environment)
    AND facts.seq > :after
ORDER BY facts.seq LIMIT :limit;

-- name: checksums.put_checksums
UPDATE facts SET checksum = given.checksum
FROM unnest(:seq::bigint[], :checksum::bigint[]) AS given(seq, checksum) WHERE facts.seq = given.seq;

-- name: copying.has_table
SELECT to_regclass(:name) IS NOT NULL;

-- name: erasures.remove_warnings
DELETE FROM game_warnings
WHERE project = :project AND environment = :environment
    AND fact_id = ANY(ARRAY(SELECT json_array_elements_text(:fact_ids::json)));

-- name: erasures.remove_announcements
UPDATE webhook_outbox SET
    content = CASE WHEN content LIKE ' %' THEN ' ' ELSE '' END || (
        SELECT coalesce(json_agg(value), '[]')::text FROM json_array_elements(content::json)
        WHERE value ->> 0 <> :participant_id
    ),
    deliveries = (SELECT count(*) FROM json_array_elements(content::json) WHERE value ->> 0 <> :participant_id)
WHERE position > :after AND position <= :until AND endpoint_id IN (
    SELECT endpoint_id FROM webhook_endpoints WHERE project = :project AND environment = :environment
) AND EXISTS (SELECT 1 FROM json_array_elements(content::json) WHERE value ->> 0 = :participant_id);

-- name: erasures.deliveries_of
SELECT delivery_id, endpoint_id, event_type, fact_id, created_at, state FROM (
    SELECT * FROM webhook_deliveries WHERE participant_id = :participant_id ORDER BY position
) AS own WHERE endpoint_id IN (
    SELECT endpoint_id FROM webhook_endpoints WHERE project = :project AND environment = :environment
)
UNION ALL
SELECT NULL, webhook_outbox.endpoint_id, told.value ->> 1, told.value ->> 2, webhook_outbox.created_at, 'waiting'
FROM webhook_endpoints JOIN webhook_outbox ON webhook_outbox.endpoint_id = webhook_endpoints.endpoint_id
CROSS JOIN json_array_elements(webhook_outbox.content::json) AS told(value)
WHERE webhook_endpoints.project = :project AND webhook_endpoints.environment = :environment
    AND told.value ->> 0 = :participant_id;

-- name: expiring_points.watch
INSERT INTO expiring_points (project, environment, participant_id, due_at)
SELECT * FROM unnest(:project::text[], :environment::text[], :participant_id::text[], :due_at::bigint[])
ON CONFLICT (project, environment, participant_id) DO UPDATE SET
    due_at = least(excluded.due_at, expiring_points.due_at);

-- name: facts.facts_by_events
SELECT * FROM fact_rows
WHERE event_id = ANY(ARRAY(SELECT decode(value, 'hex') FROM json_array_elements_text(:event_ids::json)));

-- name: facts.facts_by_keys
SELECT fact_rows.* FROM json_array_elements(:triples::json) AS triple(value)
JOIN scopes ON scopes.project = triple.value ->> 0 AND scopes.environment = triple.value ->> 1
JOIN fact_rows ON fact_rows.scope = scopes.scope AND fact_rows.idempotency_key = triple.value ->> 2;

-- name: feed.head
SELECT
    settled_seq(),
    greatest((SELECT max(notice) FROM notices), (SELECT seq FROM last_given WHERE name = 'notices'));

-- name: feed.add_notice
INSERT INTO notices (project, environment, after_seq, kind, participant_id, event_name, noted_at, data)
VALUES (
    :project, :environment,
    newest_seq(), :kind, :participant_id, :event_name, :noted_at, :data
);

-- name: keys.expire_key
UPDATE api_keys SET expires_at = least(coalesce(expires_at, :expires_at), :expires_at) WHERE key_id = :key_id;

-- name: keys.note_use
UPDATE api_keys SET last_used_at = greatest(coalesce(last_used_at, 0), :used_at) WHERE key_id = :key_id;

-- name: outbox.put_off_until
SELECT given.value, (
    SELECT next_at FROM webhook_deliveries
    WHERE endpoint_id = :endpoint_id AND participant_id = given.value AND state = 'waiting'
    ORDER BY position DESC LIMIT 1
) FROM json_array_elements_text(:participants::json) AS given(value);

-- name: outbox.add_deliveries
INSERT INTO webhook_deliveries (
    delivery_id, endpoint_id, participant_id, event_type, fact_id, occurred_at, effect, created_at, next_at
) SELECT given.delivery_id, given.endpoint_id, given.participant_id, given.event_type, given.fact_id,
    given.occurred_at, given.effect, given.created_at, given.next_at
FROM unnest(
    :delivery_id::text[], :endpoint_id::text[], :participant_id::text[], :event_type::text[], :fact_id::text[],
    :occurred_at::bigint[], :effect::text[], :created_at::bigint[], :next_at::bigint[]
) WITH ORDINALITY AS given(
    delivery_id, endpoint_id, participant_id, event_type, fact_id, occurred_at, effect, created_at, next_at, place
) ORDER BY given.place;

-- name: participants.page_of_participants
SELECT participant_id, display_name, avatar_url, attributes, total_events, created_at FROM (
    SELECT * FROM participants
    WHERE scope = (SELECT scopes.scope FROM scopes WHERE project = :project AND environment = :environment)
        AND known = 1 AND participant_id > :after
    ORDER BY participant_id LIMIT :looked_at
) AS looked
WHERE :search = '' OR strpos(lower(participant_id), lower(:search COLLATE "C")) > 0
    OR strpos(lower(coalesce(display_name, '')), lower(:search COLLATE "C")) > 0
ORDER BY participant_id LIMIT :limit;

-- name: participants.facts_of
SELECT * FROM fact_rows
WHERE participant = (
    SELECT participants.participant FROM participants JOIN scopes ON scopes.scope = participants.scope
    WHERE scopes.project = :project AND scopes.environment = :environment
        AND participants.participant_id = :participant_id
) AND occurred_at >= :since
    AND (:fact_types::text IS NULL
        OR fact_type = ANY(ARRAY(SELECT json_array_elements_text(:fact_types::text::json))))
ORDER BY occurred_at, seq;

-- name: participants.count_listeners
SELECT count(DISTINCT nullif(facts.participant, (
    SELECT participants.participant FROM participants
    WHERE participants.scope = scopes.scope AND participants.participant_id = ''
))) FROM json_array_elements(:listening::json) AS pair(value)
CROSS JOIN scopes
JOIN fact_types ON fact_types.scope = scopes.scope AND fact_types.fact_type = pair.value ->> 0
JOIN facts ON facts.type = fact_types.type AND facts.seq > (pair.value ->> 1)::bigint
WHERE scopes.project = :project AND scopes.environment = :environment;

-- name: state.states_of
SELECT participants.participant_id, participants.state
FROM participants JOIN scopes ON scopes.scope = participants.scope
WHERE scopes.project = :project AND scopes.environment = :environment
    AND participants.participant_id = ANY(ARRAY(SELECT json_array_elements_text(:participants::json)));

-- name: state.cells_of
SELECT cells.cell, cells.value FROM json_array_elements_text(:prefixes::json) AS prefix(value)
JOIN cells ON cells.cell >= prefix.value AND cells.cell < prefix.value || chr(1114111)
WHERE cells.participant = :participant;

-- name: state.cells_named
SELECT cells.cell, cells.value FROM scopes
JOIN participants ON participants.scope = scopes.scope AND participants.participant_id = :participant_id
JOIN cells ON cells.participant = participants.participant
    AND cells.cell = ANY(ARRAY(SELECT json_array_elements_text(:names::json)))
WHERE scopes.project = :project AND scopes.environment = :environment;

-- name: rankings.keys_of
SELECT score, reached_at FROM standings
WHERE ranking = :ranking
    AND participant = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:participants::json)));

-- name: state.places_of
SELECT rankings.board, rankings.time_window, rankings.period, standings.score, standings.reached_at, standings.exact,
    standings.ranking < 0
FROM participants
JOIN rankings ON rankings.scope = participants.scope
JOIN standings ON standings.ranking IN (rankings.ranking, -rankings.ranking)
    AND standings.participant = participants.participant
WHERE participants.participant = :participant
    AND rankings.board = ANY(ARRAY(SELECT json_array_elements_text(:boards::json)));

-- name: state.places_after
SELECT standings.ranking, standings.participant, rankings.board, rankings.time_window, rankings.period,
    participants.participant_id, standings.score, standings.reached_at, standings.exact, standings.ranking < 0,
    participants.state
FROM standings
JOIN rankings ON rankings.ranking = abs(standings.ranking)
JOIN participants ON participants.participant = standings.participant
WHERE rankings.scope = (SELECT scope FROM scopes WHERE project = :project AND environment = :environment)
    AND (standings.ranking, standings.participant) > (:ranking, :participant)
ORDER BY standings.ranking, standings.participant LIMIT :limit;

-- name: received_facts.put
INSERT INTO received_facts (participant, fact, effects)
SELECT * FROM unnest(:participant::bigint[], :fact::bigint[], :effects::text[])
ON CONFLICT (participant, fact) DO NOTHING;

-- name: received_facts.history
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids, senders.participant_id, facts.voided_by
FROM received_facts
JOIN facts ON facts.seq = received_facts.fact
JOIN fact_types ON fact_types.type = facts.type
JOIN participants AS senders ON senders.participant = facts.participant
WHERE received_facts.participant = :participant AND facts.occurred_at >= :since AND facts.occurred_at < :until
    AND facts.voided_by IS NULL
    AND fact_types.fact_type = ANY(ARRAY(SELECT json_array_elements_text(:fact_types::json)))
ORDER BY facts.occurred_at, facts.seq;

-- name: received_facts.named
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids, senders.participant_id, facts.voided_by
FROM received_facts
JOIN facts ON facts.seq = received_facts.fact
JOIN fact_types ON fact_types.type = facts.type
JOIN participants AS senders ON senders.participant = facts.participant
WHERE received_facts.participant = :participant AND facts.seq IN (
    SELECT seq FROM facts
    WHERE scope = :scope AND idempotency_key = ANY(ARRAY(SELECT json_array_elements_text(:keys::json)))
    UNION SELECT seq FROM facts
    WHERE fact_id = ANY(ARRAY(SELECT decode(value, 'hex') FROM json_array_elements_text(:fact_ids::json)))
    UNION SELECT seq FROM facts
    WHERE event_id = ANY(ARRAY(SELECT decode(value, 'hex') FROM json_array_elements_text(:fact_ids::json)))
        AND fact_id IS NULL
);

-- name: received_facts.recipients_of
SELECT received_facts.fact, participants.participant_id
FROM received_facts JOIN participants ON participants.participant = received_facts.participant
WHERE received_facts.fact = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:seqs::json)))
    AND participants.participant_id <> '';

-- name: received_facts.effects_of
SELECT facts.seq, NULL, facts.effects FROM facts
WHERE facts.seq = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:seqs::json)))
    AND facts.effects IS NOT NULL
UNION ALL
SELECT received_facts.fact, participants.participant_id, received_facts.effects
FROM received_facts JOIN participants ON participants.participant = received_facts.participant
WHERE received_facts.fact = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:seqs::json)))
    AND received_facts.effects IS NOT NULL
ORDER BY 1, 2 NULLS FIRST;

-- name: received_facts.facts_to_deliver
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids, participants.participant_id
FROM facts
JOIN fact_types ON fact_types.type = facts.type
JOIN participants ON participants.participant = facts.participant
WHERE facts.scope = :scope AND facts.seq > :after AND participants.participant_id <> ''
    AND fact_types.fact_type = ANY(ARRAY(SELECT json_array_elements_text(:fact_types::json)))
    AND NOT EXISTS (
        SELECT 1 FROM received_facts JOIN participants AS recipients
        ON recipients.participant = received_facts.participant
        WHERE received_facts.fact = facts.seq AND recipients.participant_id = ''
    )
ORDER BY facts.seq LIMIT :limit;

-- name: reward_claims.add
INSERT INTO reward_claims (fact, scope, reward_code, code_value)
SELECT given.fact, scopes.scope, given.reward_code, given.code_value
FROM unnest(
    :fact::bigint[], :project::text[], :environment::text[], :reward_code::text[], :code_value::text[]
) AS given(fact, project, environment, reward_code, code_value)
JOIN scopes ON scopes.project = given.project AND scopes.environment = given.environment;

-- name: voids.named_facts
SELECT facts.seq, facts.fact_id, facts.event_id, fact_types.fact_type, fact_types.event_name, facts.properties,
    facts.occurred_at, facts.received_at, facts.idempotency_key, facts.voids
FROM facts JOIN fact_types ON fact_types.type = facts.type
WHERE facts.participant = :participant AND facts.seq IN (
    SELECT seq FROM facts
    WHERE scope = :scope AND idempotency_key = ANY(ARRAY(SELECT json_array_elements_text(:keys::json)))
    UNION SELECT seq FROM facts
    WHERE fact_id = ANY(ARRAY(SELECT decode(value, 'hex') FROM json_array_elements_text(:fact_ids::json)))
    UNION SELECT seq FROM facts
    WHERE event_id = ANY(ARRAY(SELECT decode(value, 'hex') FROM json_array_elements_text(:fact_ids::json)))
        AND fact_id IS NULL
);

-- name: voids.mark
UPDATE facts SET voided_by = given.void
FROM unnest(:fact::bigint[], :void::bigint[]) AS given(fact, void) WHERE facts.seq = given.fact;

-- name: watched_streaks.put_streaks
INSERT INTO watched_streaks (project, environment, participant_id, code, longest, fact_id, occurred_at)
SELECT * FROM unnest(
    :project::text[], :environment::text[], :participant_id::text[], :code::text[], :longest::bigint[],
    :fact_id::text[], :occurred_at::bigint[]
)
ON CONFLICT (project, environment, participant_id, code) DO UPDATE SET
    longest = excluded.longest,
    fact_id = excluded.fact_id,
    occurred_at = excluded.occurred_at,
    breaks_at = 0,
    told = 0;

-- name: watched_streaks.broken_of
SELECT participant_id, code, longest, fact_id, occurred_at, breaks_at, told FROM watched_streaks
WHERE project = :project AND environment = :environment
    AND participant_id = ANY(ARRAY(SELECT json_array_elements_text(:participants::json)))
    AND breaks_at > 0 AND breaks_at <= :now AND told = 0;

-- name: watched_streaks.look_again
UPDATE watched_streaks SET breaks_at = 0 WHERE project = :project AND environment = :environment
    AND participant_id = ANY(ARRAY(SELECT json_array_elements_text(:participants::json))) AND told = 1
    AND breaks_at > 0;

-- name: watched_streaks.forget_when_of
UPDATE watched_streaks SET breaks_at = 0 WHERE project = :project AND environment = :environment
    AND participant_id = ANY(ARRAY(SELECT json_array_elements_text(:participants::json)));

-- name: webhooks.present
SELECT position FROM webhook_deliveries
WHERE position = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:positions::json)));

-- name: webhooks.replay
UPDATE webhook_deliveries SET state = 'waiting', tries = 0, next_at = 0, done_at = NULL
WHERE endpoint_id = :endpoint_id
    AND position = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:positions::json)))
    AND state <> 'waiting';

-- name: webhooks.finish
UPDATE webhook_deliveries SET state = :state, done_at = :now, tries = tries + 1
WHERE position = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:positions::json)))
    AND state = 'waiting';

-- name: webhooks.add_tries
INSERT INTO webhook_tries (position, tried_at, status, milliseconds, answer)
SELECT * FROM unnest(
    :position::bigint[], :tried_at::bigint[], :status::bigint[], :milliseconds::bigint[], :answer::text[]
);

-- name: webhooks.tries
SELECT position, tried_at, status, milliseconds, answer FROM webhook_tries
WHERE position = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:positions::json)))
ORDER BY position, tried_at, ctid;

-- name: webhooks.remove_tries
DELETE FROM webhook_tries
WHERE position = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(:positions::json)));

-- name: contests.names
SELECT participants.participant_id, participants.display_name
FROM participants JOIN scopes ON scopes.scope = participants.scope
WHERE scopes.project = :project AND scopes.environment = :environment
    AND participants.participant_id = ANY(ARRAY(SELECT json_array_elements_text(:participants::json)));

-- name: processes.report
INSERT INTO processes (process_id, place, role, started_at, knows, heard_at)
SELECT :process_id, :place, :role, moment, :knows::bigint, moment
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS moment) AS clock
ON CONFLICT (process_id) DO UPDATE SET knows = excluded.knows, heard_at = excluded.heard_at;

-- name: processes.every_process
SELECT process_id, place, role, knows, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - heard_at,
    EXISTS (SELECT 1 FROM leases WHERE leases.holder = processes.process_id AND leases.expires_at > 0)
FROM processes ORDER BY started_at, process_id;

-- name: processes.remove_long_lost
DELETE FROM processes WHERE heard_at < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - :silence::bigint;

-- name: processes.count_ignorant
SELECT count(*) FROM processes
WHERE knows < :number AND heard_at >= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - :silence::bigint;

-- name: processes.take_lease
INSERT INTO leases (name, holder, term, expires_at)
SELECT :name, :holder, moment, moment + :lasts::bigint
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS moment) AS clock
ON CONFLICT (name) DO UPDATE SET
    term = CASE WHEN leases.holder = excluded.holder THEN leases.term
        ELSE greatest(excluded.term, leases.term + 1) END,
    holder = excluded.holder,
    expires_at = excluded.expires_at
WHERE leases.holder = excluded.holder OR leases.expires_at <= excluded.term
RETURNING term;

-- name: processes.standing
SELECT coalesce((SELECT number FROM wakes WHERE wakes.name = :memory), 0), EXISTS (
    SELECT 1 FROM leases
    WHERE leases.name = :name AND holder = :holder AND expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
);

-- name: processes.is_permitted
SELECT EXISTS (
    SELECT 1 FROM leases AS given JOIN leases AS own ON own.holder = given.holder
    WHERE given.name = :name AND given.holder = :holder AND given.term = :term AND own.name = :lease
        AND own.expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
);

-- name: processes.grant_permit
INSERT INTO leases (name, holder, term, expires_at)
SELECT :name, :holder::text, :term::bigint, 0 FROM leases AS led
WHERE led.name = :lease AND led.holder = :holder::text
    AND led.expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = excluded.term
RETURNING term;

-- name: processes.revoke_permits
DELETE FROM leases
WHERE starts_with(name, :begin::text) AND (holder = :holder OR EXISTS (
    SELECT 1 FROM leases AS led
    WHERE led.name = :lease AND led.holder = :holder
        AND led.expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
));

-- name: processes.wake
INSERT INTO wakes (name, number)
SELECT value, (SELECT coalesce(max(number), 0) + 1 FROM wakes) FROM json_array_elements_text(:names::json)
ON CONFLICT (name) DO UPDATE SET number = excluded.number;
