"""The order of the feed: facts and notices as they were committed, however they are cut into pages."""

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from bq_server.api.schemas.feed import ChosenType, FeedType
from bq_server.cli.words import in_brief
from bq_server.exact_json import dumps
from bq_server.game.effects import EFFECTS, packed
from bq_server.processing.event_types import EVENT_TYPES, event_type_of, type_of_shown
from bq_server.store.facts import StoredFact
from bq_server.store.feed import MOST_CHARACTERS, FactHappened, Position, _merged


def fact(seq: int, size: int = 2) -> StoredFact:
    texts: dict[str, Any] = dict.fromkeys(StoredFact._fields, "")
    return StoredFact(**{**texts, "seq": seq, "properties": "x" * size})


def notice(after_seq: int, number: int) -> tuple[Any, ...]:
    return (after_seq, number, "game.changed", None, None, 0, dumps({"version": number}))


@given(st.lists(st.sampled_from(["fact", "large", "notice"]), max_size=30), st.integers(1, 7))
def test_every_page_size_tells_all_in_the_order_of_commits(history: list[str], limit: int) -> None:
    facts: list[StoredFact] = []
    notices: list[tuple[Any, ...]] = []
    expected: list[Position] = []
    seq = 0
    for kind in history:
        if kind == "notice":
            notices.append(notice(seq, len(notices) + 1))
            expected.append(Position(seq, len(notices)))
        else:
            seq += 3  # other environments have the numbers between
            facts.append(fact(seq, MOST_CHARACTERS if kind == "large" else 2))
            expected.append(Position(seq, len(notices)))
    told: list[Position] = []
    after = Position(0, 0)
    while True:
        page = _merged(
            after,
            [each for each in notices if each[1] > after.notice][:limit],
            [each for each in facts if each.seq > after.seq][:limit],
            {},
        )[:limit]
        if not page:
            break
        assert sum(len(each.fact.properties) for each in page if isinstance(each, FactHappened)) < 2 * MOST_CHARACTERS
        told += [each.position for each in page]
        after = told[-1]
    assert told == expected


EVERY_EFFECT: list[dict[str, Any]] = [
    {"type": "points", "cause": "points/a", "amount": 1, "balance": 1},
    {"type": "badge", "code": "a", "name": "A", "rarity": "common", "cause": "badge/a"},
    {"type": "enrolment", "challenge": "a", "expires_at": None},
    {"type": "objective", "challenge": "a", "objective": "b", "value": 1, "target": 2, "completed": False},
    {"type": "challenge", "challenge": "a", "progress": 0.5, "completed": False},
    {"type": "challenge", "challenge": "a", "progress": 1.0, "completed": True},
    {"type": "milestone", "of": "challenge", "code": "a", "at": 0.5},
    {"type": "milestone", "of": "streak", "code": "a", "at": 7},
    {"type": "streak", "code": "a", "current": 1, "longest": 1},
    {"type": "tier", "code": "a", "name": "A", "level": 1, "previous_code": None, "previous_level": None},
    {"type": "revocation", "cause": "criteria:badge/a", "badge": "a"},
    {"type": "leaderboard", "code": "a", "window": "daily", "period": "2026-04-02", "score": 1},
]


def test_an_effect_is_the_same_event_however_it_is_read() -> None:
    common = {"participant_id": "p", "fact_id": "fact_x", "occurred_at": 0}
    effects = EFFECTS.validate_python([{**each, **common} for each in EVERY_EFFECT])
    assert [type_of_shown(each) for each in EVERY_EFFECT] == [event_type_of(packed(each, 0)) for each in effects]
    beside = {"fact.created", "message.dead", "streak.broken", "leaderboard.rank_changed"}
    assert {type_of_shown(each) for each in EVERY_EFFECT} - {None} == EVENT_TYPES - beside


def test_a_line_says_what_was_given_first_and_a_leaderboard_once() -> None:
    scored = [{**EVERY_EFFECT[-1], "window": each} for each in ("daily", "all_time")]
    assert in_brief([*scored, *EVERY_EFFECT[:2]]) == "+1 points, badge A, leaderboard a"
    assert all(in_brief([each]) for each in EVERY_EFFECT)


def test_what_can_be_chosen_is_what_webhooks_tell() -> None:
    chosen = {*get_args(ChosenType)}
    assert chosen == {*EVENT_TYPES, "effects.recomputed", "game.changed"}
    assert {*get_args(FeedType)} - chosen == {"environment.reset", "feed.ended"}
