"""What test environments may do, and live ones not: draining, and waiting for the fact."""

from pathlib import Path

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess, run
from tests.support.sandbox import GAME, buy
from tests.support.store import no_new_facts

ROUTES = [
    ("POST", "/sandbox/drain", {"timeout_ms": 0}),
    ("GET", "/sandbox/clock", None),
    ("PUT", "/sandbox/clock", {"now": "2026-04-02T09:00:00Z"}),
    ("DELETE", "/sandbox/clock", None),
    ("POST", "/sandbox/clock/advance", {"by": "P1D"}),
    ("POST", "/sandbox/reset", {}),
    ("GET", "/sandbox/export", None),
    ("POST", "/sandbox/import", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_live_key_may_do_nothing_of_it(bq: Project, method: str, path: str, body: Json | None) -> None:
    with bq.using("live") as live:
        assert live.send_sync(event()).status_code == 200
        problem = check(live.request(method, path, json=body), Code.FORBIDDEN)
        assert "bq_test_" in problem["detail"]
        assert len(live.facts()) == 1
        check(live.request("POST", "/ingest/events", json=event(), params={"wait": "fact"}), Code.FORBIDDEN)
        check(
            live.request("POST", "/ingest/events/batch", json={"events": []}, params={"wait": "fact"}), Code.FORBIDDEN
        )
        assert len(live.facts()) == 1


class TestDraining:
    def test_everything_accepted_before_is_a_fact(self, bq: Project) -> None:
        for _ in range(3):
            bq.send_batch([buy()] * 100)
        drained = bq.drain()
        assert drained.keys() == {"drained", "facts", "duplicates", "dead", "waited_ms"}
        assert (drained["drained"], drained["facts"], drained["duplicates"], drained["dead"]) == (True, 300, 0, 0)
        assert len(bq.facts()) == 300

    def test_a_message_that_only_repeats_is_a_duplicate(self, bq: Project) -> None:
        bq.send_sync(buy(idempotency_key="k"))
        bq.send(buy(idempotency_key="k"))
        drained = bq.drain()
        assert (drained["facts"], drained["duplicates"]) == (1, 1)

    def test_it_waits_for_what_a_changed_game_makes_of_the_past(self, bq: Project) -> None:
        bq.send_batch([buy(participant_id=f"u{number}") for number in range(100)])
        bq.drain()
        assert bq.put_game(GAME, backfill=True).status_code == 200
        bq.drain()
        assert all(refold["finished_at"] for refold in bq.game()["refolds"])
        assert bq.balance("u99") == 10

    def test_what_still_waits_is_told_when_the_time_is_over(self, data_dir: Path) -> None:
        with ServerProcess(data_dir) as server, server.client() as client:
            with no_new_facts(data_dir):
                for _ in range(3):
                    assert client.post("/ingest/events", json=event()).status_code == 202
                problem = check(client.post("/sandbox/drain", json={"timeout_ms": 200}), Code.NOT_DRAINED)
                assert "3 accepted events" in problem["detail"]
                assert [each["field"] for each in problem["errors"]] == ["queued"]
                check(client.post("/sandbox/reset", json={"timeout_ms": 0}), Code.NOT_DRAINED)
            assert client.post("/sandbox/drain", json={}).json()["facts"] == 3

    def test_it_waits_for_its_own_environment_and_counts_only_that(self, bq: Project) -> None:
        with bq.using("live") as live:
            live.send_batch([buy()] * 7)
        bq.send(buy())
        assert bq.drain()["facts"] == 1

    @pytest.mark.parametrize("timeout", [-1, 600_001, "1", 1.5, None, True])
    def test_a_wrong_time_is_refused(self, bq: Project, timeout: object) -> None:
        problem = check(bq.post("/sandbox/drain", {"timeout_ms": timeout}), Code.VALIDATION_FAILED)
        assert problem["errors"][0]["field"] == "timeout_ms"


class TestWaitingForTheFact:
    def test_one_event(self, bq: Project) -> None:
        answer = bq.request("POST", "/ingest/events", json=buy(idempotency_key="k"), params={"wait": "fact"})
        assert answer.status_code == 202
        (fact,) = bq.facts()
        accepted = {"accepted": True, "message_id": fact["message_id"]}
        assert answer.json() == accepted | {"event_id": fact["event_id"], "fact_id": fact["fact_id"]}
        again = bq.request("POST", "/ingest/events", json=buy(idempotency_key="k"), params={"wait": "fact"})
        assert again.json() == answer.json()
        assert again.headers["Idempotent-Replayed"] == "true"

    def test_a_batch(self, bq: Project) -> None:
        events = [buy(participant_id="a"), {"event_name": "x"}, buy(participant_id="b")]
        answer = bq.request("POST", "/ingest/events/batch", json={"events": events}, params={"wait": "fact"}).json()
        facts = {fact["participant_id"]: fact for fact in bq.facts()}
        assert answer["fact_ids"] == [facts["a"]["fact_id"], facts["b"]["fact_id"]]
        assert answer["event_ids"] == [facts["a"]["event_id"], facts["b"]["event_id"]]
        assert (answer["accepted"], answer["rejected"]) == (2, 1)

    def test_without_it_nothing_is_added(self, bq: Project) -> None:
        assert bq.send(buy()).json().keys() == {"accepted", "message_id"}
        assert bq.send_batch([buy()]).json().keys() == {"accepted", "rejected", "message_ids"}

    def test_a_batch_with_nothing_to_wait_for(self, bq: Project) -> None:
        answer = bq.request("POST", "/ingest/events/batch", json={"events": [{}]}, params={"wait": "fact"})
        assert (answer.status_code, answer.json()["fact_ids"]) == (422, [])


def test_verify_finds_nothing_after_all_this(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server, server.client() as client:
        client.put("/gamify/admin/game", json=GAME)
        for _ in range(2):
            client.post("/ingest/events/batch", json={"events": [buy(participant_id=f"u{n}") for n in range(50)]})
            lines = client.get("/sandbox/export").text
            client.post("/sandbox/reset", json={})
            imported = client.post("/sandbox/import", content=lines, headers={"Content-Type": "application/x-ndjson"})
            assert imported.json()["facts"] == 50
            client.post("/sandbox/reset", json={"game": False})
        client.post("/ingest/events/sync", json=buy())
        verified = run("verify", "--data-dir", str(data_dir))
        assert verified.returncode == 0, verified.stdout + verified.stderr
