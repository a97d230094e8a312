"""Playing stories against a real server: every step, every expectation, holding and not, in every mode."""

import pytest

from harness.client import Client, Refused
from harness.stories.outcomes import MODES, Mode
from tests.harness.told_stories import EXPECTATIONS, GAME, STORY, Teller


@pytest.mark.parametrize("mode", MODES)
def test_a_story_of_every_step_and_expectation_holds(told: Teller, mode: Mode) -> None:
    assert told.failures(STORY + EXPECTATIONS, mode) == []


@pytest.mark.parametrize(
    ("expectation", "rows"),
    [
        ("participant: zoe, facts: 1", ["exists  true  false"]),
        ("participant: ada, exists: false", ["exists  false  true"]),
        ("participant: ada, facts: 4", ["facts  4  3"]),
        ("participant: ada, points: 670", ["points.balance  670  590"]),
        (
            "participant: bob, points: {balance: 1, total_earned: 112, total_spent: 3}",
            ["points.balance  1  50", "points.total_earned  112  62", "points.total_spent  3  12"],
        ),
        ("participant: ada, badges: [first, friend]", ['badges  ["first", "friend"]  ["champion", "first"]']),
        ("participant: ada, tier: null", ["tier  null  bronze"]),
        ("participant: ada, tier: silver", ["tier  silver  bronze"]),
        (
            "participant: ada, challenges: {marathon: {status: completed, progress: 0.2, objectives: {run: 2}}}",
            [
                "challenges.marathon.status  completed  active",
                "challenges.marathon.progress  0.2  0.1",
                "challenges.marathon.objectives.run  2  1",
            ],
        ),
        (
            "participant: bob, challenges: {spring: {milestones: [0.5]}, marathon: {status: active}}",
            ["challenges.spring.milestones  [0.5]  []", "challenges.marathon.status  active  not_enrolled"],
        ),
        (
            "participant: ada, streaks: {daily: {current: 1, longest: 3, at_risk: true}}",
            [
                "streaks.daily.current  1  2",
                "streaks.daily.longest  3  2",
                "streaks.daily.at_risk  true  false",
            ],
        ),
        ("participant: eve, streaks: {daily: {current: 1}}", ["streaks.daily.current  1  0"]),
        (
            "participant: ada, leaderboards: {spenders: {rank: 2, score: 3}, points: null}",
            [
                "leaderboards.spenders.rank  2  1",
                "leaderboards.spenders.score  3  42.5",
                'leaderboards.points  null  {"rank": 1, "score": 590}',
            ],
        ),
        ("participant: eve, leaderboards: {points: {rank: 3}}", ['leaderboards.points  {"rank": 3}  null']),
        ("participant: ada, timezone: Europe/Paris", ["timezone  Europe/Paris  Asia/Tokyo"]),
        ("facts: 11, dead: 1", ["facts  11  10", "dead  1  0"]),
        ("duplicates: 9", ["duplicates  9  0"]),
        ("warnings: [points/spend]", ['warnings  ["points/spend"]  []']),
        (
            "leaderboard: {code: spenders, entries: [{participant: bob, rank: 1}]}",
            [
                'leaderboard.spenders[0]  {"participant": "bob", "rank": 1}  {"participant": "ada", "rank": 1}',
                'leaderboard.spenders[1]  null  {"participant": "bob", "rank": 2, "score": 42.5, "change": "new"}',
            ],
        ),
    ],
)
def test_an_expectation_that_does_not_hold(told: Teller, expectation: str, rows: list[str]) -> None:
    (text,) = told.failures(STORY + f"  - expect: {{{expectation}}}\n")
    first, heading, *rest = text.splitlines()
    assert first.startswith(":59: step 16, expect")
    assert first.endswith(": not as expected")
    assert heading.split() == ["expected", "actual"]
    table, explained = rest, []
    if "" in rest:
        table, explained = rest[: rest.index("")], rest[rest.index("") + 1 :]
    assert [" ".join(line.split()) for line in table] == [" ".join(row.split()) for row in rows]
    # The values of the rows stand under their headings.
    assert rest[0].index(rows[0].split("  ")[1]) == heading.index("expected")
    assert bool(explained) == expectation.startswith("participant:")


