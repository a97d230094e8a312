"""The outbox of webhooks: its bounds, and what becomes of it."""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest

from bq_server.clock import Clocks, OwnClock, system_clock
from bq_server.delivery import endpoints as endpoints_module
from bq_server.delivery.dispatcher import Dispatcher
from bq_server.delivery.endpoints import Endpoints, TooManyDeliveries, UnknownEndpoint
from bq_server.delivery.sender import Answer, Sender, Sent, WebhookRequest
from bq_server.events import Scope
from bq_server.ids import IdSource
from bq_server.metrics.counts import ProcessingCounts
from bq_server.moments import HOUR
from bq_server.store import outbox, webhooks
from bq_server.store.audit_log import Act, Actor
from bq_server.store.database import Database
from bq_server.store.outbox import Announcement
from bq_server.store.webhooks import DeliveryResult, Endpoint, Try

NOW, DAY = 1_800_000_000_000_000, 24 * HOUR
SCOPE = Scope("default", "test")
ENDPOINT = Endpoint("we_1", SCOPE, "http://127.0.0.1:9/", frozenset({"fact.created"}), "", "whsec_", 0)


def told(participant_id: str) -> Announcement:
    return participant_id, "fact.created", "fact_1", 1, None


async def put(database: Database, *announcements: Announcement) -> None:
    async with database.transaction() as connection:

        def work(writing: object) -> None:
            for listener in outbox.listening(writing, SCOPE):
                outbox.put(writing, listener, announcements, 1)

        await connection.run(work)


async def found(database: Database) -> Endpoint:
    async with database.read() as connection:
        endpoint = await webhooks.one(connection, ENDPOINT.endpoint_id)
    assert endpoint is not None
    return endpoint


@pytest.mark.anyio
@pytest.mark.parametrize(("failing", "most"), [(False, "MOST_WAITING"), (True, "MOST_WAITING_FAILING")])
async def test_an_endpoint_that_falls_too_far_behind_is_switched_off(
    new_store: Path | str, monkeypatch: pytest.MonkeyPatch, failing: bool, most: str
) -> None:
    monkeypatch.setattr(outbox, most, 3)
    async with Database.open(new_store) as database:
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)
        await put(database, told("ada"), told("bea"))
        if failing:
            async with database.transaction() as connection:
                await webhooks.take(connection, "we_1", lambda: IdSource().new("msg"), 2)
                (first, _) = await webhooks.due(connection, "we_1", 1, 9)
                tried = Try(first.position, 1, 500, 1, "")
                await webhooks.record_tries(connection, "we_1", [DeliveryResult(tried, "ada", "waiting", 9)], 1, 1)
        await put(database, told("cid"))
        assert ((await found(database)).waiting, (await found(database)).off_because) == (3, None)
        await put(database, told("dan"))
        endpoint = await found(database)
        assert (endpoint.waiting, endpoint.off_because) == (3, "more than 3 deliveries waited")
        await put(database, told("eve"))
        assert (await found(database)).waiting == 3, "nothing more is written for it"


@pytest.mark.anyio
async def test_one_that_is_off_stays_off_for_the_reason_it_has(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)
            for reason in ("first", "second"):
                await webhooks.switch_off(connection, "we_1", reason)
        assert (await found(database)).off_because == "first"


@pytest.mark.anyio
async def test_a_row_of_which_nothing_is_left_stops_nothing(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)
        await put(database)
        await put(database, told("ada"))
        async with database.transaction() as connection:
            await webhooks.take(connection, "we_1", lambda: IdSource().new("msg"), 9)
            assert not await webhooks.is_outbox_filled(connection, "we_1")
            assert [each.participant_id for each in await webhooks.due(connection, "we_1", 1, 9)] == ["ada"]


@pytest.mark.anyio
async def test_two_changes_at_once_are_both_made(new_store: Path | str) -> None:
    clocks = Clocks(system_clock)
    act = Act("webhook_endpoint_changed", SCOPE, Actor(command="test"), system_clock)
    async with Database.open(new_store) as database:
        endpoints = Endpoints(database, IdSource(), clocks, secrets.token_bytes, private=True)
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)
        await asyncio.gather(
            endpoints.change(act, SCOPE, "we_1", {"description": "changed"}, enabled=None),
            endpoints.change(act, SCOPE, "we_1", {}, enabled=False),
        )
        endpoint = await found(database)
        assert (endpoint.description, endpoint.off_because) == ("changed", "it was disabled by hand")


