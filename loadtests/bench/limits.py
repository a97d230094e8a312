"""Limits that no server built on these libraries can exceed: appending alone, and validating alone."""

import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import redis.asyncio as redis
import uvloop

from loadtests.peers.valkey import private_valkey
from loadtests.purchases import batch_body, single_body
from loadtests.subjects import SubjectNotFound
from loadtests.usage import tree_usage

GROUP = 100
"""Events in a round trip."""

PARTICIPANTS = 10_000
BODIES = 200

APPEND_ALL = """\
local ids = {}
for i = 1, #ARGV do ids[i] = redis.call('XADD', KEYS[1], '*', 'e', ARGV[i]) end
return ids"""

Append = Callable[[redis.Redis], Callable[[Sequence[bytes]], Awaitable[Any]]]


def by_pipeline(client: redis.Redis) -> Callable[[Sequence[bytes]], Awaitable[Any]]:
    """A pipeline of one XADD an event."""

    async def append(payloads: Sequence[bytes]) -> Any:
        pipeline = client.pipeline(transaction=False)
        for payload in payloads:
            pipeline.xadd("events", {"e": payload})
        return await pipeline.execute()

    return append


def by_script(client: redis.Redis) -> Callable[[Sequence[bytes]], Awaitable[Any]]:
    """One script call for all events."""
    script = client.register_script(APPEND_ALL)

    async def append(payloads: Sequence[bytes]) -> Any:
        return await script(keys=["events"], args=list(payloads))

    return append


def appending(how: Append, seconds: float) -> dict[str, float]:
    """Append groups of events one after the other; events/s, and what an event cost client and Valkey."""
    random = Random(1)
    payloads = [single_body(random, PARTICIPANTS) for _ in range(GROUP)]
    with tempfile.TemporaryDirectory(prefix="bq-peer-") as name, private_valkey(Path(name)) as (path, pid):

        async def run() -> dict[str, float]:
            client = redis.Redis(unix_socket_path=str(path))
            try:
                append = how(client)
                await append(payloads)
                return await _measured(append, payloads, pid, seconds)
            finally:
                await client.aclose()

        return uvloop.run(run())


async def _measured(
    append: Callable[[Sequence[bytes]], Awaitable[Any]], payloads: Sequence[bytes], pid: int, seconds: float
) -> dict[str, float]:
    before, used, began, events = tree_usage(pid), time.process_time(), time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        await append(payloads)
        events += len(payloads)
    used, after = time.process_time() - used, tree_usage(pid)
    found = {"events": events / took, "cpu": used * 1e6 / events}
    if before is not None and after is not None:
        spent = after.stream.processor_seconds - before.stream.processor_seconds
        found["stream_cpu"] = spent * 1e6 / events
    return found


def validating(batch: int, seconds: float) -> dict[str, float]:
    """Parse and validate bodies of so many events, 0 for single ones; events/s. Raises `Missing`."""
    read = _reader(batch)
    random = Random(1)
    bodies = [
        batch_body(random, PARTICIPANTS, batch) if batch else single_body(random, PARTICIPANTS) for _ in range(BODIES)
    ]
    read(bodies[0])
    began, used, events = time.perf_counter(), time.process_time(), 0
    while (took := time.perf_counter() - began) < seconds:
        for body in bodies:
            read(body)
        events += len(bodies) * (batch or 1)
    return {"events": events / took, "cpu": (time.process_time() - used) * 1e6 / events}


def _reader(batch: int) -> Callable[[bytes], object]:
    """The server's own validation. It is internal, so it may move; the report then has a gap, not an error."""
    try:
        from bq_server.ingest import validation

        limits = validation.Limits(65_536, 32, 100)
        if not batch:
            return lambda body: validation.single(body, limits, None)
        return lambda body: [validation.check(event, limits) for event in validation.batch(body, limits)]
    except (ImportError, AttributeError, TypeError) as error:
        raise SubjectNotFound(f"the server's validation is not where it was: {error}") from None
