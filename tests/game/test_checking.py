"""Checking a game document: every mistake with its line and column, and never an exception."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bq_server.game import Game, check, compile_game, game_schema
from bq_server.game.document.check import MOST_MISTAKES

OBJECTIVE = {"code": "o", "on": "e", "target": 1}


def mistakes(text: str | bytes) -> list[str]:
    return [str(mistake) for mistake in check(text).mistakes]


def badge(criteria: str) -> str:
    return f"badges:\n  - code: b\n    name: B\n    criteria: {criteria}\n"


def tiers(*thresholds: int) -> str:
    rows = [f"- {{code: t{n}, name: T, level: {n}, min_points: {points}}}" for n, points in enumerate(thresholds)]
    return "\n".join(["tiers:", *rows])


def test_a_good_game_has_none() -> None:
    checked = check("badges: [{code: ünïcode 🏅, name: B, criteria: {on: [e, f], target: 3}}]")
    assert checked.mistakes == []
    assert checked.game is not None
    assert checked.game.badges[0].code == "ünïcode 🏅"


def test_yaml_words_and_dates_are_what_they_look_like() -> None:
    game = check("points: [{code: yes, on: off, award: 5, starts_at: 2026-04-01, ends_at: 2026-04-02T00:00:00Z}]").game
    assert game is not None
    (rule,) = game.points
    assert (rule.code, rule.on, rule.award) == ("yes", ["off"], "5")
    assert rule.starts_at is not None
    assert rule.starts_at.isoformat() == "2026-04-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            badge("{on: e, target: 1, agregate: sum}"),
            "4:34: error: badges[0].criteria.agregate: unknown key agregate; did you mean aggregate?",
        ),
        (
            badge("{on: e}"),
            "4:15: error: badges[0].criteria: needs target",
        ),
        (
            badge("{on: e, target: 0}"),
            "4:31: error: badges[0].criteria.target: should be greater than 0",
        ),
        (
            badge("{on: e, target: 1.5}"),
            "4:15: error: badges[0].criteria: the target of count must be a whole number",
        ),
        (
            badge("{on: e, target: 0.0000004, aggregate: sum, of: properties.a}"),
            "4:15: error: badges[0].criteria: the target must be at least 0.000001: amounts are counted in millionths",
        ),
        (
            badge("{on: e, levels: [1, 1.0000001], aggregate: max, of: properties.a}"),
            "4:15: error: badges[0].criteria: the levels must be at least 0.000001 apart: "
            "amounts are counted in millionths",
        ),
        (
            badge(f"{{on: e, target: 1, when: {'1' + '+1' * 400_000}}}"),
            "4:40: error: badges[0].criteria.when: String should have at most 1000 characters",
        ),
        (
            badge(f"{{on: e, target: 1, when: {'properties.a.' * 60_000}}}"),
            "4:40: error: badges[0].criteria.when: String should have at most 1000 characters",
        ),
        (
            badge("{on: e, target: 1, aggregate: sum}"),
            "4:15: error: badges[0].criteria: sum needs `of`: an expression for the value",
        ),
        (
            badge("{on: e, target: 1, when: properties.x >}"),
            "4:54: error: badges[0].criteria.when: CEL: the expression ends too early",
        ),
        (
            badge('{on: e, target: 1, when: "properties.x ) 1"}'),
            "4:54: error: badges[0].criteria.when: CEL: didn't expect ')'",
        ),
        (
            tiers(5, 5),
            "3:45: error: tiers[1].min_points: overlaps t0, which starts at the same points",
        ),
        (
            tiers(5, 4),
            "3:45: error: tiers[1].min_points: needs fewer points than t0, which is a lower level",
        ),
        (
            "badges:\n- {code: a, name: A}\n- {code: a, name: B}",
            "3:10: error: badges[1].code: the code a is used twice",
        ),
        (
            "badges:\n- {code: a/b, name: A}",
            "2:10: error: badges[0].code: must not contain slashes or control characters, or start or end with a space",
        ),
        (
            "points: []\npoints: []",
            "2:1: error: the key points is given twice",
        ),
        (
            "leaderboards: [{code: l, name: L, metric: pints}]",
            "1:43: error: leaderboards[0].metric: should be 'points'",
        ),
        (
            "leaderboards: [{code: l, name: L, metric: points, window: weakly}]",
            "1:59: error: leaderboards[0].window: should be 'daily', 'weekly', 'monthly', 'yearly' or 'all_time'",
        ),
        (
            "leaderboards:\n- {code: l, name: L, metric: points, window: {type: season, starts_at: 2026-04-01}}",
            "2:46: error: leaderboards[0].window: needs ends_at",
        ),
        (
            "leaderboards:\n- {code: l, name: L, metric: points,"
            " window: [weekly, {type: season, starts_at: 2026-04-01, ends_at: 2026-04-01}]}",
            "2:55: error: leaderboards[0].window[1]: starts_at must be before ends_at",
        ),
        (
            "leaderboards:\n- code: l\n  name: L\n  metric: points\n  window:\n"
            "  - {type: season, starts_at: 2026-04-01, ends_at: 2026-05-01}\n"
            "  - {type: season, starts_at: 2026-03-01, ends_at: 2026-04-02}\n",
            "6:31: error: leaderboards[0].window[0].starts_at: is before the season before it has ended",
        ),
        (
            "leaderboards: [{code: l, name: L, metric: points, timezone: Mars/Base}]",
            "1:61: error: leaderboards[0].timezone: must be an IANA time zone such as Europe/Paris",
        ),
        (
            badge("{on: e, target: 1, aggregate: min, of: properties.x}"),
            "4:45: error: badges[0].criteria.aggregate: should be",
        ),
        (
            "streaks: [{code: s, on: e, timezone: Mars/Base}]",
            "1:38: error: streaks[0].timezone: must be an IANA time zone such as Europe/Paris",
        ),
        (
            "a: [1",
            "2:1: error: the document is not YAML: did not find expected ',' or ']'",
        ),
        (
            "badges: !!python/object:os.system [{}]",
            "1:9: error: the tag",
        ),
        (
            "[]",
            "1:1: error: the document must be a mapping with points, badges, challenges, …",
        ),
        (
            "",
            "1:1: error: the document must be a mapping with points, badges, challenges, …",
        ),
        (
            b"badges: []\n\xff",
            "2:1: error: the document is not UTF-8",
        ),
        (
            "\x07",
            "1:1: error: the document contains a control character",
        ),
    ],
)
def test_a_mistake_has_its_place(text: str | bytes, expected: str) -> None:
    assert mistakes(text)[0].startswith(expected)
    assert check(text).game is None


def test_every_mistake_is_told_at_once_also_between_definitions() -> None:
    text = """