def test_what_a_dry_run_says(told: Teller) -> None:
    event = "{event_name: buy, participant_id: ada, properties: {amount: 1, currency: USD}}"
    verdicts = (
        "[{definition: points/spend, verdict: condition_false}, {definition: badge/first, verdict: already_complete}]"
    )
    assert (
        told.failures(
            STORY
            + f"  - expect: {{event: {event}, verdicts: {verdicts}}}\n  - expect: {{participant: ada, facts: 3}}\n"
        )
        == []
    )
    wrong = "[{definition: points/spend, verdict: matched}]"
    (text,) = told.failures(STORY + f"  - expect: {{event: {event}, verdicts: {wrong}}}\n")
    first, missing, said, *_ = text.splitlines()
    assert first.endswith(": a dry run doesn't say what was expected")
    assert missing == '    missing  {"definition": "points/spend", "verdict": "matched"}'
    assert said == '    told     {"definition": "points/spend", "verdict": "condition_false"}'


@pytest.mark.parametrize("mode", MODES)
def test_what_fails_is_told_in_every_mode(told: Teller, mode: Mode) -> None:
    outcome = told(STORY + "  - expect: {participant: ada, points: 1}\n", mode)
    assert not outcome.passed
    assert {(failure.step, failure.line) for failure in outcome.failures} == {(16, 59)}
    assert len(outcome.failures) == (2 if mode == "both" else 1)


def test_why_a_participant_stands_there(told: Teller) -> None:
    (text,) = told.failures(STORY + "  - expect: {participant: ada, points: 1}\n")
    _, explanation = text.split("\n\n")
    assert [line.strip() for line in explanation.splitlines()] == [
        "what the facts of ada meant to the rules:",
        '2026-04-02T09:00:00Z  system.timezone_changed  {"timezone": "Asia/Tokyo"}',
        "2026-04-02T09:00:00Z  visit",
        "applied: challenge/spring:visit (1 of 1)",
        '2026-04-02T09:00:00Z  buy  {"amount": 40, "currency": "EUR"}',
        "applied: points/spend, badge/first (1 of 1), challenge/spring:buy2 (1 of 2), "
        "streak/daily, leaderboard/spenders",
        "didn't apply: challenge/marathon:run (0 of 10): not enrolled by then",
        '2026-04-02T09:00:00Z  system.challenge_enrolled  {"challenge_code": "marathon"}',
        '2026-04-03T09:00:00Z  buy  {"amount": 2.5, "currency": "USD"}',
        "applied: challenge/spring:buy2 (2 of 2), challenge/marathon:run (1 of 10), streak/daily, leaderboard/spenders",
        'didn\'t apply: points/spend: its condition is false: properties.currency == "EUR"',
        "didn't apply: badge/first (1 of 1): it was complete already",
    ]


STEPS_THAT_FAIL = [
    ("send: {event_name: buy}", "send buy: was refused: 422 validation_failed: participant_id: is required"),
    ("batch: [{event_name: buy}]", "batch: not the events expected were rejected"),
    ("enroll: {participant: ada, challenge: marathon}", None),
    ("advance: P9999999D", "advance: was refused: 422"),
    ("clock: 0001-01-01T00:00:00Z", "clock: was refused: 422"),
    ("take: {participant: ada, points: 1}", "take: was refused: 400 insufficient_points"),
    ("give: {participant: ada, points: -1}", "give: was refused: 422"),
    ("profile: {participant: ada, timezone: Mars/Olympus}", "profile: was refused: 422"),
]


@pytest.mark.parametrize(("step", "failure"), STEPS_THAT_FAIL)
def test_a_step_that_is_refused(told: Teller, step: str, failure: str | None) -> None:
    story = f"name: x\nclock: 2026-04-02T09:00:00Z\ngame:\n{GAME}\nsteps:\n  - {step}\n  - expect: {{facts: 9}}\n"
    line = story[: story.index("  - " + step)].count("\n") + 1
    failures = told.failures(story)
    if failure is None:
        assert len(failures) == 1
        assert "expect" in failures[0]
    else:
        assert failures[0].startswith(f":{line}: step 1, {failure}")
        # A story goes on after batches that were taken in part, and else ends with what could not be done.
        assert len(failures) == (2 if "rejected" in failure else 1)