@pytest.mark.anyio
@pytest.mark.parametrize("at_once", [1, 3, 100])
async def test_many_are_replayed_and_removed_a_few_at_a_time(
    new_store: Path | str, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(endpoints_module, "AT_ONCE", at_once)
    monkeypatch.setattr(endpoints_module, "MOST_REPLAYED", 6)
    act = Act("webhooks_replayed", SCOPE, Actor(command="test"), system_clock)
    async with Database.open(new_store) as database:
        endpoints = Endpoints(database, IdSource(), Clocks(system_clock), secrets.token_bytes, private=True)
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)
        await put(database, *(told(f"p{number}") for number in range(6)))
        await put(database, told("in the outbox"))
        async with database.transaction() as connection:
            await webhooks.take(connection, "we_1", lambda: IdSource().new("msg"), 1)
            due = await webhooks.due(connection, "we_1", 1, 9)
            results = [DeliveryResult(Try(each.position, 1, 200, 1, ""), "", "delivered") for each in due]
            await webhooks.record_tries(connection, "we_1", results, 1, 1)
        assert (await found(database)).waiting == 1
        assert await endpoints.replay(act, SCOPE, "we_1", None, 1) == 0
        assert await endpoints.replay(act, SCOPE, "we_1", 1, None) == 6
        assert (await found(database)).waiting == 7
        async with database.read() as connection:
            assert [each.participant_id for each in await webhooks.due(connection, "we_1", 1, 9)] == [
                f"p{number}" for number in range(6)
            ]
        async with database.transaction() as connection:
            await webhooks.record_tries(connection, "we_1", results, 1, 1)
        monkeypatch.setattr(endpoints_module, "MOST_REPLAYED", 5)
        with pytest.raises(TooManyDeliveries):
            await endpoints.replay(act, SCOPE, "we_1", None, None)
        await endpoints.remove(act, SCOPE, "we_1")
        async with database.read() as connection:
            assert await webhooks.one(connection, "we_1") is None
            for table in ("webhook_deliveries", "webhook_tries", "webhook_outbox"):
                async with connection.execute(f"SELECT count(*) FROM {table}") as rows:  # noqa: S608 - our own names
                    assert await rows.fetchone() == (0,), table


@pytest.mark.anyio
async def test_what_is_removed_meanwhile_is_neither_tested_nor_removed_again(new_store: Path | str) -> None:
    act = Act("webhook_endpoint_removed", SCOPE, Actor(command="test"), system_clock)
    async with Database.open(new_store) as database:
        endpoints = Endpoints(database, IdSource(), Clocks(system_clock), secrets.token_bytes, private=True)
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)
        works = [endpoints.remove(act, SCOPE, "we_1"), endpoints.remove(act, SCOPE, "we_1")]
        outcomes = await asyncio.gather(*works, endpoints.test(SCOPE, "we_1"), return_exceptions=True)
        assert [type(each) for each in outcomes] == [type(None), UnknownEndpoint, UnknownEndpoint]
        async with database.read() as connection:
            assert await webhooks.deliveries(connection, "we_1") == []


@pytest.mark.anyio
async def test_what_is_new_stands_behind_what_was_put_off(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)
        await put(database, told("ada"))
        await put(database, told("ada"), told("bea"))
        async with database.transaction() as connection:
            await webhooks.take(connection, "we_1", lambda: IdSource().new("msg"), 1)
            [first] = await webhooks.due(connection, "we_1", 1, 9)
            assert await webhooks.is_outbox_filled(connection, "we_1")
            assert await webhooks.count_due(connection, "we_1", 1) == 3
            tried = Try(first.position, 1, 500, 1, "")
            await webhooks.record_tries(connection, "we_1", [DeliveryResult(tried, "ada", "waiting", 5)], 1, 1)
            await webhooks.take(connection, "we_1", lambda: IdSource().new("msg"), 1)
            assert [each.participant_id for each in await webhooks.due(connection, "we_1", 4, 9)] == ["bea"]
            assert await webhooks.next_due(connection, "we_1") == 0
            due = await webhooks.due(connection, "we_1", 5, 9)
            assert [each.participant_id for each in due] == ["bea", "ada", "ada"]
        async with database.transaction() as connection:
            await webhooks.remove(connection, "we_1")


@pytest.mark.anyio
async def test_a_clock_that_is_set_back_meanwhile_puts_nothing_off_until_its_time(new_store: Path | str) -> None:
    clocks = Clocks(lambda: NOW, {SCOPE: OwnClock(frozen=True, at=NOW + DAY)})
    answered = asyncio.Event()

    class Failing(Sender):
        async def send(self, endpoint: Endpoint, lines: Sequence[Sequence[WebhookRequest]]) -> Sent:
            await answered.wait()
            return Sent([[Answer(500, 1, "")] for _ in lines])

    async with Database.open(new_store) as database:
        ids = IdSource()
        endpoints = Endpoints(database, ids, clocks, secrets.token_bytes, private=True)
        sender = Failing(lambda: NOW, private=True)
        dispatcher = Dispatcher(database, endpoints, sender, clocks, ids, 5.0, ProcessingCounts())
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)
        await put(database, told("ada"))
        tried = dispatcher.progress.next()
        async with asyncio.timeout(30):
            sending = asyncio.create_task(dispatcher.run())
            while not (await found_due(database)):
                await asyncio.sleep(0)
            async with database.transaction() as connection:
                answered.set()
                while not database.awaited:
                    await asyncio.sleep(0)
                await webhooks.bring_environment_forward(connection, SCOPE, NOW)
            clocks.put(SCOPE, None)
            await tried
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        async with database.read() as connection:
            due = await webhooks.next_due(connection, "we_1")
        assert due is not None
        assert due < NOW + DAY


async def found_due(database: Database) -> bool:
    async with database.read() as connection:
        return await webhooks.is_filled(connection, "we_1", 1)
