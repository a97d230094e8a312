"""Sending spans to a collector: OTLP over HTTP, as JSON."""

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog

from bq_server.tracing.tracer import Span, Tracer

log = structlog.get_logger("bq_server.tracing")

EVERY_SECONDS = 1.0
PAGE = 500
"""Spans in one request."""

SECONDS = 5.0
"""Longest wait for the collector."""


class SpanExporter:
    """Sends a tracer's spans. What a collector doesn't accept is dropped: traces are not a record."""

    def __init__(self, tracer: Tracer, endpoint: str, version: str) -> None:
        self._tracer = tracer
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._version = version
        self._reached = True

    async def run(self) -> None:
        """Send periodically, until cancelled; then what is left, once."""
        from httpx import AsyncClient

        async with AsyncClient(timeout=SECONDS) as http:
            try:
                while True:
                    await asyncio.sleep(EVERY_SECONDS)
                    await self._send(http)
            finally:
                await self._send(http)

    async def _send(self, http: Any) -> None:
        from httpx import HTTPError

        while spans := self._tracer.take(PAGE):
            try:
                (await http.post(self._url, json=document(spans, self._version))).raise_for_status()
            except HTTPError as error:
                if self._reached:
                    log.warning("traces.not_sent", url=self._url, reason=repr(error))
                self._reached = False
                return
            if not self._reached:
                log.info("traces.sent_again", url=self._url)
            self._reached = True


def document(spans: Iterable[Span], version: str) -> dict[str, Any]:
    """An `ExportTraceServiceRequest` in its JSON form."""
    resource = {"attributes": _attributes({"service.name": "bq-server", "service.version": version}.items())}
    own = [
        {
            "traceId": each.trace_id,
            "spanId": each.span_id,
            **({"parentSpanId": each.parent_id} if each.parent_id else {}),
            "name": each.name,
            "kind": each.kind,
            "startTimeUnixNano": str(each.started * 1000),
            "endTimeUnixNano": str(each.ended * 1000),
            "attributes": _attributes(each.attributes.items()),
            "status": {"code": 2, "message": each.failed} if each.failed else {},
        }
        for each in spans
    ]
    scope = {"name": "bq-server", "version": version}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": own}]}]}


def _attributes(pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in pairs]
