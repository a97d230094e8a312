"""What the modes see, and what they must not: stories apart, paths that differ, the order of events."""

import threading
from typing import Any

import pytest

from harness.client import Client, Clock, Unreachable
from harness.plain_http import PlainHttp
from harness.stories import story_run
from harness.stories.documents import load
from harness.stories.exported import Exported
from harness.stories.outcomes import MODES, Mode, StoryOutcome
from harness.stories.snapshots import Snapshot, compare_snapshots
from harness.stories.story_run import play
from tests.harness.told_stories import EXPECTATIONS, GAME, STORY, Teller


def test_stories_do_not_see_each_other(told: Teller) -> None:
    assert told.failures(STORY + EXPECTATIONS) == []
    empty = (
        "  - expect: {facts: 0, duplicates: 0, dead: 0, warnings: []}\n  - expect: {participant: ada, exists: false}"
    )
    assert told.failures(f"name: x\nsteps:\n{empty}\n") == []
    assert told.client.clock.now() > "2026-06"
    assert told.client.call("GET", "/gamify/admin/game")["game"] == {}


@pytest.mark.parametrize("mode", MODES)
def test_a_server_that_is_gone_fails_the_story(told: Teller, monkeypatch: pytest.MonkeyPatch, mode: Mode) -> None:
    story = "name: x\nsteps: [{send: {event_name: buy, participant_id: ada}}, {advance: P1D}]\n"
    told.path.write_text(story, "utf-8")
    with Client("http://127.0.0.1:9", "bq_test_") as nobody:
        outcome = play(load(told.path), nobody, mode)
    assert "can't be reached" in outcome.failures[0].text

    def gone(*_: object) -> None:
        raise Unreachable("the server is gone")

    monkeypatch.setattr(Clock, "advance", gone)
    outcome = told(story, mode)
    assert outcome.failures[0].text.startswith(f"{told.path}:2: step 2, advance")
    assert outcome.failures[0].text.endswith("the server is gone")


