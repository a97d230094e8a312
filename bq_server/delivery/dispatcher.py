"""The background work: what waits is sent, endpoint by endpoint, and what came of it is kept."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping

import structlog

from bq_server.clock import Clock
from bq_server.delivery import retries
from bq_server.delivery.bodies import body_of
from bq_server.delivery.endpoints import Endpoints
from bq_server.delivery.sender import Answer, Sender
from bq_server.metrics.counts import DeliveryCounts
from bq_server.moments import SECOND
from bq_server.store import webhooks
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.outbox import TOO_FAR_BEHIND
from bq_server.store.webhooks import Delivery, DeliveryResult, Endpoint, Try

log = structlog.get_logger("bq_server.delivery")

AT_ONCE = 8
"""Requests to one endpoint at a time; to one that fails, a single one."""

AT_ONCE_IN_ALL = 32

LOOK_SECONDS = 0.1
"""Between two looks at what waits, where nothing did."""

GIVE_WAY = 4
"""While facts are made, a pause of so many times what a round took follows it: they come first."""

RETRY_SECONDS = 1.0
"""After the store couldn't be read or written."""

KEPT = 3 * 24 * 3600 * SECOND
"""How long what is done is kept, in microseconds: as far as a replay goes back."""

CLEAN_SECONDS = 60.0
CLEANED_AT_ONCE = 2000


class Dispatcher:
    """Sends what waits, each participant's in order, at least once."""

    def __init__(
        self,
        database: Database,
        endpoints: Endpoints,
        sender: Sender,
        clock: Clock,
        first_retry_seconds: float,
        facts_made: Callable[[], int],
    ) -> None:
        """`facts_made` counts the facts that were made."""
        self._database = database
        self._endpoints = endpoints
        self._sender = sender
        self._clock = clock
        self._first = first_retry_seconds
        self._facts_made = facts_made
        self._slots = asyncio.Semaphore(AT_ONCE_IN_ALL)
        self.counts = DeliveryCounts()

    async def run(self) -> None:
        """Work until cancelled; with no endpoint there is nothing to do."""
        working: dict[str, asyncio.Task[None]] = {}
        cleaning = asyncio.create_task(self._clean())
        try:
            while True:
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
                await self._endpoints.changed()
        finally:
            cleaning.cancel()
            for task in working.values():
                task.cancel()
            await asyncio.gather(cleaning, *working.values(), return_exceptions=True)

    async def _serve(self, endpoint_id: str) -> None:
        while True:
            try:
                facts, began = self._facts_made(), time.perf_counter()
                if not await self._round(endpoint_id):
                    await asyncio.sleep(LOOK_SECONDS)
                elif self._facts_made() != facts:
                    await asyncio.sleep(min(GIVE_WAY * (time.perf_counter() - began), RETRY_SECONDS))
            except StoreUnavailable as error:
                log.warning("webhooks.stalled", endpoint_id=endpoint_id, reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                log.error("webhooks.broke", endpoint_id=endpoint_id, exc_info=error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _round(self, endpoint_id: str) -> bool:
        """Send what is due, and keep what came of it; whether there was any."""
        async with self._database.read() as connection:
            endpoint = await webhooks.one(connection, endpoint_id)
            if endpoint is None or endpoint.off_because is not None:
                if endpoint is not None and endpoint.off_because == TOO_FAR_BEHIND:
                    log.warning("webhooks.endpoint_off", endpoint_id=endpoint_id, reason=TOO_FAR_BEHIND)
                self._endpoints.tell_changed()
                return False
            if not endpoint.waiting:
                return False
            limit = AT_ONCE if endpoint.failing_since is None else 1
            due = await webhooks.due(connection, endpoint_id, self._clock(), limit)
            bodies = {each.position: await body_of(connection, endpoint, each) for each in due}
        if not due:
            return False
        answers = await asyncio.gather(*(self._send(endpoint, each, bodies[each.position]) for each in due))
        await self._keep(endpoint, dict(zip(due, answers, strict=True)))
        return True

    async def _send(self, endpoint: Endpoint, delivery: Delivery, body: bytes | None) -> Answer:
        if body is None:
            return Answer(None, 0, "its fact is gone")
        async with self._slots:
            answer = await self._sender.send(endpoint, delivery.delivery_id, body)
        self.counts.tries += 1
        return answer

    async def _keep(self, endpoint: Endpoint, answers: Mapping[Delivery, Answer]) -> None:
        now = self._clock()
        results = [self._result(delivery, answer, now) for delivery, answer in answers.items()]
        failing = endpoint.failing_since is not None and not any(each.delivered for each in answers.values())
        because = None
        if any(each.status == 410 for each in answers.values()):
            because = "it answered 410: gone"
        elif failing and now - (endpoint.failing_since or now) >= retries.OFF_AFTER:
            because = "every try failed for 3 days"
        async with self._database.transaction() as connection:
            await webhooks.settle(connection, endpoint.endpoint_id, results, now)
            off = because is not None and await webhooks.switch_off(connection, endpoint.endpoint_id, because)
        self.counts.delivered += sum(each.state == "delivered" for each in results)
        self.counts.set_aside += sum(each.state == "aside" for each in results)
        if off:
            log.warning("webhooks.endpoint_off", endpoint_id=endpoint.endpoint_id, reason=because)
            self._endpoints.tell_changed()

    def _result(self, delivery: Delivery, answer: Answer, now: int) -> DeliveryResult:
        tried = Try(delivery.position, now, answer.status, answer.milliseconds, answer.text)
        if answer.delivered:
            return DeliveryResult(tried, delivery.participant_id, "delivered", put_off=delivery.tries > 0)
        seconds = retries.wait(delivery.tries + 1, self._first, random.random)
        if seconds is None:
            log.warning("webhooks.set_aside", delivery_id=delivery.delivery_id, status=answer.status)
            return DeliveryResult(tried, delivery.participant_id, "aside", put_off=True)
        seconds = max(seconds, retries.asked_for(answer.retry_after, now))
        return DeliveryResult(tried, delivery.participant_id, "waiting", now + int(seconds * SECOND))

    async def _clean(self) -> None:
        """Remove what was done long ago, a little at a time."""
        while True:
            await asyncio.sleep(CLEAN_SECONDS)
            try:
                if not await self._endpoints.on():
                    continue
                removed = CLEANED_AT_ONCE
                while removed == CLEANED_AT_ONCE:
                    async with self._database.transaction() as connection:
                        removed = await webhooks.remove_old(connection, self._clock() - KEPT, CLEANED_AT_ONCE)
            except StoreUnavailable as error:
                log.warning("webhooks.not_cleaned", reason=str(error))
