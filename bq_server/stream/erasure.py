"""Erasing what the stream server knows about a person: claims, and what its append-only file has kept."""

import asyncio
from collections.abc import Sequence
from typing import Any

import redis.asyncio as redis
from redis.exceptions import ResponseError

from bq_server.stream.connection import asking
from bq_server.stream.keys import StreamKeys

PAGE = 500
"""Claims removed in one round trip."""

LOOK_SECONDS = 0.05
"""Seconds between two checks whether the file is written."""

_AS_COMMANDS = "aof-use-rdb-preamble"
"""With it, the file begins with a copy of memory pages, which include deleted stream entries."""


class StreamErasure:
    """Every method raises `StreamUnavailable`."""

    def __init__(self, client: redis.Redis, keys: StreamKeys) -> None:
        self._client: Any = client
        self._keys = keys

    async def claims(self, project: str, environment: str, idempotency_keys: Sequence[str], resets: int) -> None:
        """Remove the claims on these idempotency keys of an environment that was reset so often."""
        names = [self._keys.claim(project, environment, each, resets) for each in idempotency_keys]
        for start in range(0, len(names), PAGE):
            with asking():
                await self._client.delete(*names[start : start + PAGE])

    async def rewrite(self) -> bool:
        """Rewrite the append-only file without what was removed; return once that is done.

        False if the stream server has no such file, or doesn't allow the commands.
        """
        with asking():
            try:
                kept = await self._client.config_get("appendonly", _AS_COMMANDS)
                if kept.get("appendonly") != "yes":
                    return False
                await self._client.config_set(_AS_COMMANDS, "no")
            except ResponseError:
                return False
            try:
                await self._written()  # one under way started with what must be forgotten
                await self._client.bgrewriteaof()
                return await self._written()
            finally:
                await self._client.config_set(_AS_COMMANDS, kept.get(_AS_COMMANDS, "yes"))

    async def _written(self) -> bool:
        """Wait until no rewrite is under way; returns whether the last one succeeded."""
        while True:
            about = await self._client.info("persistence")
            if not about["aof_rewrite_in_progress"] and not about["aof_rewrite_scheduled"]:
                return bool(about["aof_last_bgrewrite_status"] == "ok")
            await asyncio.sleep(LOOK_SECONDS)