def test_both_sees_paths_that_mean_different_things(told: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    send_sync = Client.send_sync

    def changed(client: Client, event: dict[str, object], **more: Any) -> object:
        return send_sync(client, event | {"properties": {"amount": 7, "currency": "EUR"}}, **more)

    story = f"name: x\ngame:\n{GAME}\nsteps:\n  - send: {{event_name: buy, participant_id: ada}}\n"
    assert told.failures(story, "both") == []
    monkeypatch.setattr(Client, "send_sync", changed)
    (text,) = told.failures(story, "both")
    assert "the two plays did not come to the same" in text
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "ada.points.balance 0 7" in rows
    assert any(row.startswith("leaderboard points, all_time") for row in rows), rows


def referral(code: str, *, by: str = "ada", made: str = "09:00", used: str | None = None) -> Snapshot:
    """The facts of two codes, and that Bob came by the first, or by another one."""
    told = [
        ("system.referral_code_made", by, {"code": code, "campaign_id": None}, made),
        ("system.referral_code_made", "cyd", {"code": f"{code}-other", "campaign_id": None}, made),
        ("system.participant_referred", "bob", {"referrer_id": by, "code": used or code}, "10:00"),
    ]
    facts = [
        {
            "fact_id": f"fact_{number}",
            "fact_type": kind,
            "participant_id": who,
            "properties": properties,
            "occurred_at": f"2026-04-02T{at}:00Z",
            "warnings": [],
        }
        for number, (kind, who, properties, at) in enumerate(told)
    ]
    return Snapshot(Exported(facts=facts))


@pytest.mark.parametrize("any_order", [False, True])
def test_codes_drawn_at_random_may_differ_but_not_whose_they_are(any_order: bool) -> None:
    def differences(other: Snapshot) -> int:
        return len(list(compare_snapshots(referral("k1"), other, any_order=any_order)))

    assert differences(referral("k2")) == 0
    assert differences(referral("k2", used="k2-other")) == 2, "one is missing and one too many"
    assert differences(referral("k2", used="k1")) == 2, "a code that nobody made there"
    assert differences(referral("k2", by="eve")) == 4
    assert differences(referral("k2", made="09:30")) == 6


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The last part of the path of each request."""
    found: list[str] = []
    request = PlainHttp.request

    def noted(http: PlainHttp, method: str, path: str, *rest: Any) -> Any:
        found.append(path.rpartition("/")[2])
        return request(http, method, path, *rest)

    monkeypatch.setattr(PlainHttp, "request", noted)
    return found


def test_what_comes_by_hand_does_not_overtake_events(told: Teller, requests: list[str]) -> None:
    story = f"""\
name: x
game:
{GAME}
steps:
  - {{batch: [{{event_name: buy, participant_id: ada, properties: {{amount: 9, currency: EUR}}}}]}}
  - take: {{participant: ada, points: 9}}
  - expect: {{participant: ada, points: 0}}
"""
    assert told.failures(story) == []
    assert requests == ["reset", "game", "batch", "drain", "deduct", "drain", "state"]


def test_nothing_waits_for_what_a_clock_has_waited_for(told: Teller, requests: list[str]) -> None:
    story = """\
name: x
clock: 2026-04-02T09:00:00Z
steps:
  - {send: {event_name: buy, participant_id: ada}}
  - {advance: P1D}
  - {expect: {participant: ada, facts: 1}}
  - {expect: {facts: 1}}
"""
    assert told.failures(story) == []
    assert requests == ["reset", "events", "advance", "state", "drain"]


def test_a_run_that_is_closed_plays_no_further(told: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    told.path.write_text("name: x\nsteps: [{advance: P1D}]\n", "utf-8")
    scenario = load(told.path)
    played = []

    def slow(*_: object) -> StoryOutcome:
        played.append(1)
        threading.Event().wait(0.01)  # as long as a play takes
        return StoryOutcome(scenario.name, scenario.path, "stream", 1)

    monkeypatch.setattr(story_run, "play", slow)
    outcomes = story_run.run([scenario] * 1000, [story_run.ServerUnderTest("http://127.0.0.1:9", "bq_test_")])
    assert next(outcomes).passed
    outcomes.close()
    assert len(played) < 1000


def test_no_event_may_come_to_nothing(told: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    drain = Client.drain
    monkeypatch.setattr(Client, "drain", lambda client: drain(client) | {"dead": 2})
    story = "name: x\nsteps:\n  - send: {event_name: buy, participant_id: ada}\n"
    assert told.failures(story) == [": accepted events that could not be processed, dead letters: 2"]
    assert told.failures(story + "  - expect: {dead: 2}\n") == []
    assert len(told.failures(story + "  - expect: {dead: 0}\n")) == 2


def test_the_newest_zone_is_the_participants(told: Teller) -> None:
    story = """\
name: x
clock: 2026-04-02T09:00:00Z
steps:
  - profile: {participant: ada, timezone: Asia/Tokyo}
  - clock: 2026-04-02T09:00:00.5Z
  - profile: {participant: ada, timezone: Europe/Paris}
  - profile: {participant: ada, timezone: UTC}
  - profile: {participant: ada, timezone: Europe/Lisbon}
  - expect: {participant: ada, timezone: Europe/Lisbon, facts: 0}
"""
    assert [told(story, mode).failures for mode in MODES] == [()] * 4


def test_both_allows_that_an_award_keeps_the_time_first_given(told: Teller) -> None:
    # By the stream the batch is folded in order; by sync the earlier event comes after the badge was given.
    story = f"""\
name: x
clock: 2026-04-12T09:00:00Z
game:
{GAME}
steps:
  - batch:
      - {{event_name: buy, participant_id: ada, timestamp: 2026-04-10T09:00:00Z}}
      - {{event_name: buy, participant_id: ada, timestamp: 2026-04-09T09:00:00Z}}
  - expect: {{participant: ada, badges: [first], streaks: {{daily: {{longest: 2}}}}}}
"""
    assert told.failures(story, "both") == []
    ends = []
    for mode in ("stream", "sync"):
        assert told.failures(story, mode) == []
        ends.append(told.client.state("ada")["badges"][0]["earned_at"])
    assert ends == ["2026-04-09T09:00:00Z", "2026-04-10T09:00:00Z"]


ORDERED = """\
name: The story's end depends on the order of sending
IN_ORDER
game:
  challenges:
    - code: once
      name: Once
      duration: {type: rolling, days: 1}
      objectives: [{code: buys, on: buy, target: 2}]
steps:
  - send: {event_name: buy, participant_id: ada, timestamp: 2026-04-01T00:00:00Z}
  - send: {event_name: buy, participant_id: ada, timestamp: 2026-04-03T00:00:00Z}
  - send: {event_name: buy, participant_id: ada, timestamp: 2026-04-03T01:00:00Z}
  - expect: {participant: ada, challenges: {once: {progress: 0.5}}}
"""


def test_shuffled_sees_what_depends_on_the_order(told: Teller) -> None:
    story = ORDERED.replace("IN_ORDER\n", "")
    outcomes = [told(story, "shuffled", seed) for seed in range(12)]
    failed = [outcome for outcome in outcomes if not outcome.passed]
    assert failed
    assert "ada.challenges.once.status" in failed[0].failures[0].text
    assert f"shuffled, seed {failed[0].seed}" in failed[0].failures[0].text
    again = told(story, "shuffled", failed[0].seed)
    assert [failure.text for failure in again.failures] == [failure.text for failure in failed[0].failures]
    kept = ORDERED.replace("IN_ORDER", "in_order: a window that was completed stays so")
    assert [told(kept, "shuffled", seed).failures for seed in range(12)] == [()] * 12


def test_shuffled_keeps_what_came_by_hand_in_its_place(told: Teller) -> None:
    story = f"""\
name: Only the events between are shuffled
clock: 2026-04-02T09:00:00Z
game:
{GAME}
steps:
  - send: {{event_name: buy, participant_id: ada}}
  - send: {{event_name: buy, participant_id: ada}}
  - enroll: {{participant: ada, challenge: marathon}}
  - send: {{event_name: buy, participant_id: ada}}
  - {{give: {{participant: ada, points: 30}}}}
  - take: {{participant: ada, points: 25}}
  - advance: P2D
  - {{send: {{event_name: buy, participant_id: ada, idempotency_key: k}}, times: 5}}
  - expect: {{participant: ada, facts: 4, points: 5, challenges: {{marathon: {{objectives: {{run: 2}}}}}}}}
"""
    assert [told(story, "shuffled", seed).failures for seed in range(3)] == [()] * 3


def test_shuffled_stays_within_the_second_that_the_clock_shows(told: Teller) -> None:
    # In the last microsecond of a day there is room only before it.
    story = """\
name: The day is not over yet
clock: 2026-04-02T23:59:59.999999Z
game:
  streaks: [{code: daily, on: buy, grace_period_hours: 0}]
  challenges:
    - code: first_look
      name: First look, then buy
      objectives: [{code: look, on: look, target: 1}, {code: buy, on: buy, target: 2, prerequisites: [look]}]
steps:
  - send: {event_name: buy, participant_id: ada}
  - send: {event_name: look, participant_id: ada}
  - send: {event_name: buy, participant_id: ada}
  - profile: {participant: ada, display_name: Ada}
  - send: {event_name: look, participant_id: ada}
  - expect:
      participant: ada
      streaks: {daily: {current: 1}}
      challenges: {first_look: {objectives: {buy: 1}}}
  - advance: PT0.000001S
  - send: {event_name: buy, participant_id: ada}
  - expect: {participant: ada, streaks: {daily: {current: 2}}, challenges: {first_look: {status: completed}}}
"""
    assert [told(story, "shuffled", seed).failures for seed in range(6)] == [()] * 6