@pytest.mark.parametrize(
    ("step", "rows"),
    [
        ("{send: {event_name: buy, participant_id: ada}, refused: {status: 422}}", None),
        ("{send: {event_name: buy}, refused: {status: 409}}", ["status 409 422"]),
        ("{send: {event_name: buy}, refused: {code: not_found}}", ["code not_found validation_failed"]),
        ("{send: {event_name: buy}, refused: {field: event_name}}", ['field event_name ["participant_id"]']),
        ("{take: {participant: ada, points: 5}, refused: {status: 422}}", ["status 422 400"]),
    ],
)
@pytest.mark.parametrize("mode", ["stream", "sync"])
def test_a_refusal_that_does_not_come_or_is_another(
    told: Teller, mode: Mode, step: str, rows: list[str] | None
) -> None:
    (text,) = told.failures(f"name: x\nsteps:\n  - {step}\n", mode)
    first, *rest = text.splitlines()
    if rows is None:
        assert first == ':3: step 1, send buy: was accepted, and had to be refused: {"status": 422}'
    else:
        assert "was refused otherwise" in first
        assert [" ".join(line.split()) for line in rest[1:]] == rows


@pytest.mark.parametrize("mode", ["stream", "sync"])
@pytest.mark.parametrize(
    ("rejected", "rows"),
    [
        ("[{index: 1}]", []),
        ("[{index: 1, field: participant_id, code: missing}]", []),
        ("[]", ["batch[1] accepted rejected: participant_id missing: is required"]),
        ("[{index: 0}, {index: 1}]", ["batch[0] rejected accepted"]),
        ("[{index: 1, code: odd}, {index: 1}]", ['batch[1] {"code": "odd"} participant_id missing: is required']),
        ("[{index: 1, code: missing}, {index: 1}]", ["batch[1] {} participant_id missing: is required"]),
        ("[{index: 1, code: odd}]", ['batch[1] {"code": "odd"} participant_id missing: is required']),
    ],
)
def test_exactly_those_events_of_a_batch_are_rejected(told: Teller, mode: Mode, rejected: str, rows: list[str]) -> None:
    batch = "[{event_name: buy, participant_id: ada}, {event_name: buy}]"
    found = told.failures(f"name: x\nsteps:\n  - {{batch: {batch}, rejected: {rejected}}}\n", mode)
    assert [" ".join(line.split()) for text in found for line in text.splitlines()[2:]] == rows


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_of_which_nothing_is_accepted(told: Teller, mode: Mode) -> None:
    for told_so in ("refused: {status: 422}", "rejected: [{index: 0, field: participant_id}]"):
        assert told.failures(f"name: x\nsteps:\n  - batch: [{{event_name: buy}}]\n    {told_so}\n", mode) == []


@pytest.mark.parametrize("mode", ["stream", "sync"])
def test_what_an_event_caused_is_looked_up(told: Teller, mode: Mode) -> None:
    story = f"name: x\ngame:\n{GAME}\nsteps:\n  - send: {{event_name: buy, participant_id: ada}}\n    caused: %s\n"
    assert told.failures(story % "[{type: badge, code: first}]", mode) == []
    (text,) = told.failures(story % "[{type: badge, code: champion}]", mode)
    assert 'missing  {"type": "badge", "code": "champion"}' in text
    assert '"code": "first"' in text
    (text,) = told.failures(story % "[{type: badge}, {type: badge, code: first}]", mode)
    assert 'missing  {"type": "badge", "code": "first"}' in text
    (text,) = told.failures(story % "[]", mode)
    assert "it didn't cause what was expected" in text


