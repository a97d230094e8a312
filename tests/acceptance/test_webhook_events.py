"""What webhooks tell beside effects: broken streaks, ranks that change, dead messages; and the vendor's headers."""

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator

from bq_server.processing.broken_streaks import PAGE
from bq_server.processing.event_types import EVENT_TYPES
from tests.acceptance.test_backup import stream_of
from tests.acceptance.test_sandbox_reset import dead_letter_a_conflict
from tests.support.client import Json, Project, event
from tests.support.game import act
from tests.support.hooks import add, advance, effects, freeze, path, told
from tests.support.process import ServerProcess, until
from tests.support.receiver import Receiver, receiving

STREAK = {"streaks": [{"code": "run", "on": "act", "timezone": "UTC", "grace_period_hours": 0}]}
BOARD = {
    "leaderboards": [
        {
            "code": "top",
            "name": "Top",
            "metric": {"on": "act", "aggregate": "sum", "of": "properties.n"},
            "window": "all_time",
        }
    ]
}
NOON = "2026-03-02T12:00:00Z"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def test_a_streak_breaks_when_its_time_has_run_out_and_is_told_once(bq: Project, receiver: Receiver) -> None:
    bq.apply(STREAK)
    freeze(bq, NOON)
    add(bq, receiver, "streak.broken")
    bq.send_sync(act())
    advance(bq, "P1D")
    fact = bq.send_sync(act()).json()
    advance(bq, "P1DT11H59M")
    told(bq)
    assert receiver.bodies() == [], "it can go on to the end of the day after"
    advance(bq, "PT1M")
    told(bq)
    [body] = receiver.bodies()
    assert body["timestamp"] == "2026-03-05T00:00:00Z"
    assert body["data"] == {
        "participant_id": "ada",
        "fact_id": fact["fact_id"],
        "effect": {
            "type": "streak",
            "occurred_at": "2026-03-05T00:00:00Z",
            "code": "run",
            "current": 0,
            "longest": 2,
        },
    }
    advance(bq, "P30D")
    told(bq)
    assert len(receiver.bodies()) == 1
    bq.send_sync(act())
    advance(bq, "P2D")
    told(bq)
    assert [each["longest"] for each in effects(receiver.bodies())] == [2, 2]


def test_every_streak_breaks_however_many_do_at_once(bq: Project, receiver: Receiver) -> None:
    bq.apply(STREAK)
    freeze(bq, NOON)
    add(bq, receiver, "streak.broken")
    people = [f"p{number}" for number in range(2 * PAGE + 1)]
    for start in range(0, len(people), 100):
        assert bq.send_batch([act(each) for each in people[start : start + 100]]).status_code == 202
    bq.drain()
    advance(bq, "P9D")
    told(bq)
    assert sorted(body["data"]["participant_id"] for body in receiver.bodies()) == sorted(people)


def test_an_event_that_comes_after_a_streak_broke_is_told_after_that(bq: Project, receiver: Receiver) -> None:
    bq.apply(STREAK)
    freeze(bq, NOON)
    add(bq, receiver, "streak.broken", "streak.extended", "fact.created")
    bq.send_sync(act())
    advance(bq, "P9D")
    bq.send_sync(act())
    advance(bq, "P9D")
    told(bq)
    types = ["fact.created", "streak.extended", "streak.broken", "fact.created", "streak.broken"]
    assert [body["type"] for body in receiver.bodies()] == types, "a streak of one again is none of another length"


def test_a_streak_that_went_on_unheard_is_not_told_of_with_another_fact(bq: Project, receiver: Receiver) -> None:
    bq.apply(STREAK)
    freeze(bq, NOON)
    endpoint = add(bq, receiver, "streak.broken")
    bq.send_sync(act())
    assert bq.request("PATCH", path(endpoint), json={"enabled": False}).status_code == 200
    advance(bq, "P1D")
    bq.send_sync(act())
    assert bq.request("PATCH", path(endpoint), json={"enabled": True}).status_code == 200
    advance(bq, "P3D")
    told(bq)
    assert receiver.bodies() == [], "which fact extended it last, nobody noted"
    fact = bq.send_sync(act()).json()
    advance(bq, "P3D")
    told(bq)
    assert [body["data"]["fact_id"] for body in receiver.bodies()] == [fact["fact_id"]]


def test_a_clock_that_is_set_back_has_a_streak_break_again(bq: Project, receiver: Receiver) -> None:
    bq.apply(STREAK)
    freeze(bq, NOON)
    add(bq, receiver, "streak.broken")
    bq.send_sync(act())
    for times in (1, 2):
        advance(bq, "P9D")
        told(bq)
        assert len(receiver.bodies()) == times
        freeze(bq, NOON)


def test_grace_puts_off_the_moment_at_which_a_streak_breaks(bq: Project, receiver: Receiver) -> None:
    bq.apply(STREAK)
    freeze(bq, NOON)
    add(bq, receiver, "streak.broken")
    bq.send_sync(act())
    bq.apply({"streaks": [{**STREAK["streaks"][0], "grace_period_hours": 24}]}, backfill=True)
    advance(bq, "P2D")
    told(bq)
    assert receiver.bodies() == []
    advance(bq, "P1D")
    told(bq)
    assert [each["occurred_at"] for each in effects(receiver.bodies())] == ["2026-03-05T00:00:00Z"]


