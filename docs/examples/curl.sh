#!/bin/sh
# From nothing to a first effect with curl alone. BQ_URL and BQ_API_KEY name the server and the key.
set -eu
: "${BQ_URL:=http://127.0.0.1:8080}" "${BQ_API_KEY:?is the bq_test_ key from the server's banner}"

bq() {
    method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --retry 5 --request "$method" "$BQ_URL/api/v1$path" \
        --header "X-API-Key: $BQ_API_KEY" --header "Content-Type: application/json" "$@"
    echo
}

# A rule: a point for each unit spent, and a badge for the third purchase.
bq PUT /gamify/admin/game --data '{
    "points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}],
    "badges": [{"code": "regular", "name": "Regular",
                "criteria": {"on": "purchase_completed", "aggregate": "count", "target": 3}}]
}'

# What would happen, and why; nothing is written.
event='{"event_name": "purchase_completed", "participant_id": "ada", "properties": {"amount": 40}}'
bq POST '/ingest/events/sync?dry_run=true' --data "$event"

# Now it does, and the answer shows what it caused.
bq POST '/ingest/events/sync?include=effects' --data "$event"

# For production: answered once it is durable. A key of the event's own makes repeating it safe, so curl may retry.
bq POST /ingest/events --header "Idempotency-Key: order-1001" --data "$event"

# The participant's state, once everything sent before is processed.
bq POST /sandbox/drain --data '{}'
bq GET /gamify/participants/ada/state
