"""The feed: what happens is told as it is committed, to whom it concerns, and again to whoever asks for it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bq_server.refusals import Code
from tests.acceptance.test_webhook_events import BOARD, NOON, STREAK, score
from tests.support.client import Json, Project, event
from tests.support.feed import FeedReader, Told, everything, opened
from tests.support.hooks import advance, freeze
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until

GAME: Json = {
    "points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}],
    "badges": [
        {
            "code": "first",
            "name": "First",
            "criteria": {"on": "purchase_completed", "aggregate": "count", "target": 1},
        }
    ],
}


def key(bq: Project, name: str = "test") -> str:
    return bq.keys[name]


def told(server: ServerProcess, bq: Project, after: str = "0", **query: str) -> list[Told]:
    return everything(server.url, key(bq), after, **query)


def test_facts_are_told_as_they_are_committed_with_the_json_of_include_effects(
    server: ServerProcess, bq: Project
) -> None:
    bq.apply(GAME)
    with opened(server.url, key(bq)) as feed:
        bq.send_sync(event(participant_id="ada", properties={"amount": 5}))
        first = feed.next()
        bq.send(event(participant_id="bob", properties={"amount": 7}))
        second = feed.next()
    newest, oldest = bq.get("/facts", include="effects").json()["facts"]
    assert [each.type for each in (first, second)] == ["fact.created"] * 2
    assert [each.data["data"] for each in (first, second)] == [oldest, newest]
    assert first.data["type"] == "fact.created"
    assert first.data["timestamp"] == oldest["processed_at"]
    assert [each["type"] for each in oldest["effects"]] == ["points", "badge"]
    assert oldest["effects"] == bq.get(f"/facts/{oldest['fact_id']}/effects").json()["effects"]


def test_what_came_before_is_not_told_unless_it_is_asked_for(server: ServerProcess, bq: Project) -> None:
    made = [bq.send_sync(event(participant_id=f"p{number}")).json()["fact_id"] for number in range(4)]
    assert [each.fact_id for each in told(server, bq)] == made
    ids = [each.id for each in told(server, bq)]
    for done, last in enumerate(ids, 1):
        assert [each.fact_id for each in told(server, bq, last)] == made[done:]
    with opened(server.url, key(bq)) as feed:
        after = bq.send_sync(event()).json()["fact_id"]
        assert feed.next().fact_id == after


def test_an_event_is_one_line_whatever_is_in_it(server: ServerProcess, bq: Project) -> None:
    properties = {"text": "a\u2028b\u2029c\x85d\ne\rf\x1cg ü", "data: x": "\n\nid: 0"}
    bq.send_sync(event(participant_id="ü\u2028", properties=properties))
    (found,) = told(server, bq)
    assert found.data["data"]["properties"] == properties


def test_more_than_one_page_is_told_in_order(server: ServerProcess, bq: Project) -> None:
    for start in range(0, 300, 100):
        bq.send_batch([event(participant_id=f"p{number}") for number in range(start, start + 100)])
    bq.drain()
    made = [fact["fact_id"] for fact in reversed(bq.facts())]
    assert len(made) == 300
    found = told(server, bq)
    assert [each.fact_id for each in found] == made
    assert [each.fact_id for each in told(server, bq, found[149].id)] == made[150:]


def test_filters(server: ServerProcess, bq: Project) -> None:
    bq.apply(GAME)
    bought = bq.send_sync(event(participant_id="ada", properties={"amount": 1})).json()["fact_id"]
    again = bq.send_sync(event(participant_id="ada", properties={"amount": 1})).json()["fact_id"]
    other = bq.send_sync(event(participant_id="bob", properties={"amount": 1})).json()["fact_id"]
    login = bq.send_sync(event("login", participant_id="ada")).json()["fact_id"]

    def facts(**query: str) -> list[str]:
        return [each.fact_id for each in told(server, bq, **query) if each.type == "fact.created"]

    assert facts() == [bought, again, other, login]
    assert facts(participant_id="ada") == [bought, again, login]
    assert facts(event_name="login") == [login]
    assert facts(event_name="login", participant_id="bob") == []
    assert facts(type="badge.awarded") == [bought, other]
    assert facts(type="badge.awarded,game.changed", participant_id="ada") == [bought]
    assert [each.type for each in told(server, bq, type="game.changed")] == ["game.changed"]
    assert [each.type for each in told(server, bq, participant_id="ada")] == ["fact.created"] * 3
    # What a filter leaves out is passed by all the same: it is not looked through again.
    with opened(server.url, key(bq), "0", event_name="login", follow="false") as feed:
        assert [each.fact_id for each in feed] == [login]


def test_what_is_left_out_moves_the_id_too(data_dir: Path) -> None:
    with ServerProcess(data_dir, "--feed-heartbeat-seconds", "0.2") as server:
        with opened(server.url, server.key, event_name="nothing") as feed:
            begun = feed.last_id
            server.request("POST", "/ingest/events/sync", json=event())
            until_moved(feed, begun)
        assert everything(server.url, server.key, feed.last_id) == []


def until_moved(feed: FeedReader, begun: str) -> None:
    for _ in range(100):
        feed.until_comment("alive")
        if feed.last_id != begun:
            return
    raise AssertionError("the id has not moved")


def test_changes_of_the_game_are_told_and_what_was_only_tried_is_not(server: ServerProcess, bq: Project) -> None:
    bq.put_game(GAME, dry_run=True)
    bq.apply(GAME)
    bq.apply(GAME)
    bq.apply({**GAME, "badges": []})
    bq.told(event(), dry_run="true")
    first, second = told(server, bq)
    nothing: Json = {"changed": [], "recomputed": []}
    assert first.data["data"] == {"version": 1, "added": ["points/spend", "badge/first"], "removed": [], **nothing}
    assert (second.type, second.data["data"]["removed"]) == ("game.changed", ["badge/first"])


def test_what_a_recomputed_definition_awards_is_told(server: ServerProcess, bq: Project) -> None:
    bq.apply({})
    facts = [bq.send_sync(event(properties={"amount": 1})).json()["fact_id"] for _ in range(2)]
    begun = told(server, bq)[-1].id
    with opened(server.url, key(bq), type="badge.awarded", participant_id="user_123") as feed:
        bq.apply(GAME, backfill=True)
        awarded = feed.next()
    bq.apply({**GAME, "badges": []}, backfill=True)
    bq.drain()
    changed, recomputed, *later = told(server, bq, begun)
    assert (changed.type, recomputed.type) == ("game.changed", "effects.recomputed")
    assert recomputed == awarded
    assert recomputed.data["data"]["participant_id"] == "user_123"
    effects = recomputed.data["data"]["effects"]
    assert sorted((each["type"], each["fact_id"]) for each in effects) == sorted(
        [("points", facts[0]), ("points", facts[1]), ("badge", facts[0])]
    )
    assert [each.type for each in later] == ["game.changed"], "nothing is awarded twice"
    assert told(server, bq, type="badge.awarded") == [recomputed]
    assert told(server, bq, type="effects.recomputed", participant_id="another") == []
    assert bq.post("/admin/participants/erase", {"participant_id": "user_123"}).status_code == 200
    until("it is told no more", lambda: [each.type for each in told(server, bq, begun)] == ["game.changed"] * 2)


def test_broken_streaks_and_ranks_are_told_to_who_asks(server: ServerProcess, bq: Project) -> None:
    bq.apply({**STREAK, **BOARD})
    freeze(bq, NOON)
    bq.send_sync(score("early", 9))
    wishes = "streak.broken,leaderboard.rank_changed"
    with opened(server.url, key(bq), type=wishes) as feed, opened(server.url, key(bq)) as other:
        fact = bq.send_sync(score("ada", 5)).json()["fact_id"]
        rank = feed.next()
        advance(bq, "P3D")
        broken = feed.next()
        again = bq.send_sync(event("login")).json()["fact_id"]
        assert [each.fact_id for each in (other.next(), other.next())] == [fact, again], "who didn't ask isn't told"
    assert (rank.type, rank.data["data"]["rank"], rank.data["data"]["previous_rank"]) == (
        "leaderboard.rank_changed",
        2,
        None,
    )
    assert (broken.type, broken.data["data"]["participant_id"], broken.data["data"]["fact_id"]) == (
        "streak.broken",
        "ada",
        fact,
    )
    assert broken.data["data"]["effect"]["occurred_at"] == "2026-03-04T00:00:00Z"
    assert [each.data["data"] for each in told(server, bq, type="streak.broken")] == [broken.data["data"]]
    assert told(server, bq, rank.id, type=wishes)[0] == broken, "who comes again goes on there"


def test_a_reset_is_told_whatever_was_chosen_and_takes_back_what_was_before(server: ServerProcess, bq: Project) -> None:
    before = bq.send_sync(event()).json()["fact_id"]
    with opened(server.url, key(bq), "0", type="badge.awarded", participant_id="nobody") as feed:
        assert bq.post("/sandbox/reset", {}).status_code == 200
        reset = feed.next()
    assert (reset.type, reset.data["data"]) == ("environment.reset", {"game_removed": False})
    after = bq.send_sync(event()).json()["fact_id"]
    found = told(server, bq)
    assert [each.type for each in found] == ["environment.reset", "fact.created"]
    assert found[1].fact_id == after != before
    assert [each.type for each in told(server, bq, reset.id)] == ["fact.created"]


def test_an_import_tells_of_its_game(server: ServerProcess, bq: Project) -> None:
    bq.apply(GAME)
    bq.send_sync(event(properties={"amount": 1}))
    story = bq.get("/sandbox/export").content
    bq.post("/sandbox/reset", {"game": True})
    begun = told(server, bq)[-1].id
    lines = {"Content-Type": "application/x-ndjson"}
    assert bq.request("POST", "/sandbox/import", content=story, headers=lines).status_code == 200
    assert [each.type for each in told(server, bq, begun)] == ["environment.reset", "game.changed", "fact.created"]


def test_no_environment_hears_of_another(server: ServerProcess, bq: Project, other_bq: Project) -> None:
    with opened(server.url, key(bq)) as feed:
        with bq.using("live") as live:
            live.send_sync(event("live"))
            live.apply(GAME)
        other_bq.send_sync(event("other"))
        other_bq.apply(GAME)
        bq.send_sync(event("mine"))
        assert feed.next().data["data"]["event_name"] == "mine"
    assert [each.data["data"]["event_name"] for each in told(server, bq)] == ["mine"]


@pytest.mark.parametrize("wrong", ["x", "1", "-1-0", "1-0-0", "1-", "0-0x", "9" * 19 + "-0", "1 - 0"])
def test_an_id_that_is_none_is_refused(bq: Project, wrong: str) -> None:
    problem = check(bq.request("GET", "/feed", headers={"Last-Event-ID": wrong}), Code.VALIDATION_FAILED)
    assert problem["errors"][0]["field"] == "Last-Event-ID"


@pytest.mark.parametrize("ahead", ["999999999999-0", "0-999999999999"])
def test_an_id_of_another_database_is_refused(bq: Project, ahead: str) -> None:
    problem = check(bq.request("GET", "/feed", headers={"Last-Event-ID": ahead}), Code.VALIDATION_FAILED)
    assert "another database" in problem["detail"]


def test_an_unknown_type_is_refused_with_those_there_are(bq: Project) -> None:
    problem = check(bq.get("/feed", type="badge.awarded,badge"), Code.VALIDATION_FAILED)
    assert problem["errors"][0]["field"] == "type.1"
    assert "'message.dead'" in problem["detail"]


def test_head_is_answered_at_once(bq: Project) -> None:
    answer = bq.request("HEAD", "/feed")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert "Content-Length" not in answer.headers


def test_messages_and_facts_are_listed_with_effects(bq: Project) -> None:
    bq.apply(GAME)
    sent = event(idempotency_key="k", properties={"amount": 3})
    message_id = bq.send(sent).json()["message_id"]
    bq.settled(message_id)
    (fact,) = bq.get("/facts", include="effects").json()["facts"]
    assert [each["type"] for each in fact["effects"]] == ["points", "badge"]
    (plain,) = bq.facts()
    assert fact == {**plain, "effects": fact["effects"]}
    message = bq.get(f"/ingest/messages/{message_id}", include="effects").json()
    assert message == {**bq.message(message_id), "effects": fact["effects"]}
    bq.send_sync(event("nothing"))
    assert bq.get("/facts", include="effects").json()["facts"][0]["effects"] == []
    check(bq.get("/facts", include="all"), Code.VALIDATION_FAILED)


@pytest.fixture
def own(data_dir: Path) -> Iterator[ServerProcess]:
    flags = ("--feed-heartbeat-seconds", "0.2", "--max-feeds", "3", "--max-feeds-per-key", "2")
    with ServerProcess(data_dir, *flags) as started:
        yield started
        assert "Traceback" not in started.log


def refused(server: ServerProcess, api_key: str) -> Json:
    return check(httpx.get(f"{server.url}/api/v1/feed", headers={"X-API-Key": api_key}), Code.TOO_MANY_FEEDS)


def opens(server: ServerProcess, api_key: str) -> bool:
    headers, query = {"X-API-Key": api_key}, {"follow": "false"}
    return httpx.get(f"{server.url}/api/v1/feed", headers=headers, params=query).status_code == 200


def made_key(server: ServerProcess, *flags: str) -> str:
    made = run("keys", "create", "--data-dir", str(server.data_dir), "--scope", "read", *flags)
    assert made.returncode == 0, made.stderr
    found = made.stdout.strip()
    until("the server knows the key", lambda: opens(server, found))
    return found


def test_feeds_are_bounded_and_who_goes_away_makes_room_at_once(own: ServerProcess) -> None:
    other = made_key(own, "--env", "test")
    with opened(own.url, own.key), opened(own.url, own.key):
        assert "2 feeds are open with this key" in refused(own, own.key)["detail"]
        with opened(own.url, other):
            assert "3 feeds are open" in refused(own, other)["detail"]
        until("the place is free again", lambda: opens(own, other))
    until("the places are free again", lambda: opens(own, own.key))


def test_silence_is_broken_and_a_revoked_key_ends_its_feed(own: ServerProcess) -> None:
    other = made_key(own, "--env", "test", "--name", "other")
    listed = run("keys", "list", "--data-dir", str(own.data_dir)).stdout
    (key_id,) = [line.split()[0] for line in listed.splitlines() if "other" in line]
    with opened(own.url, other) as feed, opened(own.url, own.key) as kept:
        feed.until_comment("alive")
        feed.until_comment("alive")
        assert run("keys", "revoke", key_id, "--data-dir", str(own.data_dir)).returncode == 0
        last = feed.next()
        assert (last.type, last.data["data"]["reason"]) == ("feed.ended", "key_ended")
        assert list(feed) == []
        kept.until_comment("alive")
    assert "feed.cut" in own.log


def test_feeds_end_with_a_word_when_the_server_stops_and_hold_nothing_up(own: ServerProcess) -> None:
    with opened(own.url, own.key) as feed:
        own.process.terminate()
        last = feed.next()
        assert (last.type, last.data["data"]["reason"]) == ("feed.ended", "server_stopping")
        assert list(feed) == []
    assert own.wait() == 0
