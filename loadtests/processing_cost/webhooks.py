"""Facts a second with a webhook endpoint and without one, and what a delivery costs by itself."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bq_server.clock import Clocks, system_clock
from bq_server.delivery.dispatcher import Dispatcher
from bq_server.delivery.endpoints import Endpoints
from bq_server.delivery.sender import Sender
from bq_server.events import Event
from bq_server.store.audit_log import Act, Actor
from bq_server.store.webhooks import Endpoint
from loadtests.markdown import cell, table
from loadtests.peers.receiver import receiver
from loadtests.processing_cost.bench import Bench
from loadtests.processing_cost.games import SCOPE, game_of
from loadtests.processing_cost.report import ReportSection, ReportTarget, costs, of_throughputs, ratio
from loadtests.processing_cost.rounds import Sample, Spread, Turn, interleave
from loadtests.processing_cost.throughput import DEFINITIONS, FACTS_EACH, joined
from loadtests.processing_cost.workshop import Workshop, people, tell, turn_of

LEAST = 0.85
"""Of the facts a second without an endpoint."""

NONE, DEAF, ALL = "no endpoint", "one, told of badges: nothing here", "one, told of every ledger entry"
CHOSEN = {NONE: None, DEAF: "badge.awarded", ALL: "points.changed"}


ACT = Act("webhook_endpoint_created", SCOPE, Actor(command="bench"), system_clock)


@dataclass(slots=True)
class Desk:
    """A bench whose server also sends."""

    bench: Bench
    endpoints: Endpoints
    dispatcher: Dispatcher
    url: str

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, bench: Bench, url: str) -> AsyncIterator["Desk"]:
        """Send until the end."""
        clocks = Clocks(system_clock)
        endpoints = Endpoints(bench.database, bench.ids, clocks, secrets.token_bytes, private=True)
        async with Sender(system_clock, private=True) as sender:
            dispatcher = Dispatcher(bench.database, endpoints, sender, clocks, bench.ids, 5.0, bench.processor.counts)
            running = asyncio.create_task(dispatcher.run())
            yield cls(bench, endpoints, dispatcher, url)
            running.cancel()
            await asyncio.wait([running])

    @contextlib.asynccontextmanager
    async def told_of(self, event_type: str | None) -> AsyncIterator[Endpoint | None]:
        """With an endpoint that is told of these; afterwards what waits for it is gone, and costs nobody anything."""
        if event_type is None:
            yield None
            return
        endpoint = await self.endpoints.create(ACT, SCOPE, self.url, frozenset({event_type}), "")
        try:
            yield endpoint
        finally:
            await self.endpoints.remove(ACT, SCOPE, endpoint.endpoint_id)

    async def waiting(self, endpoint: Endpoint) -> int:
        """How many deliveries wait for it."""
        return (await self.endpoints.get(SCOPE, endpoint.endpoint_id)).waiting


async def measure(workshop: Workshop) -> ReportSection:
    """Turns with each, and then what waits sent by itself."""
    plan = workshop.plan
    turns: dict[str, Turn] = {}
    with receiver() as url:
        async with AsyncExitStack() as stack:
            desk, batches = None, None
            for name, chosen in CHOSEN.items():
                desk, batches = await _desk(workshop, stack, name, url)
                turns[name] = _turn(workshop, desk, batches, chosen)
            samples = await interleave(turns, plan.long_rounds, plan.warm_up)
            assert desk is not None
            assert batches is not None
            alone = [await _alone(desk, batches) for _ in range(plan.long_rounds)]
    return _section(samples, alone)


async def _desk(workshop: Workshop, stack: AsyncExitStack, name: str, url: str) -> tuple[Desk, Iterator[list[Event]]]:
    plan, everyone, game = workshop.plan, people(workshop.plan.participants), game_of(DEFINITIONS)
    bench = await stack.enter_async_context(workshop.bench())
    await bench.apply(game)
    await workshop.seeder(bench).clones(game, everyone, FACTS_EACH, FACTS_EACH)
    tell(f"filled: {name}, {len(everyone):,} participants")
    desk = await stack.enter_async_context(Desk.open(bench, url))
    return desk, joined(workshop.scattered(everyone, name), plan.backlog)


def _turn(workshop: Workshop, desk: Desk, batches: Iterator[list[Event]], chosen: str | None) -> Turn:
    plan = workshop.plan
    drain = turn_of(desk.bench, batches, max(1, plan.long_turn // plan.backlog), checkpointed=True)

    async def take() -> Sample:
        async with desk.told_of(chosen):
            return await drain()

    return take


async def _alone(desk: Desk, batches: Iterator[list[Event]]) -> Sample:
    """What a delivery costs, from the outbox to the note that it was taken, while nothing else is done."""
    async with desk.told_of(CHOSEN[ALL]) as endpoint:
        assert endpoint is not None
        await desk.bench.turn([next(batches)])
        waiting, wall, cpu = await desk.waiting(endpoint), time.perf_counter(), time.process_time()
        while (beat := desk.dispatcher.progress.next()) and await desk.waiting(endpoint):
            await beat
        return Sample((time.perf_counter() - wall) * 1e6 / waiting, (time.process_time() - cpu) * 1e6 / waiting)


def _section(samples: dict[str, list[Sample]], alone: Sequence[Sample]) -> ReportSection:
    spreads = Spread.of([each.wall for each in alone]), Spread.of([each.cpu for each in alone])
    deliveries = [("", "us/delivery", "CPU us"), ("sent, and noted", *map(cell, spreads))]
    section = ReportSection(
        "Webhooks",
        [
            f"As the throughput with {DEFINITIONS} definitions, which make about 1.5 ledger entries a fact, with a "
            "receiver in another process of this machine. While events wait in line little is sent: what waits for an "
            "endpoint when the turn ends is thrown away, and sent by itself below. Ratios are of throughput.",
            costs("endpoint", samples, of_throughputs),
            table(deliveries),
        ],
    )
    for name in (DEAF, ALL):
        own, other = samples[name], samples[NONE]
        cpu = Spread.of([of_throughputs(a.cpu, b.cpu) for a, b in zip(own, other, strict=True)])
        section.targets += [
            ReportTarget(f"facts/s with {name} / without", ratio(own, other, of_throughputs), LEAST),
            ReportTarget(f"facts a processor second with {name} / without", cpu, LEAST),
        ]
    return section
