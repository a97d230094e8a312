"""The Python client against the real server, also by way of a proxy that gets in the way."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bq_client import (
    AsyncClient,
    BqError,
    Client,
    Event,
    Refused,
    Retries,
    Unreachable,
)
from tests.support.client import Project
from tests.support.process import ServerProcess
from tests.support.proxy import CLOSED, Answer, Fault, Forward, Sent, faulty

PACKAGE = Path(__file__).parents[2] / "clients" / "python"
QUICK = Retries(first_wait=0.001)
NEVER = Retries(most=0)
BUSY = Answer(503, b'{"code": "overloaded", "detail": "later"}', {"Retry-After": "0"})
GAME = {"points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}]}


def purchase(participant_id: str = "ada", amount: float = 40) -> Event:
    return Event("purchase_completed", participant_id, {"amount": amount})


def always(answer: Answer) -> Fault:
    """A fault that is never over."""
    return lambda *_: answer


def first_times(times: int, answer: Answer) -> Fault:
    """A fault that is over after so many requests."""
    left = iter(range(times))
    return lambda sent, forward: forward(sent) if next(left, None) is None else answer


def test_an_event_goes_each_way(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    with Client(server.url, bq.keys["test"]) as client:
        happened = datetime(2026, 4, 10, 10, 30, tzinfo=UTC)
        queued = client.send(Event("page_view", "ada", timestamp=happened), wait=True)
        assert client.message(queued.message_id).fact_id == queued.fact_id
        rehearsal = client.dry_run(purchase())
        assert (rehearsal.would_be, rehearsal.definitions[0]["verdict"]) == ("processed", "matched")
        fact = client.send_sync(purchase())
        assert fact.fact_type == "custom.purchase_completed"
        assert [effect["amount"] for effect in fact.effects] == [40]
        result = client.send_batch([purchase(), Event("", "ada")])
        assert (result.accepted, result.rejected, result.errors[0].index) == (1, 1, 1)
        bq.drain()
        assert client.state("ada")["points"]["balance"] == 80
        facts = [*client.facts(participant_id="ada", limit=1)]
        assert [each["event_name"] for each in facts] == ["purchase_completed", "purchase_completed", "page_view"]
        assert facts[-1]["occurred_at"].startswith("2026-04-10T10:30:00")


def test_an_event_sent_twice_is_one_fact(bq: Project, server: ServerProcess) -> None:
    with Client(server.url, bq.keys["test"]) as client:
        event = purchase()
        assert client.send_sync(event).fact_id == client.send_sync(event).fact_id
        assert client.send_sync(purchase()).fact_id != client.send_sync(event).fact_id


def test_a_refusal_says_what_is_wrong(bq: Project, server: ServerProcess) -> None:
    with Client(server.url, bq.keys["test"]) as client:
        with pytest.raises(Refused) as refused:
            client.send(Event("page_view", ""))
        assert (refused.value.status, refused.value.code) == (422, "validation_failed")
        assert refused.value.errors[0]["field"] == "participant_id"
        assert refused.value.request_id.startswith("req_")
        assert client.send_batch([Event("", "ada")]).rejected == 1
    with Client(server.url, "bq_test_" + "0" * 32) as client, pytest.raises(Refused, match="401 unauthenticated"):
        client.state("ada")


@pytest.mark.parametrize("name", ["a/b", "..", ".", "ü ?#%"])
def test_a_participant_may_have_any_name(bq: Project, server: ServerProcess, name: str) -> None:
    with Client(server.url, bq.keys["test"]) as client:
        client.send_sync(purchase(name))
        assert client.state(name)["participant_id"] == name


@pytest.mark.parametrize("answer", [BUSY, Answer(429, b"slow down"), CLOSED], ids=["503", "429", "no answer"])
def test_what_is_over_in_a_moment_is_tried_again(bq: Project, server: ServerProcess, answer: Answer) -> None:
    with faulty(server.url, first_times(3, answer)) as url, Client(url, bq.keys["test"], retries=QUICK) as client:
        client.send(purchase(), wait=True)
    assert len(bq.facts()) == 1


def test_an_answer_that_was_lost_makes_no_second_fact(bq: Project, server: ServerProcess) -> None:
    lost = iter([True])

    def fault(sent: Sent, forward: Forward) -> Answer:
        answer = forward(sent)
        return CLOSED if next(lost, False) else answer

    with faulty(server.url, fault) as url, Client(url, bq.keys["test"], retries=QUICK) as client:
        client.send_sync(purchase())
    assert len(bq.facts()) == 1


def test_no_try_is_made_once_they_are_used_up(bq: Project, server: ServerProcess) -> None:
    asked = []

    def fault(sent: Sent, forward: Forward) -> Answer:
        asked.append(sent.route)
        return BUSY

    with faulty(server.url, fault) as url:
        client = Client(url, bq.keys["test"], retries=Retries(most=2, first_wait=0.001))
        with client, pytest.raises(Refused, match="overloaded"):
            client.send(purchase())
    assert len(asked) == 3


def test_the_wait_is_what_the_server_asks_for_and_more() -> None:
    retries = Retries(most=3, first_wait=1, longest_wait=8)
    busy = Refused(503, {}, retry_after=5)
    assert 5 <= (retries.wait(1, busy) or 0) <= 6
    assert 2 <= (retries.wait(3, Unreachable()) or 0) <= 4
    assert retries.wait(4, busy) is None
    assert retries.wait(1, Refused(503, {}, retry_after=9)) is None
    assert retries.wait(1, Refused(422, {})) is None


@pytest.mark.parametrize(
    ("said", "low", "high"),
    [("7", 7, 7), ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9, 1e12), ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0)],
)
def test_retry_after_is_seconds_or_a_date(server: ServerProcess, said: str, low: float, high: float) -> None:
    with faulty(server.url, always(Answer(503, b"", {"Retry-After": said}))) as url:
        client = Client(url, "key", retries=NEVER)
        with client, pytest.raises(Refused) as refused:
            client.state("ada")
    assert low <= (refused.value.retry_after or 0) <= high


def test_what_is_no_bq_server_is_said_to_be_none(server: ServerProcess) -> None:
    with faulty(server.url, always(Answer(200, b"<html>"))) as url:
        client = Client(url, "key")
        with client, pytest.raises(BqError, match="is it a bq-server"):
            client.state("ada")


@pytest.mark.parametrize("properties", [{"at": datetime(2026, 1, 1)}, {"amount": float("nan")}], ids=str)
def test_what_json_cannot_hold_fails_where_the_event_is_made(properties: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Event("purchase_completed", "ada", properties)


def test_a_timestamp_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Event("page_view", "ada", timestamp=datetime(2026, 1, 1))


def test_the_async_client_goes_each_way(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)

    async def story() -> None:
        async with AsyncClient(server.url, bq.keys["test"]) as client:
            queued = await client.send(purchase(), wait=True)
            assert (await client.message(queued.message_id)).status == "processed"
            assert (await client.dry_run(purchase())).would_be == "processed"
            assert (await client.send_sync(purchase())).effects[0]["balance"] == 80
            assert (await client.send_batch([Event("", "ada")])).rejected == 1
            assert (await client.state("ada"))["points"]["balance"] == 80
            assert len([fact async for fact in client.facts(limit=1)]) == 2
            with pytest.raises(Refused):
                await client.send(Event("", "ada"))

    asyncio.run(story())


def test_the_readme_runs(bq: Project, server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    text = (PACKAGE / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(text.replace("http://127.0.0.1:8080", server.url).replace("bq_test_...", bq.keys["test"]), {})  # noqa: S102
    assert "'balance': 0" in capsys.readouterr().out
    bq.drain()
    assert len(bq.facts()) == 3


def test_a_feed_goes_on_where_it_was_through_broken_connections(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    with Client(server.url, bq.keys["test"]) as client:
        made = [client.send_sync(purchase(amount=number)).fact_id for number in range(6)]
        feed = client.feed(after="0", type="fact.created")
        told = [next(feed) for _ in made]
    assert [event.data["fact_id"] for event in told] == made
    assert [each["type"] for each in told[1].data["effects"]] == ["points"]
    with Client(server.url, bq.keys["test"]) as client:
        again = client.feed(after=told[2].id, participant_id="ada")
        assert [next(again).data["fact_id"] for _ in range(3)] == made[3:]
    with Client("http://127.0.0.1:1", bq.keys["test"], retries=NEVER) as client, pytest.raises(Unreachable):
        next(client.feed())
    with Client(server.url, bq.keys["test"]) as client, pytest.raises(Refused) as refused:
        next(client.feed(after="x"))
    assert refused.value.code == "validation_failed"


def test_a_feed_connects_again_when_the_answer_ends(bq: Project, server: ServerProcess) -> None:
    body = b'id: 1-0\nevent: fact.created\ndata: {"timestamp": "t", "data": {"n": 1}}\n\nid: 2-0\n\ndata: {"cut'
    asked: list[str | None] = []

    def answer(sent: Sent, _: Forward) -> Answer:
        asked.append({name.lower(): value for name, value in sent.headers.items()}.get("last-event-id"))
        return Answer(200, body, {"Content-Type": "text/event-stream"}) if len(asked) < 3 else BUSY

    with faulty(server.url, answer) as url, Client(url, "k", retries=Retries(most=1, first_wait=0.001)) as client:
        feed = client.feed()
        assert [next(feed).data for _ in range(2)] == [{"n": 1}] * 2
        with pytest.raises(Refused):
            next(feed)
    assert asked == [None, "2-0", "2-0"]


def test_a_feed_for_asyncio(bq: Project, server: ServerProcess) -> None:
    made = [bq.send_sync({"event_name": "e", "participant_id": "p"}).json()["fact_id"] for _ in range(3)]

    async def read() -> list[str]:
        async with AsyncClient(server.url, bq.keys["test"]) as client:
            found = []
            async for event in client.feed(after="0"):
                found.append(event.data["fact_id"])
                if len(found) == len(made):
                    break
            return found

    assert asyncio.run(read()) == made
