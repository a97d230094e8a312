"""A background refold under `kill -9` and under traffic: it finishes, and nothing is awarded twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support import legible
from tests.support.client import Json, event
from tests.support.process import ServerProcess, until
from tests.support.store import address_of

pytestmark = pytest.mark.slow
PARTICIPANTS = 2_000
BATCH = 100
GAME = {
    "points": [
        {"code": "pay", "on": "act", "award": 10},
        {"code": "failing", "on": "act", "award": "properties.missing"},
    ],
    "badges": [
        {"code": "keen", "name": "Keen", "criteria": {"on": "act", "target": 2}},
        {"code": "failing", "name": "F", "criteria": {"on": "act", "when": "properties.missing", "target": 1}},
    ],
    "challenges": [
        {
            "code": "stairs",
            "name": "Stairs",
            "objectives": [
                {"code": "first", "on": "act", "target": 1},
                {"code": "then", "on": "act", "target": 1, "prerequisites": ["first"]},
            ],
            "milestones": [{"at": 0.5, "rewards": [{"points": 5}]}],
            "rewards": [{"points": 100}, {"badge": "keen"}],
        }
    ],
    "streaks": [{"code": "daily", "on": "act", "milestones": [{"at": 2, "rewards": [{"points": 1}]}]}],
    "leaderboards": [
        {"code": "points", "name": "Points", "metric": "points"},
        {"code": "acts", "name": "Acts", "metric": {"on": "act"}},
    ],
}
EACH = 2 * 10 + 5 + 100 + 1
"""Points for two acts on two days."""


def name(number: int) -> str:
    return f"user_{number:04}"


@pytest.fixture
def server(data_dir: Path) -> Iterator[ServerProcess]:
    """A server that knows two facts of everyone, and no game."""
    with ServerProcess(data_dir) as server:
        events = [
            event("act", name(number), timestamp=f"2026-03-0{day}T12:00:00Z")
            for number in range(PARTICIPANTS)
            for day in (1, 2)
        ]
        with server.client() as client:
            for start in range(0, len(events), BATCH):
                answer = client.post("/ingest/events/batch", json={"events": events[start : start + BATCH]})
                assert answer.json()["accepted"] == BATCH
            until(
                "everything is a fact",
                lambda: client.get("/events/catalog/act").json().get("count") == len(events),
            )
        yield server


def put(server: ServerProcess, game: Json, *, backfill: bool = False) -> Json:
    query = {"backfill": str(backfill).lower()}
    answer = server.request("PUT", "/gamify/admin/game", json=game, params=query)
    assert answer.status_code == 200, answer.text
    plan: Json = answer.json()
    return plan


def refolds(server: ServerProcess) -> list[Json]:
    """The one under way first."""
    found: list[Json] = server.request("GET", "/gamify/admin/game").json()["refolds"]
    return found


def done(server: ServerProcess) -> int:
    return sum(refold["done"] for refold in refolds(server))


def finished(server: ServerProcess) -> bool:
    return all(refold["finished_at"] for refold in refolds(server))


def warned(server: ServerProcess) -> dict[str, int]:
    """How many facts each definition had a warning for."""
    warnings = server.request("GET", "/gamify/admin/game").json()["warnings"]
    return {warning["definition"]: warning["count"] for warning in warnings}


def ledger(server: ServerProcess) -> dict[str, tuple[int, int, int]]:
    """By participant: the sum of the entries, how many there are, and how many causes they have."""
    rows = legible.rows(
        address_of(server.data_dir),
        "SELECT participant_id, SUM(amount), COUNT(*), COUNT(DISTINCT cause) FROM ledger GROUP BY participant_id",
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def check_state(client: httpx.Client, participant_id: str, points: int, acts: int) -> None:
    state = client.get(f"/gamify/participants/{participant_id}/state").json()
    assert state["points"] == {
        "balance": points,
        "total_earned": points,
        "total_spent": 0,
        "total_expired": 0,
        "owed": 0,
    }
    earned = {badge["code"]: badge["earned_at"] for badge in state["badges"]}
    assert earned == {"keen": "2026-03-02T12:00:00Z", "failing": None}
    assert state["challenges"][0]["status"] == "completed"
    assert {board["leaderboard_code"]: board["score"] for board in state["leaderboards"]} == {
        "points": points,
        "acts": acts,
    }
    assert state["total_events"] == acts


def test_a_refold_that_is_killed_twice_finishes_and_awards_nothing_twice(server: ServerProcess) -> None:
    key = server.key
    plan = put(server, GAME, backfill=True)
    assert plan["participants_affected"] == PARTICIPANTS
    for share in (0.2, 0.5):
        until("a share is computed", lambda share=share: done(server) >= share * PARTICIPANTS)
        server.kill()
        server.start()
        server.key = key
        (refold,) = refolds(server)
        assert refold["finished_at"] is None, "it was in the middle: raise PARTICIPANTS if this machine is too fast"
        assert refold["done"] >= share * PARTICIPANTS, "it goes on where it was"
    until("the refold is finished", lambda: finished(server))
    (refold,) = refolds(server)
    assert (refold["done"], refold["total"]) == (PARTICIPANTS, PARTICIPANTS)
    assert ledger(server) == {name(number): (EACH, 5, 5) for number in range(PARTICIPANTS)}
    with server.client() as client:
        for number in range(0, PARTICIPANTS, 100):
            check_state(client, name(number), EACH, 2)
        for board in ("points", "acts"):
            ranking = client.get(f"/gamify/leaderboards/{board}").json()
            assert ranking["total_participants"] == PARTICIPANTS
    assert server.stop() == 0


def test_facts_that_arrive_during_a_refold_count_once(server: ServerProcess) -> None:
    put(server, GAME, backfill=True)
    busy = [name(number) for number in range(0, PARTICIPANTS, 25)]
    with server.client() as client:

        def send(participant_id: str) -> int:
            late = event("act", participant_id, timestamp="2026-03-02T13:00:00Z")
            return client.post("/ingest/events/sync", json=late).status_code

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(send, reversed(busy))) == {200}
        assert not finished(server), "it was in the middle: raise PARTICIPANTS if this machine is too fast"
        until("the refold is finished", lambda: finished(server))
        assert [send(each) for each in busy[:2]] == [200, 200]
        extra = dict.fromkeys(busy, 1) | dict.fromkeys(busy[:2], 2)
        assert ledger(server) == {
            name(number): (EACH + 10 * extra.get(name(number), 0), *[5 + extra.get(name(number), 0)] * 2)
            for number in range(PARTICIPANTS)
        }
        for definition in ("points/failing", "badge/failing"):
            assert len(busy) + 2 <= warned(server)[definition] <= 2 * PARTICIPANTS + len(busy) + 2
        for each in busy[::10]:
            check_state(client, each, EACH + 10 * extra[each], 2 + extra[each])
    assert server.stop() == 0


def test_a_game_that_is_changed_during_its_refold_ends_as_the_last_one_says(server: ServerProcess) -> None:
    put(server, GAME, backfill=True)
    until("a share is computed", lambda: done(server) >= PARTICIPANTS // 10)
    other = GAME | {
        "badges": [{"code": "keen", "name": "Keen", "criteria": {"on": "act", "target": 1}}],
        "leaderboards": [{"code": "acts", "name": "Acts", "metric": {"on": "act", "when": "false"}}],
    }
    put(server, other)
    assert len(refolds(server)) == 2
    until("both refolds are finished", lambda: finished(server))
    assert ledger(server) == {name(number): (EACH, 5, 5) for number in range(PARTICIPANTS)}
    with server.client() as client:
        assert client.get("/gamify/leaderboards/acts").json()["total_participants"] == 0
        assert client.get("/gamify/leaderboards/points").status_code == 404
        for number in (0, PARTICIPANTS - 1):
            badges = client.get(f"/gamify/participants/{name(number)}/badges").json()["badges"]
            assert [badge["earned"] for badge in badges] == [True]
    assert server.stop() == 0
