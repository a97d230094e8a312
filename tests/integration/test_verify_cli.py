"""`bq-server verify` and `replay`: what they say, and what they do beside a server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.played_world import CELL, World
from tests.support.process import ServerProcess, run
from tests.support.store import of_a_file


@pytest.fixture
def running(world: World, data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir) as server:
        yield server


@pytest.mark.anyio
@pytest.mark.slow
async def test_verify_says_what_differs_and_replay_mends_it(world: World, data_dir: Path) -> None:
    good = run("verify", "--data-dir", str(data_dir))
    assert (good.returncode, good.stdout) == (0, "6 participants verified: no difference, 0 kept awards\n")
    assert "default/test: verified 5 of 5\n" in good.stderr
    world.edit(CELL, '{"balance": 1, "earned": 1, "spent": 0}', "points")
    bad = run("verify", "--data-dir", str(data_dir))
    assert bad.returncode == 1
    line = 'default/test u1 points: stored {"balance":1,"earned":1,"spent":0}, expected {"balance":'
    assert bad.stdout.startswith(line)
    document = run("verify", "--data-dir", str(data_dir), "--json")
    assert document.returncode == 1
    (found,) = json.loads(document.stdout)["differences"]
    assert found["key"] == "points"
    assert (found["project"], found["environment"], found["participant_id"]) == ("default", "test", "u1")
    assert found["stored"]["balance"] == 1 < found["expected"]["balance"]
    mended = run("replay", "--data-dir", str(data_dir))
    assert mended.returncode == 0
    assert "default/test: 5 participants replayed" in mended.stdout
    clean = json.loads(run("verify", "--data-dir", str(data_dir), "--json").stdout)
    assert clean == {"differences": [], "kept": [], "left_out": [], "participants": 6}


@pytest.mark.anyio
@pytest.mark.slow
async def test_verify_runs_beside_a_server_and_replay_does_not(running: ServerProcess, world: World) -> None:
    with running.client() as client:
        sent = client.post("/ingest/events/sync", json={"event_name": "bought", "participant_id": "u9"})
        assert sent.status_code < 300, sent.text
        assert run("verify", "--data-dir", str(running.data_dir)).returncode == 0
        refused = run("replay", "--data-dir", str(running.data_dir))
        assert refused.returncode == 1
        assert "another bq-server" in refused.stderr
        assert "stop it" in refused.stderr
        world.edit("UPDATE participants SET total_events = 7 WHERE participant_id = 'u9'")
        found = run("verify", "--data-dir", str(running.data_dir))
        assert (found.returncode, "u9 total_events: stored 7, expected 1" in found.stdout) == (1, True)


@of_a_file
@pytest.mark.slow
def test_scores_that_nothing_reached_are_no_difference(data_dir: Path) -> None:
    def board(code: str, aggregate: str, **more: str) -> dict[str, object]:
        metric = {"on": "played", "aggregate": aggregate, "of": "properties.x"}
        return {"code": code, "name": code, "metric": metric, **more}

    played: dict[str, list[float]] = {"one": [0], "minus": [-0.0], "two": [0, 0.0], "back": [5, -5], "less": [-1]}
    boards = [*(board(each, each) for each in ("sum", "max", "min", "distinct"))]
    boards.append(board("teams", "sum", group_by="attributes.team"))
    with ServerProcess(data_dir) as server, server.client() as client:
        assert client.put("/gamify/admin/game", json={"leaderboards": boards}).status_code == 200
        for who in played:
            client.post("/gamify/participants", json={"participant_id": who, "attributes": {"team": "red"}})
            for amount in played[who]:
                sent = {"event_name": "played", "participant_id": who, "properties": {"x": amount}}
                assert client.post("/ingest/events/sync", json=sent).status_code == 200
        verified = run("verify", "--data-dir", str(data_dir))
        assert (verified.returncode, "no difference" in verified.stdout) == (0, True), verified.stdout


@of_a_file
@pytest.mark.parametrize(("command", "code"), [("verify", 2), ("replay", 1)])
def test_there_must_be_a_database(data_dir: Path, command: str, code: int) -> None:
    answer = run(command, "--data-dir", str(data_dir))
    assert answer.returncode == code
    assert "there is no database" in answer.stderr
    assert not data_dir.exists()
