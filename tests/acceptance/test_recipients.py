"""Facts that award others than their senders, over HTTP: whom each answer names, and that nothing gets lost."""

from collections.abc import Iterator

import pytest

from tests.support.client import Json, Project, event
from tests.support.feed import everything
from tests.support.hooks import add, told
from tests.support.process import ServerProcess
from tests.support.receiver import Receiver, receiving
from tests.support.sandbox import export, import_lines

GAME: Json = {
    "points": [
        {"code": "welcome", "on": "signed_up", "award": 5},
        {"code": "referral", "on": "signed_up", "award": 10, "award_to": "properties.referrer_id"},
    ],
    "badges": [
        {
            "code": "host",
            "name": "Host",
            "criteria": {"on": "signed_up", "target": 1},
            "award_to": "properties.referrer_id",
        }
    ],
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def signed_up(who: str = "cid", to: str = "bob", **more: object) -> Json:
    return event("signed_up", who, properties={"referrer_id": to}, **more)


def essence(effects: list[Json]) -> list[tuple[str | None, str]]:
    return [(each.get("participant_id"), each["type"]) for each in effects]


def test_every_answer_says_whom_an_effect_is_about(server: ServerProcess, bq: Project) -> None:
    bq.apply(GAME)
    due = [(None, "points"), ("bob", "points"), ("bob", "badge")]
    rehearsed = bq.told(signed_up(), dry_run="true")
    assert essence(rehearsed["effects"]) == due
    assert [(each["definition"], each.get("participant_id"), each["verdict"]) for each in rehearsed["definitions"]] == [
        ("points/welcome", None, "matched"),
        ("points/referral", "bob", "matched"),
        ("badge/host", "bob", "matched"),
    ]
    assert bq.get("/gamify/participants/bob").status_code == 404
    made = bq.told(signed_up(idempotency_key="k"), include="effects")
    assert essence(made["effects"]) == due
    assert made["effects"][1]["cause"] == f"points:referral:{made['fact_id']}"
    again = bq.told(signed_up(idempotency_key="k"), include="effects")
    assert (again["fact_id"], again["effects"]) == (made["fact_id"], made["effects"])
    assert bq.get(f"/facts/{made['fact_id']}/effects").json()["effects"] == made["effects"]
    (fact,) = bq.get("/facts", include="effects").json()["facts"]
    assert (fact["participant_id"], fact["effects"]) == ("cid", made["effects"])
    message = bq.send(signed_up("dan")).json()["message_id"]
    bq.settled(message)
    kept = bq.get(f"/ingest/messages/{message}", include="effects").json()["effects"]
    assert essence(kept) == [(None, "points"), ("bob", "points")]
    assert [each.data["data"]["effects"] for each in everything(server.url, bq.keys["test"], participant_id="bob")] == [
        made["effects"],
        kept,
    ]
    assert everything(server.url, bq.keys["test"], participant_id="eve") == []


def test_the_recipient_has_points_and_no_facts(bq: Project) -> None:
    bq.apply(GAME)
    fact_id = bq.told(signed_up())["fact_id"]
    state = bq.participant("bob", "/state")
    assert (state["points"]["balance"], state["total_events"]) == (10, 0)
    assert [each["code"] for each in state["badges"] if each["earned"]] == ["host"]
    (entry,) = bq.participant("bob", "/points/transactions")["transactions"]
    assert (entry["amount"], entry["cause"]) == (10, f"points:referral:{fact_id}")
    assert bq.facts(participant_id="bob") == []
    assert bq.participant("cid", "/state")["points"]["balance"] == 5


def test_webhooks_are_about_the_recipient(bq: Project, receiver: Receiver) -> None:
    bq.apply(GAME)
    add(bq, receiver, "points.changed", "badge.awarded")
    fact_id = bq.told(signed_up())["fact_id"]
    told(bq)
    bodies = sorted(
        (body["data"]["participant_id"], body["type"], body["data"]["fact_id"], body["data"]["effect"].get("amount"))
        for body in receiver.bodies()
    )
    assert bodies == [
        ("bob", "badge.awarded", fact_id, None),
        ("bob", "points.changed", fact_id, 10),
        ("cid", "points.changed", fact_id, 5),
    ]


def test_a_void_says_what_it_takes_back_from_whom(bq: Project) -> None:
    bq.apply(GAME)
    fact_id = bq.told(signed_up())["fact_id"]
    due = [(None, "void"), (None, "points"), ("bob", "void"), ("bob", "points")]
    rehearsed = bq.request("POST", f"/facts/{fact_id}/void", json={}, params={"dry_run": "true"}).json()
    assert essence(rehearsed["effects"]) == due
    answer = bq.post(f"/facts/{fact_id}/void", {}).json()
    assert essence(answer["effects"]) == due
    assert bq.balance("bob") == 0
    assert essence(bq.post(f"/facts/{fact_id}/void", {}).json()["effects"]) == due


def test_a_game_that_is_applied_later_counts_the_past_if_it_is_told_to(bq: Project) -> None:
    for number, who in enumerate(("cid", "dan", "eve")):
        bq.send_sync(signed_up(who, idempotency_key=f"k{number}"))
    bq.send_sync(event("undone", "dan", voids="k1"))
    forecast = bq.apply(GAME, backfill="true", dry_run="true")["forecast"]
    assert {each["cause"]: each["points"] for each in forecast["payments"]}["points:referral"] == 20
    assert bq.get("/gamify/participants/bob").status_code == 404
    bq.apply(GAME, backfill="true")
    bq.drain()
    assert bq.balance("bob") == 20
    bq.send_sync(event("undone", "eve", voids="k2"))
    assert bq.balance("bob") == 10
    undone = bq.facts(participant_id="dan", event_name="undone")[0]["fact_id"]
    bq.post(f"/facts/{undone}/void", {})
    assert bq.balance("bob") == 20


def test_an_environment_is_exported_reset_and_imported(bq: Project) -> None:
    bq.apply({"points": GAME["points"][:1]})
    bq.send_sync(signed_up("old"))
    bq.apply(GAME)
    bq.send_sync(signed_up(idempotency_key="k1"))
    bq.send_sync(signed_up("dan"))
    bq.send_sync(event("undone", "cid", voids="k1"))
    before = [bq.participant(who, "/state")["points"] for who in ("old", "cid", "dan", "bob")]
    lines = export(bq)
    bq.post("/sandbox/reset", {"game": True})
    assert bq.get("/gamify/participants/bob").status_code == 404
    assert import_lines(bq, lines).status_code == 200
    assert [bq.participant(who, "/state")["points"] for who in ("old", "cid", "dan", "bob")] == before
    assert before[-1]["balance"] == 10


def test_a_person_is_exported_and_erased(bq: Project) -> None:
    bq.apply(GAME)
    fact_id = bq.told(signed_up())["fact_id"]
    exported = bq.post("/admin/participants/export", {"participant_id": "bob"}).json()
    assert [(each["fact_id"], [one["type"] for one in each["effects"]]) for each in exported["received"]] == [
        (fact_id, ["points", "badge"])
    ]
    assert exported["facts"] == []
    other = bq.post("/admin/participants/export", {"participant_id": "cid"}).json()
    assert [essence(each["effects"]) for each in other["facts"]] == [[(None, "points")]]
    assert bq.post("/admin/participants/erase", {"participant_id": "bob", "clean_up": False}).status_code == 200
    assert bq.get("/gamify/participants/bob").status_code == 404
    assert essence(bq.get(f"/facts/{fact_id}/effects").json()["effects"]) == [(None, "points")]
    bq.send_sync(signed_up("dan", to="eve"))
    assert bq.post("/admin/participants/erase", {"participant_id": "dan", "clean_up": False}).status_code == 200
    assert bq.balance("eve") == 10