def score(who: str, n: int) -> Json:
    return event("act", who, properties={"n": n}, timestamp=NOON)


def moves(receiver: Receiver) -> list[tuple[str, int | None, int | None, float | None]]:
    told = [body["data"] for body in receiver.bodies("leaderboard.rank_changed")]
    return [(each["participant_id"], each["previous_rank"], each["rank"], each["score"]) for each in told]


def test_ranks_among_the_first_are_told_of_the_mover_and_of_those_overtaken(bq: Project, receiver: Receiver) -> None:
    bq.apply(BOARD)
    add(bq, receiver, "leaderboard.rank_changed", top_ranks=2)
    for who, n in (("ada", 5), ("bea", 3), ("cid", 1)):
        bq.send_sync(score(who, n))
    told(bq)
    assert sorted(moves(receiver)) == [("ada", None, 1, 5), ("bea", None, 2, 3)], "side by side"
    fact = bq.send_sync(score("cid", 9)).json()
    bq.send_sync(score("ada", 1))
    told(bq)
    later = receiver.bodies()[2:]
    assert sorted(moves(receiver)[2:]) == [("ada", 1, 2, 5), ("bea", 2, None, 3), ("cid", None, 1, 10)]
    by_name = {each["data"]["participant_id"]: each["data"] for each in later}
    assert by_name["cid"] == {
        "participant_id": "cid",
        "fact_id": fact["fact_id"],
        "leaderboard_code": "top",
        "window": "all_time",
        "period": by_name["cid"]["period"],
        "rank": 1,
        "previous_rank": None,
        "score": 10,
    }
    assert by_name["ada"]["fact_id"] is None


def test_who_is_hidden_leaves_a_rank_and_everyone_below_moves_up(bq: Project, receiver: Receiver) -> None:
    bq.apply(BOARD)
    for who, n in (("bot", 9), ("ada", 5), ("bea", 3)):
        bq.send_sync(score(who, n))
    add(bq, receiver, "leaderboard.rank_changed", top_ranks=2)
    bq.post("/admin/participants/visibility", {"participant_id": "bot", "hidden": True})
    told(bq)
    assert sorted(moves(receiver)) == [("ada", 2, 1, 5), ("bea", None, 2, 3), ("bot", 1, None, None)]
    bq.send_sync(score("bot", 1))
    told(bq)
    assert len(moves(receiver)) == 3, "nobody sees what a hidden participant does"
    bq.post("/admin/participants/visibility", {"participant_id": "bot", "hidden": False})
    told(bq)
    assert sorted(moves(receiver)[3:]) == [("ada", 1, 2, 5), ("bea", 2, None, 3), ("bot", None, 1, 10)]


def test_the_lowest_first_and_shared_ranks_are_told_as_they_are_shown(bq: Project, receiver: Receiver) -> None:
    board = {"code": "top", "name": "Top", "metric": {"on": "act", "aggregate": "sum", "of": "properties.n"}}
    bq.apply({"leaderboards": [{**board, "order": "ascending", "tie": "shared"}]})
    for who, n in (("ada", 5), ("bea", 7)):
        bq.send_sync(score(who, n))
    add(bq, receiver, "leaderboard.rank_changed", top_ranks=3)
    bq.send_sync(score("cid", 5))
    told(bq)
    assert sorted(moves(receiver)) == [("bea", 2, 3, 7), ("cid", None, 1, 5)]


def test_who_falls_out_of_the_first_is_told_of_with_the_score_of_now(bq: Project, receiver: Receiver) -> None:
    bq.apply(BOARD)
    add(bq, receiver, "leaderboard.rank_changed", top_ranks=1)
    bq.send_sync(score("bea", 3))
    bq.send_sync(score("ada", 5))
    told(bq)
    before = len(moves(receiver))
    bq.send_sync(score("ada", -4))
    told(bq)
    assert {*moves(receiver)[before:]} == {("ada", 1, None, 1), ("bea", None, 1, 3)}


def test_a_message_that_died_is_told_once(data_dir: Path, receiver: Receiver) -> None:
    with ServerProcess(data_dir) as server, server.client() as client:
        body = {"url": receiver.url, "event_types": ["message.dead"]}
        client.post("/webhooks/endpoints", json=body)
        client.post("/ingest/events", json=event(idempotency_key="k"))
        client.post("/sandbox/drain", json={})
        with stream_of(data_dir) as stream:
            message_id = dead_letter_a_conflict(stream)
        assert client.post("/sandbox/drain", json={"webhooks": True}).status_code == 200
        [told] = receiver.bodies()
        assert told["type"] == "message.dead"
        assert told["data"].pop("reason").startswith("its idempotency key belongs to another event")
        assert told["data"] == {
            "participant_id": "u",
            "message_id": message_id,
            "event_name": "other",
            "occurred_at": "1970-01-01T00:00:00.000001Z",
        }
        server.kill()
        server.start()
        with server.client() as again:
            again.post("/sandbox/drain", json={"webhooks": True})
        assert len(receiver.received) == 1
        assert server.stop() == 0