@pytest.mark.parametrize("mode", MODES)
def test_what_is_repeated_under_one_key_has_its_effects_once(told: Teller, mode: Mode) -> None:
    story = """\
name: x
game: {points: [{code: p, on: buy, award: 20}]}
steps:
  - send: {event_name: buy, participant_id: ada, idempotency_key: KEY}
    times: 2
    caused: EFFECTS
"""
    one, two = "[{type: points, amount: 20}]", "[{type: points, amount: 20}, {type: points, amount: 20}]"
    once, twice = story.replace("KEY", "k"), story.replace(", idempotency_key: KEY", "")
    assert told.failures(once.replace("EFFECTS", one), mode) == []
    failures = told.failures(once.replace("EFFECTS", two), mode)
    assert len(failures) == (2 if mode == "both" else 1)
    assert all(text.count("caused   ") == 1 and text.count("missing  ") == 1 for text in failures)
    assert told.failures(twice.replace("EFFECTS", two), mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_mistake_of_the_harness_is_a_failure_of_the_scenario(
    told: Teller, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("total_events")

    monkeypatch.setattr(Client, "drain", broken)
    story = "name: x\nsteps: [{send: {event_name: buy, participant_id: ada}}, {expect: {facts: 1}}]\n"
    assert told.failures(story, mode) == [f" [{mode}]: the harness failed: KeyError: 'total_events'"]


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ("{event_name: buy, participant_id: [a]}", "participant_id"),
        ("{event_name: buy, participant_id: a, idempotency_key: {a: 1}}", "idempotency_key"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_an_event_that_is_none_is_refused_in_every_mode(told: Teller, mode: Mode, event: str, field: str) -> None:
    failures = told.failures(f"name: x\nsteps:\n  - send: {event}\n", mode)
    assert failures
    assert all(f"was refused: 422 validation_failed: {field}: " in text for text in failures)
    assert told.failures(f"name: x\nsteps:\n  - {{batch: [{event}], rejected: [{{index: 0}}]}}\n", mode) == []


SEPARATORS = "".join(map(chr, (0x85, 0x2028, 0x2029, 0x1C, 0x1D, 0x1E, 0x0B, 0x0C)))


def test_lines_of_an_export_end_where_json_says(client: Client) -> None:
    said = f"a{SEPARATORS}é" * 300
    client.reset(game=True)
    client.send_batch([{"event_name": "buy", "participant_id": "ada", "properties": {"said": said}}] * 100)
    client.drain()
    exported = list(client.export())
    assert len("".join(exported).encode()) > 2**19  # which comes in many pieces
    assert sum('"said"' in line for line in exported) == 100
    assert all(line.startswith("{") and line.endswith("}") for line in exported)
    client.reset(game=True)
    client.import_lines(exported)
    assert [fact["properties"] for fact in client.facts()] == [{"said": said}] * 100


@pytest.mark.parametrize("mode", MODES)
def test_an_event_may_hold_what_ends_a_line_elsewhere(told: Teller, mode: Mode) -> None:
    story = """\
name: x
steps:
  - send: {event_name: buy, participant_id: ada, properties: {said: "a\\N\\L\\Pb"}}
  - expect: {participant: ada, facts: FACTS}
"""
    assert told.failures(story.replace("FACTS", "1"), mode) == []
    assert all("not as expected" in text for text in told.failures(story.replace("FACTS", "2"), mode))


@pytest.mark.parametrize("participant", [".", "..", "a/b", "a.b", "%2E", "é ?#"])
def test_a_participant_may_be_called_anything(told: Teller, participant: str) -> None:
    there, gone = (f"  - expect: {{participant: '{participant}', exists: {exists}}}\n" for exists in ("true", "false"))
    story = f"name: x\nsteps:\n  - send: {{event_name: buy, participant_id: '{participant}'}}\n"
    assert told.failures(f"name: x\nsteps:\n{gone}") == []
    assert told.failures(story + there, "both") == []
    assert len(told.failures(story + gone)) == 1


def test_only_the_server_says_that_nobody_is_there(told: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise Refused(404, {"detail": "no such page"})

    monkeypatch.setattr(Client, "state", lost)
    (text,) = told.failures("name: x\nsteps: [{expect: {participant: ada, exists: false}}]\n")
    assert text.endswith("was refused: 404 : no such page")


def test_a_game_in_the_middle_counts_from_there(told: Teller) -> None:
    story = """\
name: x
game: {points: [{code: a, on: buy, award: 1}]}
steps:
  - {send: {event_name: buy, participant_id: ada}, times: 2}
  - game: {points: [{code: a, on: buy, award: 1}, {code: b, on: buy, award: 100}]}
    backfill: BACKFILL
  - send: {event_name: buy, participant_id: ada}
  - expect: {participant: ada, points: POINTS}
"""
    for mode in MODES:
        assert told.failures(story.replace("BACKFILL", "false").replace("POINTS", "103"), mode) == []
        assert told.failures(story.replace("BACKFILL", "true").replace("POINTS", "303"), mode) == []
    (text,) = told.failures(story.replace("BACKFILL", "false").replace("POINTS", "303"))
    assert text.count("didn't apply: points/b: outside its time") == 2
