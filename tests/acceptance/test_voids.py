"""Facts that are made void, over HTTP: what is told, and that nothing is done twice."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check

GAME: Json = {
    "points": [{"code": "pay", "on": "act", "award": 10}],
    "badges": [{"code": "starter", "name": "Starter", "revocable": True, "criteria": {"on": "act", "target": 1}}],
    "leaderboards": [{"code": "earners", "name": "Earners", "metric": "points"}],
}


def acted(bq: Project, key: str = "act-1", **more: Any) -> str:
    fact_id: str = bq.told(event("act", "ada", idempotency_key=key, **more))["fact_id"]
    return fact_id


def void(bq: Project, fact_id: str, body: Json | None = None, **query: Any) -> Json:
    answer = bq.request("POST", f"/facts/{fact_id}/void", json=body or {}, params=query)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def entries(bq: Project) -> list[tuple[str, int, int]]:
    page = bq.participant("ada", "/points/transactions")
    return [(each["type"], each["amount"], each["balance"]) for each in page["transactions"][::-1]]


def test_the_fact_stays_and_says_what_voids_it(bq: Project) -> None:
    bq.apply(GAME)
    fact_id = acted(bq)
    answer = void(bq, fact_id, {"reason": "a mistake"})
    assert (answer["fact_id"], answer["already_voided"]) == (fact_id, False)
    assert [each["type"] for each in answer["effects"]] == ["void", "revocation", "points"]
    told = bq.get(f"/facts/{fact_id}").json()
    assert (told["voided_by"], told["voids"]) == (answer["voided_by"], None)
    voiding = bq.get(f"/facts/{answer['voided_by']}").json()
    assert (voiding["fact_type"], voiding["voids"], voiding["voided_by"]) == ("system.fact_voided", fact_id, None)
    assert voiding["properties"] == {"fact_id": fact_id, "reason": "a mistake"}
    assert entries(bq) == [("award", 10, 10), ("void", -10, 0)]
    assert bq.participant("ada", "/badges")["earned_count"] == 0
    assert bq.get("/gamify/leaderboards/earners").json()["entries"] == []
    assert bq.participant("ada")["total_events"] == 1
    again = void(bq, fact_id)
    assert (again["voided_by"], again["already_voided"]) == (answer["voided_by"], True)
    assert again["effects"] == answer["effects"]
    assert len(entries(bq)) == 2
    back = void(bq, answer["voided_by"])
    assert [each["type"] for each in back["effects"]] == ["void", "void", "points", "badge", "leaderboard"]
    assert bq.get(f"/facts/{fact_id}").json()["voided_by"] is None
    assert entries(bq)[-1] == ("award", 10, 10)
    assert bq.participant("ada", "/badges")["earned_count"] == 1


def test_a_dry_run_changes_nothing(bq: Project) -> None:
    bq.apply(GAME)
    fact_id = acted(bq)
    answer = void(bq, fact_id, dry_run="true")
    assert (answer["voided_by"], answer["already_voided"]) == (None, False)
    assert {"type": "points", "amount": -10}.items() <= answer["effects"][2].items()
    assert bq.get(f"/facts/{fact_id}").json()["voided_by"] is None
    assert entries(bq) == [("award", 10, 10)]
    rehearsed = bq.told(event("undo", "ada", voids="act-1"), dry_run="true")
    assert [each["type"] for each in rehearsed["effects"]] == ["void", "revocation", "points"]
    assert entries(bq) == [("award", 10, 10)]


def test_a_dry_run_says_that_an_event_is_void_already(bq: Project) -> None:
    bq.apply(GAME)
    bq.send_sync(event("undo", "ada", voids="act-1"))
    rehearsed = bq.told(event("act", "ada", idempotency_key="act-1"), dry_run="true")
    assert rehearsed["effects"] == []
    assert {each["verdict"] for each in rehearsed["definitions"]} == {"voided"}


def test_many_at_once_make_one_void(bq: Project) -> None:
    bq.apply(GAME)
    fact_id = acted(bq)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: void(bq, fact_id), range(16)))
    assert len({each["voided_by"] for each in answers}) == 1
    assert sum(not each["already_voided"] for each in answers) == 1
    assert entries(bq) == [("award", 10, 10), ("void", -10, 0)]


def test_an_event_that_voids_is_told_apart_by_it_under_its_key(bq: Project) -> None:
    acted(bq)
    undo = event("undo", "ada", idempotency_key="undo-1", voids="act-1")
    assert bq.told(undo)["fact_id"] == bq.told(undo)["fact_id"]
    other = bq.post("/ingest/events", event("undo", "ada", idempotency_key="undo-1", voids="act-2"))
    check(other, Code.IDEMPOTENCY_CONFLICT)


def test_who_was_erased_has_no_fact_to_void(bq: Project) -> None:
    fact_id = acted(bq)
    assert bq.post("/admin/participants/erase", {"participant_id": "ada"}).status_code == 200
    check(bq.post(f"/facts/{fact_id}/void", {}), Code.NOT_VOIDABLE)
    check(bq.post("/facts/fact_x/void", {}), Code.NOT_FOUND)


def test_an_exported_environment_keeps_what_is_void(bq: Project) -> None:
    bq.apply(GAME)
    fact_id = acted(bq)
    void(bq, fact_id)
    acted(bq, "act-2")
    bq.send_sync(event("undo", "ada", voids="act-2"))
    bq.send_sync(event("undo", "ada", voids="act-3"))
    lines = bq.get("/sandbox/export").content
    before = bq.participant("ada", "/state")
    assert bq.post("/sandbox/reset", {"game": True}).status_code == 200
    assert _imported(bq, lines).status_code == 200
    assert bq.participant("ada", "/state")["points"] == before["points"]
    assert [each["voided_by"] is not None for each in bq.facts(event_name="act")] == [True, True]
    acted(bq, "act-3")
    assert bq.balance("ada") == 0


def _imported(bq: Project, lines: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson"}
    return bq.request("POST", "/sandbox/import", content=lines, headers=headers)


def test_a_void_is_undone_and_done_again_as_often_as_one_likes(bq: Project) -> None:
    bq.apply(GAME)
    fact_id = acted(bq)
    for points in (0, 10) * 3:
        fact_id = void(bq, fact_id)["voided_by"]
        assert bq.balance("ada") == points
    assert [amount for _, amount, _ in entries(bq)] == [10, -10, 10, -10, 10, -10, 10]


def test_a_key_that_only_sends_events_gives_back_no_points_that_were_spent(bq: Project) -> None:
    bq.apply({**GAME, "rewards": [{"code": "mug", "name": "A mug", "cost": 10}]})
    acted(bq)
    assert bq.post("/gamify/points/award", {"participant_id": "ada", "amount": 30}).status_code == 200
    deduction = {"participant_id": "ada", "amount": 15, "idempotency_key": "deduct-1"}
    assert bq.post("/gamify/points/deduct", deduction).status_code == 200
    claim = {"participant_id": "ada", "idempotency_key": "claim-1"}
    assert bq.post("/gamify/rewards/mug/claim", claim).status_code == 200
    with bq.using("test:ingest") as sender:
        for key in ("deduct-1", "claim-1", "deduct-2"):
            assert sender.send_sync(event("act", "ada", voids=key)).status_code == 200
    assert bq.post("/gamify/points/deduct", deduction | {"idempotency_key": "deduct-2"}).status_code == 200
    assert bq.balance("ada") == 10 + 30 - 15 - 10 + 30 - 15
    assert [each["status"] for each in bq.participant("ada", "/rewards")["rewards"]] == ["claimed"]
