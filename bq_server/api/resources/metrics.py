"""`/metrics`: what the server counts, for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

from pydantic import RootModel
from starlette.responses import Response

from bq_server.api.operations import Call, DocumentedAnswer, Operation
from bq_server.api.resources.health import Check
from bq_server.metrics.families import FAMILIES, Scrape, Sources, Waiting

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Ask = Callable[[], Awaitable[Waiting | None]]
"""Asks the stream; answers None while it can't be asked."""


class MetricsAnswer(RootModel[str]):
    """Lines of Prometheus' text format, version 0.0.4."""


async def load() -> Any:
    """The module that writes the format: imported beside the loop and after the start, as that takes so long."""
    return await asyncio.to_thread(import_module, "bq_server.metrics.exposition")


def operations(sources: Sources, ask: Ask, checks: Mapping[str, Check]) -> list[Operation]:
    """The route of this resource."""

    async def get_metrics(_: Call) -> Response:
        exposition = await load()
        waiting, found = await asyncio.gather(ask(), asyncio.gather(*[check() for check in checks.values()]))
        passed = {name: problem is None for name, problem in zip(checks, found, strict=True)}
        now = Scrape(sources, waiting, passed)
        read = [(family, list(family.read(now))) for family in FAMILIES]
        text: bytes = await asyncio.to_thread(exposition.text, read)
        return Response(text, headers={"Content-Type": MEDIA_TYPE})

    return [
        Operation(
            "GET",
            "/metrics",
            "Health",
            "What the server counts, in Prometheus' text format",
            get_metrics,
            {200: DocumentedAnswer(MetricsAnswer, "The metrics of docs/metrics.md.", media_type="text/plain")},
            scope="metrics",
        )
    ]
