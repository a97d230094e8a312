"""Uses what openapi-python-client generated, as a developer would: `python use.py URL KEY`. What is wrong raises."""

import sys

from bq_generated import AuthenticatedClient
from bq_generated.api.ingest import ingest_event, ingest_event_sync, ingest_events_batch
from bq_generated.api.participants import get_participant_state
from bq_generated.models import (
    AcceptedAnswer,
    Batch,
    BatchAnswer,
    Code,
    Event,
    EventProperties,
    IngestEventSyncInclude,
    IngestEventWait,
    Problem,
    RehearsalAnswer,
    StateAnswer,
    SyncAnswer,
    SyncEffectsAnswer,
)

url, key = sys.argv[1:]
bq = AuthenticatedClient(base_url=url, token=key, auth_header_name="X-API-Key", prefix="")
# The README's own event.
event = Event("level_completed", "user_123", properties=EventProperties.from_dict({"level": 5}))
nameless = Event("", "user_123")

queued = ingest_event.sync(client=bq, body=event, wait=IngestEventWait.FACT)
assert isinstance(queued, AcceptedAnswer)
assert queued.fact_id

plain = ingest_event_sync.sync(client=bq, body=event)
assert isinstance(plain, SyncAnswer)

told = ingest_event_sync.sync(client=bq, body=event, include=IngestEventSyncInclude.EFFECTS)
assert isinstance(told, SyncEffectsAnswer)
assert told.effects[0]["type"] == "points"

rehearsal = ingest_event_sync.sync(client=bq, body=event, dry_run=True)
assert isinstance(rehearsal, RehearsalAnswer)
assert rehearsal.definitions[0].verdict.value == "matched"

batch = ingest_events_batch.sync(client=bq, body=Batch([event, nameless]))
assert isinstance(batch, BatchAnswer)
assert batch.errors
assert batch.errors[0].index == 1

none = ingest_events_batch.sync(client=bq, body=Batch([nameless]))
assert isinstance(none, BatchAnswer)
assert none.rejected == 1

state = get_participant_state.sync("user_123", client=bq)
assert isinstance(state, StateAnswer)
assert state.points
assert state.points.balance >= 15

refused = ingest_event.sync(client=bq, body=nameless)
assert isinstance(refused, Problem)
assert refused.code is Code.VALIDATION_FAILED
print("done")  # noqa: T201 - the test reads it
