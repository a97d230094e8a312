"""Filling an unused stream with messages and dead letters."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import redis.asyncio as redis

from bq_server.stream.backlog import NO_MESSAGE, Kept
from bq_server.stream.claims import Claim
from bq_server.stream.connection import StreamUnusable, asking
from bq_server.stream.keys import FIELD, GROUP, StreamKeys

PAGE = 100
"""Messages in one round trip: a few milliseconds of a stream server's time, and at most a few MB."""


async def fill(
    client: redis.Redis,
    keys: StreamKeys,
    dead_letters: Iterable[tuple[Kept, Claim | None]],
    messages: Iterable[tuple[Kept, Claim | None]],
    *,
    newest: str,
    owner: str,
    window_hours: int,
) -> None:
    """Fill an unused stream: dead letters and messages, oldest first, each with its claim; the owner last of all.

    Later ids will be above `newest`. A message that is also a dead letter becomes only that. A failure leaves the
    stream unused, except for claims, which expire. Raises `StreamUnusable` if it is already used, and
    `StreamUnavailable`.
    """
    with asking():
        if await client.exists(keys.events, keys.dead, keys.owner):
            raise StreamUnusable(
                f"the stream under the prefix {keys.prefix!r} is in use: choose another with --redis-prefix, or "
                "restore without --redis-url (docs/deploy.md explains how to return to that stream)"
            )
        try:
            dead_ids: set[str] = set()
            await client.xgroup_create(keys.events, GROUP, id="0", mkstream=True)
            for page in _pages(dead_letters):
                dead_ids.update(letter.message_id for letter, _ in page)
                async with client.pipeline(transaction=False) as pipe:
                    for letter, claim in page:
                        pipe.hset(keys.dead, letter.message_id, letter.content)
                        _claim(pipe, claim, window_hours)
                    await pipe.execute()
            for page in _pages(messages):
                async with client.pipeline(transaction=False) as pipe:
                    for message, claim in page:
                        if message.message_id not in dead_ids:
                            pipe.xadd(keys.events, {FIELD: message.content}, id=message.message_id)
                            _claim(pipe, claim, window_hours)
                    await pipe.execute()
            if newest != NO_MESSAGE:
                command: Any = client.execute_command
                await command("XSETID", keys.events, newest)
            await client.set(keys.owner, owner)
        except BaseException:
            await client.delete(keys.events, keys.dead, keys.owner)
            raise


def _claim(pipe: Any, claim: Claim | None, window_hours: int) -> None:
    if claim is not None:
        pipe.set(claim.key, claim.pack(), px=window_hours * 3_600_000)


def _pages(items: Iterable[tuple[Kept, Claim | None]]) -> Iterator[list[tuple[Kept, Claim | None]]]:
    iterator = iter(items)
    while page := list(islice(iterator, PAGE)):
        yield page