badges:
  - {code: b, name: B, rarity: golden}
challenges:
  - code: c
    name: C
    objectives:
      - {code: a, on: e, target: 1, prerequisites: [b]}
      - {code: b, on: e, target: 1, prerequisites: [a, z]}
    rewards: [{badge: b}, {badge: nobody}]
    milestones: [{at: 0.5, rewards: [{points: 1}]}, {at: 0.5, rewards: [{points: 1}]}]
extra: 1
"""
    assert mistakes(text) == [
        "3:32: error: badges[0].rarity: should be 'common', 'rare', 'epic' or 'legendary'",
        "8:52: error: challenges[0].objectives[0].prerequisites: the objective a waits for itself",
        "9:52: error: challenges[0].objectives[1].prerequisites: the objective b waits for itself",
        "9:56: error: challenges[0].objectives[1].prerequisites[1]: there is no objective z in this challenge",
        "10:35: error: challenges[0].rewards[1].badge: there is no badge nobody",
        "11:58: error: challenges[0].milestones[1].at: there are two milestones at 0.5",
        "12:1: error: extra: unknown key extra",
    ]


def test_a_block_of_cel_is_pointed_into() -> None:
    text = badge(
        "\n      on: e\n      target: 1\n      when: |\n        properties.a > 1.0 &&\n        properties.b > ]"
    )
    assert mistakes(text) == ["9:24: error: badges[0].criteria.when: CEL: didn't expect ']'"]


def test_unknown_names_are_found_before_any_event_is() -> None:
    assert mistakes(badge("{on: e, target: 1, when: amount > 1.0}")) == [
        "4:40: error: badges[0].criteria.when: CEL: there is no amount; a property is properties.amount, and there are "
        "event_name, participant_id, properties, occurred_at and participant"
    ]
    assert mistakes(badge("{on: e, target: 1, when: 'properties.l.exists(i, i > 1.0)'}")) == []
    assert "there is no function floor" in mistakes(badge("{on: e, target: 1, when: 'floor(properties.x) > 1.0'}"))[0]


@pytest.mark.parametrize(
    ("award", "warns"),
    [
        ("properties.amount * 2", True),
        ("2 * properties.amount", True),
        ('properties["amount"] / 100', True),
        ("properties.a.b - 1", True),
        ("properties.amount * 2.0", False),
        ("int(properties.amount) * 2", False),
        ("properties.list[2] * 1.0", False),
        ("properties.amount > 2.0 ? 1 : 2", False),
        ("size('properties.a * 2')", False),
    ],
)
def test_integers_in_arithmetic_with_properties_are_warned_of(award: str, warns: bool) -> None:
    checked = check(json.dumps({"points": [{"code": "p", "on": "e", "award": award}]}))
    assert checked.game is not None
    assert bool(checked.warnings) == warns


def test_json_is_read_as_json() -> None:
    text = json.dumps({"badges": [{"code": "🏅", "name": "tab\t/", "rarity": "x"}]}, indent="\t").replace("/", "\\/")
    assert mistakes(text) == ["6:14: error: badges[0].rarity: should be 'common', 'rare', 'epic' or 'legendary'"]


@pytest.mark.parametrize(
    "text",
    [
        "- " * 100_000,
        "[" * 100_000,
        "{a: " * 50_000,
        '{"a":' * 50_000,
        "? " * 100_000,
        "&a [*a]",
        "\n".join([f"k{n}: &k{n} [{','.join([f'*k{n - 1}'] * 20)}]" if n else "k0: &k0 [x]" for n in range(8)]),
        "x" * 2_000_000,
        "a: " + "9" * 10_000,
        "--- 1\n--- 2",
        "badges: [{code: 1e999, name: .inf}]",
        "badges: {badges: {badges: []}}",
        "points: [[[[]]]]",
        '{"badges": [{"code": "\\ud800"}]}',
    ],
)
def test_evil_documents_are_refused_quietly(text: str) -> None:
    checked = check(text)
    assert checked.game is None
    assert checked.errors


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_raises(text: str | bytes) -> None:
    check(text)


def test_thousands_of_mistakes_are_not_compared_with_one_another() -> None:
    document = "".join(f"unknown_{number}: 1\n" for number in range(5_000))
    assert len(check(document).errors) == MOST_MISTAKES


def test_a_document_given_as_data_is_held_to_the_same_rules() -> None:
    with pytest.raises(ValidationError, match="there is no badge nobody"):
        Game.model_validate(
            {"streaks": [{"code": "s", "on": "e", "milestones": [{"at": 1, "rewards": [{"badge": "nobody"}]}]}]}
        )


def test_a_game_written_as_json_reads_back_the_same() -> None:
    game = check(
        "points: [{code: p, on: e, award: 2}]\n"
        "challenges: [{code: c, name: C, duration: {type: fixed, starts_at: 2026-04-01, ends_at: 2026-04-02},"
        " objectives: [{code: o, on: e, target: 2.0}]}]\n"
        "leaderboards: [{code: l, name: L, metric: {on: e}, window: weekly}]"
    ).game
    assert game is not None
    again = check(game.model_dump_json()).game
    assert again == game
    assert [compile_game(each).rules["challenge/c"].is_current for each in (game, again)]


def test_the_schema_completes_what_the_document_takes() -> None:
    schema = game_schema()
    kinds = {"points", "badges", "challenges", "streaks", "tiers", "leaderboards", "rewards", "contests"}
    assert set(schema["properties"]) == {*kinds, "currencies", "overdraft", "points_expire", "transfers"}
    on = schema["$defs"]["PointsRule"]["properties"]["on"]
    assert {each["type"] for each in on["anyOf"]} == {"string", "array"}
