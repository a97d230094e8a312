"""The background work: what waits is sent, endpoint by endpoint, and the results are recorded."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

import structlog

from bq_server.clock import Clocks
from bq_server.concurrency.notifier import Notifier
from bq_server.delivery import retries
from bq_server.delivery.bodies import write_body
from bq_server.delivery.endpoints import Endpoints
from bq_server.delivery.pace import SendingPace, failing_pause
from bq_server.delivery.sender import Answer, Sender, WebhookRequest
from bq_server.ids import IdSource
from bq_server.metrics.counts import DeliveryCounts, ProcessingCounts
from bq_server.moments import SECOND
from bq_server.store import facts, feed_wishes, webhooks
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.facts import StoredFact
from bq_server.store.webhooks import Delivery, DeliveryResult, Endpoint, Try

log = structlog.get_logger("bq_server.delivery")

SMALL_ROUND, ROUND = 8, 64
"""Deliveries that are looked up, sent and recorded together; for a failing endpoint, a single one. Rounds start small
and grow as long as no events are queued."""

MOST_PUT_OFF = 10_000
"""Deliveries made for an endpoint that fails: all of a participant's are written anew with each try that fails."""

LOOK_SECONDS = 60.0
"""Longest wait before looking again, in case no signal says that something is due."""

RETRY_SECONDS = 1.0
"""Pause after the store couldn't be read or written."""

WELL_AGAIN = 60 * SECOND
"""An endpoint that failed for this long, in microseconds, and answers again is sent everything that waits at once."""

KEPT = 3 * 24 * 3600 * SECOND
"""How long finished deliveries are kept, in microseconds: as far as a replay reaches back."""

CLEAN_SECONDS = 60.0
CLEANED_AT_ONCE = 2000


