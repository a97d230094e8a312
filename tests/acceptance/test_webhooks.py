"""Webhooks: what happened is told outside, signed, in order for a participant, at least once, and nothing else is."""

import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bq_server.processing.event_types import EventType
from tests.support.client import Json, Project
from tests.support.game import act, counting, paying
from tests.support.hooks import add, path
from tests.support.process import ServerProcess, run, until
from tests.support.receiver import Received, Receiver, Reply, receiving

EVERY = list(get_args(EventType))
GAME = {"points": [paying()], "badges": [counting(target=3)]}
QUICK = ("--webhook-retry-seconds", "0.01")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def quiet(bq: Project, endpoint: Json) -> None:
    """Wait until nothing waits for the endpoint."""
    until("nothing waits", lambda: bq.get(path(endpoint)).json()["waiting"] == 0)


def test_an_award_is_told_signed_and_as_the_effects_tell_it(bq: Project, receiver: Receiver) -> None:
    bq.apply(GAME)
    endpoint = add(bq, receiver, "badge.awarded", "points.changed")
    facts = [bq.told(act())["fact_id"] for _ in range(3)]
    quiet(bq, endpoint)
    verifier = Webhook(endpoint["secret"])
    told = [verifier.verify(each.raw, dict(each.headers)) for each in receiver.taken]
    assert [each["type"] for each in told] == ["points.changed"] * 3 + ["badge.awarded"]
    assert [each["data"]["fact_id"] for each in told] == [*facts, facts[2]]
    for each in told:
        assert each["data"]["participant_id"] == "ada"
        assert each["data"]["effect"] in bq.get(f"/facts/{each['data']['fact_id']}/effects").json()["effects"]
    with pytest.raises(WebhookVerificationError):
        verifier.verify(receiver.taken[0].raw + b" ", dict(receiver.taken[0].headers))


def test_a_fact_is_told_and_an_event_that_makes_none_is_not(bq: Project, receiver: Receiver) -> None:
    endpoint = add(bq, receiver, "fact.created")
    bq.told(act(n=1), dry_run="true")
    fact = bq.send_sync(act(n=2) | {"idempotency_key": "once"}).json()
    bq.send_sync(act(n=2) | {"idempotency_key": "once"})
    quiet(bq, endpoint)
    [body] = receiver.bodies()
    assert body["data"]["fact_id"] == fact["fact_id"]
    assert body["data"]["properties"] == {"n": 2}


def test_an_endpoint_hears_of_its_own_environment_only(bq: Project, other_bq: Project, receiver: Receiver) -> None:
    endpoint = add(bq, receiver, "fact.created")
    other_bq.send_sync(act())
    with bq.using("live") as live:
        live.send_sync(act())
        assert live.get(path(endpoint)).status_code == 404
    bq.send_sync(act("bea"))
    quiet(bq, endpoint)
    assert [body["data"]["participant_id"] for body in receiver.bodies()] == ["bea"]


def test_a_refold_tells_only_what_is_newly_awarded(bq: Project, receiver: Receiver) -> None:
    bq.apply({"points": [paying()]})
    endpoint = add(bq, receiver, "badge.awarded", "points.changed")
    for _ in range(3):
        bq.send_sync(act())
    bq.apply(GAME, backfill=True)
    bq.apply({"points": [paying()], "badges": [counting(target=2)]}, backfill=True)
    quiet(bq, endpoint)
    assert [body["type"] for body in receiver.bodies()] == ["points.changed"] * 3 + ["badge.awarded"]


