"""Endpoints: the three routes, each called with POST."""

from harness.conformance import batch, single, sync
from harness.conformance.conversation import RecordedExchange
from harness.conformance.statements import Remark, Section

ENDPOINTS = Section("Endpoints")


def _is_there(exchange: RecordedExchange) -> Remark:
    exchange.must(exchange.status not in (404, 405), "an answer of this route")
    return None


ENDPOINTS.says("endpoint.single", "POST /ingest/events takes one event.", single.example)(_is_there)
ENDPOINTS.says("endpoint.batch", "POST /ingest/events/batch takes several events.", batch.example)(_is_there)
ENDPOINTS.says("endpoint.sync", "POST /ingest/events/sync takes one event to process at once.", sync.example)(_is_there)