class Dispatcher:
    """Sends what waits, each participant's in order, at least once."""

    def __init__(
        self,
        database: Database,
        endpoints: Endpoints,
        sender: Sender,
        clocks: Clocks,
        ids: IdSource,
        first_retry_seconds: float,
        processing: ProcessingCounts,
    ) -> None:
        """`processing` says whether events are queued."""
        self._database = database
        self._endpoints = endpoints
        self._sender = sender
        self._clocks = clocks
        self._ids = ids
        self._first = first_retry_seconds
        self._processing = processing
        self.counts = DeliveryCounts()
        self.progress = Notifier()
        """Signalled when something was tried."""

    async def run(self) -> None:
        """Work until cancelled; without endpoints there is nothing to do."""
        working: dict[str, asyncio.Task[None]] = {}
        cleaning = asyncio.create_task(self._clean())
        try:
            while True:
                changed = self._endpoints.changed()
                try:
                    known = await self._endpoints.on()
                except StoreUnavailable as error:
                    log.warning("webhooks.stalled", reason=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                for endpoint_id in known.keys() - working.keys():
                    working[endpoint_id] = asyncio.create_task(self._serve(endpoint_id))
                for endpoint_id in working.keys() - known.keys():
                    working.pop(endpoint_id).cancel()
                await asyncio.shield(changed)
        finally:
            cleaning.cancel()
            for task in working.values():
                task.cancel()
            await asyncio.gather(cleaning, *working.values(), return_exceptions=True)

    async def _serve(self, endpoint_id: str) -> None:
        size = SMALL_ROUND
        while True:
            try:
                beat = self._database.outbox.next(endpoint_id)
                size = await self._round(endpoint_id, size)
                if not size:
                    size = SMALL_ROUND
                    await _wait(beat, await self._until_due(endpoint_id))
            except StoreUnavailable as error:
                log.warning("webhooks.stalled", endpoint_id=endpoint_id, reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                log.error("webhooks.broke", endpoint_id=endpoint_id, exc_info=error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _until_due(self, endpoint_id: str) -> float:
        """Seconds until something may be tried, unless something new arrives."""
        async with self._database.read() as connection:
            endpoint = await webhooks.one(connection, endpoint_id)
            due = await webhooks.next_due(connection, endpoint_id)
        if endpoint is None or due is None or self._clocks.stands_still(endpoint.scope):
            return LOOK_SECONDS
        return min(max((due - self._clocks.now(endpoint.scope)) / SECOND, 0.0), LOOK_SECONDS)

    async def _round(self, endpoint_id: str, size: int) -> int:
        """Send so many that are due, record the results, and pause.

        Returns the size of the next round; 0 if nothing was due.
        """
        pace = SendingPace(self._processing)
        async with self._database.read() as connection:
            endpoint = await webhooks.one(connection, endpoint_id)
        if endpoint is None or endpoint.off_because is not None:
            if endpoint is not None:
                log.warning("webhooks.endpoint_off", endpoint_id=endpoint_id, reason=endpoint.off_because)
            self._endpoints.tell_changed()
            return 0
        due = await self._due(endpoint, size if endpoint.failing_since is None else 1)
        if not due:
            return 0
        lines: dict[str, list[Delivery]] = {}
        for delivery in due:
            lines.setdefault(delivery.participant_id, []).append(delivery)
        told = await self._facts(endpoint, due)
        sent = await self._sender.send(
            endpoint,
            [
                [
                    WebhookRequest(
                        each.delivery_id,
                        each.event_type,
                        partial(write_body, each, endpoint_id, told.get(each.position)),
                    )
                    for each in line
                ]
                for line in lines.values()
            ],
        )
        answers = {
            delivery: answer
            for line, own in zip(lines.values(), sent.answers, strict=True)
            for delivery, answer in zip(line, own, strict=False)
        }
        if answers:
            await self._keep(endpoint, answers)
            self.progress.beat()
        if sent.lacked:
            log.warning("webhooks.stalled", endpoint_id=endpoint_id, reason=sent.lacked)
            await asyncio.sleep(RETRY_SECONDS)
            return SMALL_ROUND
        if endpoint.failing_since is not None and not any(each.delivered for each in answers.values()):
            # An environment's own clock doesn't say how long anybody has really waited.
            own_clock = self._clocks.own(endpoint.scope) is not None
            await asyncio.sleep(failing_pause(0 if own_clock else self._clocks.real() - endpoint.failing_since))
            return SMALL_ROUND
        return SMALL_ROUND if await pace.give_way(sent.cpu_seconds) else min(2 * size, ROUND)

    async def _due(self, endpoint: Endpoint, limit: int) -> list[Delivery]:
        endpoint_id, now = endpoint.endpoint_id, self._clocks.now(endpoint.scope)
        enough = limit
        while True:
            async with self._database.read() as connection:
                due = await webhooks.due(connection, endpoint_id, now, limit)
                if len(due) >= enough or not await webhooks.is_outbox_filled(connection, endpoint_id):
                    return due
                if endpoint.failing_since is not None and await webhooks.is_filled(
                    connection, endpoint_id, MOST_PUT_OFF
                ):
                    return due
            async with self._database.transaction() as writing:
                await webhooks.take(writing, endpoint_id, partial(self._ids.new, "msg"), ROUND)
            enough = 1  # what was taken may stand behind what was put off: then the next is looked at

    async def _facts(self, endpoint: Endpoint, due: list[Delivery]) -> dict[int, StoredFact]:
        """The facts that are sent themselves, by the positions of their deliveries."""
        found = {}
        async with self._database.read() as connection:
            for each in due:
                if each.effect is None and each.fact_id is not None:
                    fact = await facts.by_id(connection, endpoint.scope, each.fact_id)
                    if fact is not None:
                        found[each.position] = fact
        return found

    async def _keep(self, endpoint: Endpoint, answers: Mapping[Delivery, Answer]) -> None:
        since, well = endpoint.failing_since, any(each.delivered for each in answers.values())
        async with self._database.transaction() as connection:
            # Only now: what is put off by a clock that is set back meanwhile would wait for that clock's time.
            now = self._clocks.now(endpoint.scope)
            results = [self._result(delivery, answer, now) for delivery, answer in answers.items()]
            because = None
            if any(each.status == 410 for each in answers.values()):
                because = "it answered 410: gone"
            elif since is not None and not well and now - since >= retries.OFF_AFTER:
                because = "every try failed for 3 days"
            there = await webhooks.one(connection, endpoint.endpoint_id)
            if there is None or there.url != endpoint.url:
                # It moved meanwhile: that its old address failed says nothing of the new one.
                results, because = [each for each in results if each.state == "delivered"], None
            await webhooks.record_tries(connection, endpoint.endpoint_id, results, now, self._clocks.real())
            if well and since is not None and now - since >= WELL_AGAIN:
                await webhooks.bring_forward(connection, endpoint.endpoint_id)
            if because is not None:
                await webhooks.switch_off(connection, endpoint.endpoint_id, because)
        self._count(answers, results)

    def _count(self, answers: Mapping[Delivery, Answer], results: list[DeliveryResult]) -> None:
        for answer in answers.values():
            self.counts.tries[answer.result] += 1
        self.counts.set_aside += sum(each.state == "aside" for each in results)

    def _result(self, delivery: Delivery, answer: Answer, now: int) -> DeliveryResult:
        tried = Try(delivery.position, now, answer.status, answer.milliseconds, answer.text)
        if answer.delivered:
            return DeliveryResult(tried, delivery.participant_id, "delivered", put_off=delivery.tries > 0)
        seconds = retries.wait(delivery.tries + 1, self._first, random.random)
        if seconds is None:
            log.warning("webhooks.set_aside", delivery_id=delivery.delivery_id, status=answer.status)
            return DeliveryResult(tried, delivery.participant_id, "aside", put_off=True)
        seconds = max(seconds, retries.asked_for(answer.retry_after, self._clocks.real()))
        return DeliveryResult(tried, delivery.participant_id, "waiting", now + int(seconds * SECOND))

    async def _clean(self) -> None:
        """Remove what was finished long ago, a little at a time."""
        while True:
            await asyncio.sleep(CLEAN_SECONDS)
            try:
                removed = CLEANED_AT_ONCE
                while removed == CLEANED_AT_ONCE:
                    async with self._database.transaction() as connection:
                        await connection.run(partial(feed_wishes.remove_old, now=self._clocks.real()))
                        removed = await webhooks.remove_old(connection, self._clocks.real() - KEPT, CLEANED_AT_ONCE)
            except StoreUnavailable as error:
                log.warning("webhooks.not_cleaned", reason=str(error))


async def _wait(beat: asyncio.Future[None], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.shield(beat)
