"""`/metrics`: the server's metrics, for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, operation
from bq_server.api.resources.health import Check
from bq_server.api.schemas.metrics import (
    MetricsAnswer,
)
from bq_server.metrics.families import FAMILIES, QueueDepth, Scrape, Sources

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Ask = Callable[[], Awaitable[QueueDepth | None]]
"""Queries the stream; returns None while it can't be queried."""
AskWebhooks = Callable[[], Awaitable[int | None]]
"""Counts the waiting webhooks; returns None while that can't be read."""


async def load() -> Any:
    """The module that writes the format: imported on a thread after the start, because that takes so long."""
    return await asyncio.to_thread(import_module, "bq_server.metrics.exposition")


class MetricsResource:
    """Writes the server's metrics."""

    def __init__(self, sources: Sources, ask: Ask, ask_webhooks: AskWebhooks, checks: Mapping[str, Check]) -> None:
        self._sources = sources
        self._ask = ask
        self._ask_webhooks = ask_webhooks
        self._checks = checks

    @operation(
        "getMetrics",
        "GET",
        "/metrics",
        "Health",
        {200: DocumentedAnswer(MetricsAnswer, "The metrics of docs/metrics.md.", media_type="text/plain")},
        scope="metrics",
    )
    async def get_metrics(self, _: Call) -> Response:
        """The server's metrics, in Prometheus's text format."""
        exposition = await load()
        waiting, webhooks, found = await asyncio.gather(
            self._ask(), self._ask_webhooks(), asyncio.gather(*[check() for check in self._checks.values()])
        )
        passed = {name: problem is None for name, problem in zip(self._checks, found, strict=True)}
        now = Scrape(self._sources, waiting, webhooks, passed)
        read = [(family, list(family.read(now))) for family in FAMILIES]
        text: bytes = await asyncio.to_thread(exposition.text, read)
        return Response(text, headers={"Content-Type": MEDIA_TYPE})