def test_both_secrets_sign_while_one_takes_over(bq: Project, receiver: Receiver) -> None:
    endpoint = add(bq, receiver, *EVERY)
    rotated = bq.post(path(endpoint, "/secret"), {"overlap_seconds": 3600}).json()
    assert rotated["secret"] != endpoint["secret"]
    bq.request("POST", path(endpoint, "/test"))
    quiet(bq, endpoint)
    [sent] = receiver.taken
    for secret in (endpoint["secret"], rotated["secret"]):
        assert Webhook(secret).verify(sent.raw, dict(sent.headers))["type"] == "endpoint.test"
    last = bq.post(path(endpoint, "/secret"), {"overlap_seconds": 0}).json()
    bq.request("POST", path(endpoint, "/test"))
    quiet(bq, endpoint)
    Webhook(last["secret"]).verify(receiver.taken[1].raw, dict(receiver.taken[1].headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(rotated["secret"]).verify(receiver.taken[1].raw, dict(receiver.taken[1].headers))


def test_one_that_is_gone_is_switched_off_until_it_is_switched_on(bq: Project, receiver: Receiver) -> None:
    receiver.reply = lambda _: (410, {})
    endpoint = add(bq, receiver, "fact.created")
    bq.send_sync(act())
    until("it is off", lambda: not bq.get(path(endpoint)).json()["enabled"])
    assert "410" in bq.get(path(endpoint)).json()["off_because"]
    bq.send_sync(act("unheard"))
    [waiting] = bq.get(path(endpoint, "/deliveries")).json()["deliveries"]
    assert (waiting["state"], waiting["tries"][0]["status"]) == ("waiting", 410)
    receiver.reply = lambda _: (200, {})
    assert bq.request("PATCH", path(endpoint), json={"enabled": True}).json()["off_because"] is None
    quiet(bq, endpoint)  # at once: it had been put off
    assert [body["data"]["participant_id"] for body in receiver.bodies()] == ["ada"]


def test_an_endpoint_that_moves_is_sent_at_once_what_was_put_off(bq: Project, receiver: Receiver) -> None:
    receiver.reply = lambda _: (503, {"Retry-After": "86400"})
    endpoint = add(bq, receiver, "fact.created")
    bq.send_sync(act())
    until("it fails", lambda: bq.get(path(endpoint)).json()["failing_since"] is not None)
    with receiving() as other:
        moved = bq.request("PATCH", path(endpoint), json={"url": other.url}).json()
        assert moved["failing_since"] is None
        quiet(bq, endpoint)
        assert [each.id for each in other.taken] == [receiver.received[0].id]


def test_an_answer_of_another_address_switches_nothing_off(bq: Project, receiver: Receiver) -> None:
    came, go_on = threading.Event(), threading.Event()

    def gone(_: Received) -> Reply:
        came.set()
        go_on.wait()
        return 410, {}

    receiver.reply = gone
    endpoint = add(bq, receiver, "fact.created")
    bq.send_sync(act())
    came.wait()
    with receiving() as other:
        bq.request("PATCH", path(endpoint), json={"url": other.url})
        go_on.set()
        until("it is sent to the new one", lambda: len(other.taken) == 1)
        quiet(bq, endpoint)
        assert bq.get(path(endpoint)).json()["enabled"] is True


def test_a_redirect_is_a_failure_and_a_wait_that_is_asked_for_is_kept(bq: Project, receiver: Receiver) -> None:
    receiver.reply = lambda _: (302, {"Location": "/elsewhere", "Retry-After": "3600"})
    endpoint = add(bq, receiver, "fact.created")
    bq.send_sync(act())

    def tried() -> bool:
        return any(each["tries"] for each in bq.get(path(endpoint, "/deliveries")).json()["deliveries"])

    until("it was tried", tried)
    [delivery] = bq.get(path(endpoint, "/deliveries")).json()["deliveries"]
    assert delivery["tries"][0]["status"] == 302
    assert delivery["next_try_at"] > delivery["tries"][0]["tried_at"][:14]
    assert len(receiver.received) == 1


def test_a_replay_sends_again_under_the_same_ids(bq: Project, receiver: Receiver) -> None:
    endpoint = add(bq, receiver, "fact.created")
    for _ in range(3):
        bq.send_sync(act())
    quiet(bq, endpoint)
    first = [each.id for each in receiver.taken]
    assert bq.post(path(endpoint, "/replay"), {}).json() == {"deliveries": 3}
    quiet(bq, endpoint)
    assert [each.id for each in receiver.taken] == first * 2
    assert bq.post(path(endpoint, "/replay"), {"since": "2100-01-01T00:00:00Z"}).json() == {"deliveries": 0}


def test_what_is_removed_is_told_nothing(bq: Project, receiver: Receiver) -> None:
    endpoint = add(bq, receiver, *EVERY)
    assert bq.request("DELETE", path(endpoint)).json() == {"removed": True}
    other = add(bq, receiver, "fact.created")
    bq.send_sync(act())
    quiet(bq, other)
    assert len(receiver.received) == 1
    assert [each["endpoint_id"] for each in bq.get("/webhooks/endpoints").json()["endpoints"]] == [other["endpoint_id"]]


@pytest.mark.parametrize(
    "url", ["ftp://shop.example/", "http://", "http://user:word@127.0.0.1/", "http://127.0.0.1:x/"]
)
def test_an_address_that_is_none_is_refused(bq: Project, url: str) -> None:
    answer = bq.post("/webhooks/endpoints", {"url": url, "event_types": EVERY})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "url"


def test_private_addresses_are_refused_where_the_setting_says_so(data_dir: Path) -> None:
    with ServerProcess(data_dir, "--webhook-addresses", "public") as server:
        for host in ("127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"):
            body = {"url": f"http://{host}:9/hook", "event_types": EVERY}
            assert server.request("POST", "/webhooks/endpoints", json=body).status_code == 422, host
        assert server.stop() == 0


def test_each_award_is_told_through_kills_to_a_receiver_that_fails_half_of_the_time(
    data_dir: Path, receiver: Receiver
) -> None:
    tries: Counter[str] = Counter()

    def reply(request: Received) -> Reply:
        tries[request.id] += 1
        coin = zlib.crc32(f"{request.id} {tries[request.id]}".encode()) % 2
        return (500 if coin and tries[request.id] < 6 else 200), {}  # so often that none is set aside

    receiver.reply = reply
    people, each_time, rounds = 10, 10, 4
    with ServerProcess(data_dir, *QUICK) as server:
        key = server.key
        assert server.request("PUT", "/gamify/admin/game", key, json=GAME).status_code == 200
        body = {"url": receiver.url, "event_types": ["badge.awarded", "points.changed"]}
        made = server.request("POST", "/webhooks/endpoints", key, json=body).json()
        for number in range(rounds):
            events = [act(f"p{n % people}") for n in range(people * each_time)]
            sent = server.request("POST", "/ingest/events/batch", key, json={"events": events})
            assert sent.json()["accepted"] == len(events)
            seen = len(receiver.received)
            until("some more came", lambda seen=seen, number=number: len(receiver.received) > seen + number * 7)
            server.kill()
            server.start()
        wanted = people * each_time * rounds
        with server.client(key) as client:

            def facts() -> int:
                count: int = client.get("/events/catalog/act").json()["count"]
                return count

            until("every event is a fact", lambda: facts() == wanted)
            until("nothing waits", lambda: client.get(path(made)).json()["waiting"] == 0, seconds=120)
            caused = set()
            for participant in (f"p{n}" for n in range(people)):
                for fact in client.get("/facts", params={"participant_id": participant, "limit": 1000}).json()["facts"]:
                    for effect in client.get(f"/facts/{fact['fact_id']}/effects").json()["effects"]:
                        if effect["type"] in ("points", "badge"):
                            caused.add((fact["fact_id"], effect["type"]))
        assert server.stop() == 0
    verifier = Webhook(made["secret"])
    first: dict[str, Received] = {}
    for each in receiver.taken:
        verifier.verify(each.raw, dict(each.headers))
        assert first.setdefault(each.id, each).raw == each.raw
    bodies = [each.body for each in first.values()]
    told = [(body["data"]["fact_id"], body["data"]["effect"]["type"]) for body in bodies]
    assert len(told) == len(set(told)), "nothing has two ids"
    assert set(told) == caused
    assert len(caused) == wanted + people
    for participant in (f"p{n}" for n in range(people)):
        balances = [
            body["data"]["effect"]["balance"]
            for body in bodies
            if body["data"]["participant_id"] == participant and body["type"] == "points.changed"
        ]
        assert balances == [10 * (n + 1) for n in range(each_time * rounds)], "in order"


def test_the_commands_make_list_retry_replay_and_remove(server: ServerProcess, bq: Project, receiver: Receiver) -> None:
    env = {"BQ_URL": server.url, "BQ_API_KEY": bq.keys["test"]}

    def webhooks(*arguments: str) -> str:
        done = run("webhooks", *arguments, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    endpoint_id, secret = webhooks("add", receiver.url, "--event", "fact.created").split()
    bq.send_sync(act())
    until("it is told", lambda: len(receiver.taken) == 1)
    Webhook(secret).verify(receiver.taken[0].raw, dict(receiver.taken[0].headers))
    assert receiver.url in webhooks("list")
    until("it is delivered", lambda: "delivered" in webhooks("deliveries", endpoint_id))
    webhooks("retry", endpoint_id, receiver.taken[0].id)
    until("it is told again", lambda: len(receiver.taken) == 2)
    until("nothing waits", lambda: bq.get(f"/webhooks/endpoints/{endpoint_id}").json()["waiting"] == 0)
    assert webhooks("replay", endpoint_id) == "1 delivery will be sent again\n"
    until("and again", lambda: len(receiver.taken) == 3)
    webhooks("remove", endpoint_id)
    assert webhooks("list") == ""
    assert run("webhooks", "remove", endpoint_id, env=env).returncode == 1


def test_the_openapi_document_has_every_event(server: ServerProcess) -> None:
    document = httpx.get(f"{server.url}/openapi.json", verify=False).json()
    assert sorted(document["webhooks"]) == sorted([*EVERY, "endpoint.test"])