def test_every_event_is_sent_as_the_openapi_document_describes_it(data_dir: Path, receiver: Receiver) -> None:
    game = {
        "streaks": [{**STREAK["streaks"][0], "milestones": [{"at": 2, "rewards": [{"points": 1}]}]}],
        **BOARD,
        "points": [{"code": "pay", "on": "act", "award": 10}],
        "badges": [
            {"code": "first", "name": "First", "criteria": {"on": "act", "target": 1}},
            {"code": "second", "name": "Second", "criteria": {"on": "act", "target": 2}, "revocable": True},
        ],
        "tiers": [{"code": "bronze", "name": "Bronze", "level": 1, "min_points": 10}],
        "challenges": [
            {
                "code": "twice",
                "name": "Twice",
                "objectives": [{"code": "act", "on": "act", "target": 2}],
                "milestones": [{"at": 0.5, "rewards": [{"points": 1}]}],
            }
        ],
    }
    with ServerProcess(data_dir) as server, server.client() as client:
        assert client.put("/gamify/admin/game", json=game).status_code == 200
        client.put("/sandbox/clock", json={"now": NOON})
        body = {"url": receiver.url, "event_types": sorted(EVENT_TYPES)}
        endpoint = client.post("/webhooks/endpoints", json=body).json()
        caused = []
        for more in ({"idempotency_key": "k"}, {}):
            answer = client.post("/ingest/events/sync", params={"include": "effects"}, json={**act(n=1), **more})
            fact = answer.json()
            caused += fact["effects"]
            client.post("/sandbox/clock/advance", json={"by": "P1D"})
        client.post("/sandbox/clock/advance", json={"by": "P3D"})
        assert client.post(f"/facts/{fact['fact_id']}/void", json={}).status_code == 200
        with stream_of(data_dir) as stream:
            dead_letter_a_conflict(stream)
        client.post(f"/webhooks/endpoints/{endpoint['endpoint_id']}/test")
        assert client.post("/sandbox/drain", json={"webhooks": True}).status_code == 200
        document = httpx.get(f"{server.url}/openapi.json", verify=False).json()
        assert server.stop() == 0
    assert {body["type"] for body in receiver.bodies()} == {*EVENT_TYPES, "endpoint.test"}
    for body in receiver.bodies():
        schema = document["webhooks"][body["type"]]["post"]["requestBody"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        assert [each.message for each in Draft202012Validator(whole).iter_errors(body)] == []
    told = [each["data"]["effect"] for each in receiver.bodies() if "effect" in each["data"]]
    untold = ("enrolment", "objective", "leaderboard")
    assert [each for each in caused if each["type"] not in untold and each not in told] == [], "all of each, unchanged"


def test_the_tiers_of_a_changed_game_are_told(bq: Project, receiver: Receiver) -> None:
    points = [{"code": "pay", "on": "act", "award": 10}]
    bq.apply({"points": points})
    add(bq, receiver, "tier.changed")
    facts = [bq.send_sync(act()).json()["fact_id"] for _ in range(3)]
    tiers = [
        {"code": code, "name": code, "level": level, "min_points": least}
        for level, (code, least) in enumerate([("bronze", 10), ("silver", 20), ("gold", 99)], 1)
    ]
    bq.apply({"points": points, "tiers": tiers})
    bq.drain()
    told(bq)
    [body] = receiver.bodies()
    assert body["data"]["fact_id"] == facts[1]
    assert (body["data"]["effect"]["code"], body["data"]["effect"]["previous_code"]) == ("silver", None)
    bq.apply({"points": points, "tiers": [*tiers, {"code": "tin", "name": "tin", "level": 0, "min_points": 5}]})
    bq.drain()
    told(bq)
    assert len(receiver.bodies()) == 1, "a lower one is no higher tier"


def test_the_headers_of_the_vendor_are_sent_beside_the_others_where_asked_for(bq: Project, receiver: Receiver) -> None:
    endpoint = add(bq, receiver, "fact.created", vendor_headers=True)
    bq.send_sync(act())
    told(bq)
    [sent] = receiver.taken
    signature = hmac.new(endpoint["secret"].encode(), sent.raw, hashlib.sha256).hexdigest()
    assert sent.headers["x-bricqs-signature"] == f"sha256={signature}"
    assert sent.headers["x-bricqs-event"] == "fact.created"
    assert sent.headers["x-bricqs-delivery"] == sent.id
    assert sent.headers["x-bricqs-tenant"]
    assert "webhook-signature" in sent.headers
    bq.request("PATCH", path(endpoint), json={"vendor_headers": False})
    bq.send_sync(act())
    told(bq)
    assert not [name for name in receiver.taken[1].headers if name.startswith("x-bricqs")]
    assert bq.request("PATCH", path(endpoint), json={"vendor_headers": None, "top_ranks": 3}).json()["top_ranks"] == 3
    until("it is kept", lambda: bq.get(path(endpoint)).json()["vendor_headers"] is False)
