"""`game explain`: every field of every definition is said, or is silent on purpose."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from bq_server.game.document.check import check
from bq_server.game.document.definitions import Game
from bq_server.game.plain_english.explanation import explain
from bq_server.game.plain_english.expressions import condition, value

EXAMPLES = Path(__file__).parents[2] / "bq_server" / "examples"

# A game in which every field of every model is given. A new one is added here, and said in
# bq_server/game/plain_english/definitions.py.
EVERYTHING = """\
overdraft: allowed
points_expire: {after: P365D}
currencies:
  - {code: coins, name: Coins}
  - {code: gems, name: Gems, points_expire: {after: P30D}, overdraft: owed}
  - {code: stars, name: Stars, overdraft: allowed}
points:
  - {code: sparkle, on: bought, award: 1, currency: gems, award_to: properties.friend}
  - code: spend
    name: Spend
    on: [bought, ordered]
    when: properties.amount >= 20
    award: properties.amount
    starts_at: 2026-01-01T00:00:00Z
    ends_at: 2027-01-01T00:00:00Z
    limit: {times: 3, per: day, by: properties.shop, timezone: Europe/Paris}
    cooldown: PT10M
    multiplier:
      - during:
          starts_at: 2026-03-01T00:00:00Z
          ends_at: 2026-04-01T00:00:00Z
          on_days: [sat, sun]
          timezone: Europe/Paris
        by: 2
      - {during: {on_days: [mon, tue]}, by: 1.5}
      - {when: properties.shop == "B", by: 1.1}
badges:
  - code: shops
    name: Shops
    description: Many.
    icon_url: https://example.com/shop.png
    category: shops
    rarity: rare
    display_order: 3
    starts_at: 2026-01-01T00:00:00Z
    ends_at: 2027-01-01T00:00:00Z
    revocable: true
    criteria:
      on: bought
      when: has(properties.shop)
      aggregate: distinct
      of: properties.shop
      target: 5
      limit: {times: 1, per: week}
      cooldown: P1D
  - {code: again, name: Again, repeatable: true, criteria: {on: bought, target: 10}, award_to: properties.friend}
  - {code: runner, name: Runner, criteria: {on: run, levels: [10, 50]}}
challenges:
  - code: spring
    name: Spring
    description: Buy.
    enrolment: explicit
    duration: {type: rolling, days: 14}
    starts_at: 2026-01-01T00:00:00Z
    ends_at: 2027-01-01T00:00:00Z
    objectives:
      - {code: visit, name: Visit, on: visited, target: 1}
      - code: buy
        name: Buy
        on: bought
        when: properties.amount > 1
        aggregate: sum
        of: properties.amount
        target: 30
        prerequisites: [visit]
        limit: {times: 3, per: month}
        cooldown: PT1H
    milestones: [{at: 0.5, rewards: [{points: 50}]}]
    rewards: [{points: 500}, {points: 5, currency: gems}, {badge: again}]
    revocable: true
  - code: fixed
    name: Fixed
    objectives: [{code: o, on: bought, target: 1}]
    duration: {type: fixed, starts_at: 2026-04-01T00:00:00Z, ends_at: 2026-05-01T00:00:00Z}
  - code: weekly
    name: Weekly
    objectives: [{code: o, on: bought, target: 1}]
    duration: {type: recurring, every: week, timezone: Europe/Berlin}
  - {code: endless, name: Endless, objectives: [{code: o, on: bought, target: 1}], duration: {type: perpetual}}
  - {code: together, name: Together, objectives: [{code: o, on: bought, target: 9}], shared_by: attributes.team}
streaks:
  - code: daily
    name: Daily
    description: Come back.
    on: login
    when: properties.app == "web"
    period: daily
    grace_period_hours: 6
    timezone: Europe/Paris
    day_starts_at: "04:00"
    required: 2
    on_days: [mon, tue]
    freezes: {monthly: 2, max: 5, automatic: false, price: 50}
    milestones: [{at: 7, rewards: [{points: 70}]}]
    display_order: 2
    starts_at: 2026-01-01T00:00:00Z
    ends_at: 2027-01-01T00:00:00Z
tiers:
  - code: gold
    name: Gold
    level: 3
    min_points: 5000
    currency: gems
    color: "#fc0"
    benefits: [free shipping, a mug]
leaderboards:
  - code: laps
    name: Laps
    metric: {on: lap, when: properties.valid, aggregate: min, of: properties.seconds}
    window: [weekly, all_time, {type: season, starts_at: 2026-03-01T00:00:00Z, ends_at: 2026-06-01T00:00:00Z}]
    timezone: Europe/Berlin
    order: ascending
    tie: shared
    starts_at: 2026-01-01T00:00:00Z
    ends_at: 2027-01-01T00:00:00Z
  - {code: bright, name: Bright, metric: points, currency: gems}
  - {code: teams, name: Teams, metric: points, group_by: attributes.team, combine: best}
rewards:
  - code: mug
    name: A mug
    description: For coffee.
    type: physical
    cost: 400
    currency: gems
    stock: 100
    limit: 2
    starts_at: 2026-01-01T00:00:00Z
    ends_at: 2027-01-01T00:00:00Z
  - {code: voucher, name: Voucher, codes: [A-1, A-2]}
contests:
  - code: race
    name: Race
    description: Fast.
    starts_at: 2026-01-01T00:00:00Z
    ends_at: 2027-01-01T00:00:00Z
    scoring: {on: bought, when: properties.amount > 1, aggregate: sum, of: properties.amount}
    prizes: [{rank_from: 1, rank_to: 1, points: 100, badge: again}, {rank_from: 2, rank_to: 9, points: 10}]
    freeze_after: PT1H
transfers: true
"""

# A game has one of the two.
EACH_YEAR = "points_expire: {each_year: 01-01}"

SILENT = {
    # What a page shows beside it, which changes nothing.
    *(("Badge", name) for name in ("description", "icon_url", "category", "display_order")),
    ("Challenge", "description"),
    *(("Streak", name) for name in ("description", "display_order")),
    ("Tier", "color"),
    ("ClaimableReward", "description"),
    ("Contest", "description"),
    # Which kind it is, with no other value.
    *((kind, "type") for kind in ("FixedDuration", "RollingDuration", "RecurringDuration", "PerpetualDuration")),
    ("Season", "type"),
}
"""Fields that the explanation leaves out on purpose."""


def read(text: str) -> Game:
    checked = check(text)
    assert checked.game is not None, checked.mistakes
    return checked.game


def models() -> set[type[BaseModel]]:
    """Every part of the document that an author writes."""
    found: set[type[BaseModel]] = set()
    waiting: list[Any] = [Game]
    while waiting:
        each = waiting.pop()
        if isinstance(each, type) and issubclass(each, BaseModel):
            if each not in found:
                found.add(each)
                waiting += [field.annotation for field in each.model_fields.values()]
        else:
            waiting += get_args(each)
    return found


def alternatives(old: Any, annotation: Any) -> Iterator[Any]:
    """Other values for a field; they need not be valid beside the rest."""
    words = list(literals(annotation))
    choices = [each for each in words if each != old]
    match old:
        case bool():
            yield not old
        case str() if choices:
            yield choices[0]
        case str() if old in words:
            return
        case str():
            yield {"04:00": "05:00", "01-01": "02-01"}.get(old, old + "x")
        case int() | float():
            yield old + 1
        case datetime() | timedelta():
            yield old + timedelta(days=1)
        case list():
            yield old[:-1] if len(old) > 1 else [*old, *old]
        case None:
            return


def literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
        return
    for each in get_args(annotation):
        yield from literals(each)


def changed(part: BaseModel) -> Iterator[tuple[str, str, BaseModel]]:
    """A part with one of its given fields, or one of what it holds, changed: of which model, which field, and it."""
    for name in [each for each in type(part).model_fields if each in part.model_fields_set]:
        old = getattr(part, name)
        for other in alternatives(old, type(part).model_fields[name].annotation):
            yield type(part).__name__, name, part.model_copy(update={name: other})
        held = list(enumerate(old)) if isinstance(old, list) else [(None, old)]
        for place, each in held:
            if isinstance(each, BaseModel):
                for kind, inner, copy in changed(each):
                    whole = copy if place is None else [*old[:place], copy, *old[place + 1 :]]
                    yield kind, inner, part.model_copy(update={name: whole})


def changes() -> list[tuple[str, str, Game, Game]]:
    found = []
    for text in (EVERYTHING, EACH_YEAR):
        game = read(text)
        found += [(kind, name, game, other) for kind, name, other in changed(game) if isinstance(other, Game)]
    return found


CHANGES = changes()
MODELS = {model.__name__: model for model in models()}


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_every_field_is_in_the_game_above(kind: str) -> None:
    """One that isn't is a new one: say it in `bq_server/game/plain_english/definitions.py`."""
    known = {name for model, name, _, _ in CHANGES if model == kind} | {name for model, name in SILENT if model == kind}
    fields = MODELS[kind].model_fields
    assert {name for name, field in fields.items() if name not in known and not holds_parts(field.annotation)} == set()


def holds_parts(annotation: Any) -> bool:
    """Whether what matters is in the fields of what it holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(holds_parts(each) for each in get_args(annotation))


@pytest.mark.parametrize(
    ("kind", "name", "game", "other"),
    [pytest.param(*each, id=f"{number}-{each[0]}.{each[1]}") for number, each in enumerate(CHANGES)],
)
def test_what_a_field_says_is_said(kind: str, name: str, game: Game, other: Game) -> None:
    said = explain(other) != explain(game)
    assert said is ((kind, name) not in SILENT)


def test_nothing_is_silent_that_there_is_not() -> None:
    fields = {(kind, name) for kind, model in MODELS.items() for name in model.model_fields}
    assert fields >= SILENT


def test_the_example_is_said_as_a_person_would() -> None:
    text = explain(read((EXAMPLES / "coffee.yaml").read_text()))
    for line in (
        '    Each purchase_completed where currency is "EUR" gives points: amount, rounded down.',
        "    Counts only what happened from 2026-05-01 00:00 UTC until 2026-05-08 00:00 UTC.",
        "    Each review_written where the length of text is at least 20 gives 15 points.",
        "    Takes a sum of amount of at least 100 over purchase_completed and purchase_refunded events.",
        "    Takes one purchase_completed where tip is given, with tip at least 5.",
        '    Objective visit "Visit a shop": one store_visited.',
        "    Objective three_cups: after visit, 3 purchase_completed events where amount is at least 3.",
        "    Completed when all of them are met, which gives 500 points and the badge barista.",
        "    Lost 6 hours after the end of the first day missed.",
        "  Points never expire.",
    ):
        assert line in text.splitlines()


def test_whom_conditions_ask_for_where_somebody_else_is_awarded() -> None:
    game = "points: [{code: p, on: ref, when: %s, award: 1, award_to: properties.friend}]"
    said = "    Counts for whom friend names, in place of the sender"
    assert f"{said}." in explain(read(game % "properties.a > 1.0")).splitlines()
    meant = f"{said}: they are the participant meant here."
    assert meant in explain(read(game % "participant.attributes.a > 1.0")).splitlines()


def test_a_referral_is_no_event_of_a_clients() -> None:
    game = "points: [{code: p, on: system.participant_referred, award: 1, award_to: properties.referrer_id}]"
    assert "    Each referral gives 1 point." in explain(read(game)).splitlines()


def test_an_empty_game_is_said_too() -> None:
    assert explain(Game()).startswith("The whole game\n  Points never expire.")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("properties.amount >= 20", "amount is at least 20"),
        ("properties.amount < 0.5", "amount is below 0.5"),
        ('properties.a == "x" && properties.b != true', 'a is "x" and b is not true'),
        (
            "(properties.a > 1 || properties.b) && !has(properties.c.d)",
            "(a is above 1 or b is true) and c.d is not given",
        ),
        ('properties.shop in ["A", "B", "C"]', 'shop is one of "A", "B" or "C"'),
        ('!(properties.shop in ["A", "B"])', 'shop is none of "A" or "B"'),
        ('"vip" in properties.tags', 'tags contains "vip"'),
        ('!properties.mail.endsWith("@a.test")', 'mail does not end with "@a.test"'),
        ('occurred_at.getHours("Asia/Tokyo") >= 18', "the hour of the event's time (Asia/Tokyo) is at least 18"),
        ("occurred_at.getDayOfWeek() == 0", "the event's time is on a Sunday (UTC)"),
        ("occurred_at.getDayOfWeek() == 6", "the event's time is on a Saturday (UTC)"),
        ('participant_id.startsWith("t-")', 'the participant\'s id starts with "t-"'),
        ('participant.attributes.team == "red"', 'the participant\'s team is "red"'),
        ('participant.attributes["home town"].zip == "1"', '`participant.attributes["home town"].zip == "1"` holds'),
        ('participant.attributes["home town"] != "Rome"', 'the participant\'s home town is not "Rome"'),
        ('participant.attributes.home.town == "Rome"', 'the participant\'s home.town is "Rome"'),
        ("has(participant.attributes.team)", "the participant has a team"),
        ("!has(participant.attributes.age)", "the participant does not have an age"),
        ("has(participant.attributes.home.town)", "the participant's home.town is given"),
        ('participant.tier in ["gold", "red"]', 'the participant\'s tier is one of "gold" or "red"'),
        ("participant.tier == null", "the participant has no tier"),
        ("!(participant.tier == null)", "the participant has a tier"),
        ('"vip" in participant.badges', "the participant has the badge vip"),
        ('!("vip" in participant.badges)', "the participant does not have the badge vip"),
        # What has no plain words, or only misleading ones, is quoted.
        ("properties.code in participant.badges", "`properties.code in participant.badges` holds"),
        ("!(properties.a > 1)", "`!(properties.a > 1)` holds"),
        ("!(properties.a && properties.b)", "`!(properties.a && properties.b)` holds"),
        ("properties.l.all(a,\n  a > 0.0)", "`properties.l.all(a, a > 0.0)` holds"),
        ("occurred_at.getMonth() == 0", "`occurred_at.getMonth() == 0` holds"),
    ],
)
def test_conditions(source: str, said: str) -> None:
    assert condition(source) == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("10", "10"),
        ("properties.amount * 2.0", "amount times 2"),
        ("properties.a - properties.b - 1.0", "a minus b minus 1"),
        ("properties.a - (properties.b - 1.0)", "a minus (b minus 1)"),
        ("(properties.a + 1.5) / 2.0", "(a plus 1.5) divided by 2"),
        ("-properties.a", "minus a"),
        ("size(properties.text)", "the length of text"),
        ("properties.text.size()", "the length of text"),
        ("properties.a > 1 ? 5.0 : 1.0", "`properties.a > 1 ? 5.0 : 1.0`"),
    ],
)
def test_formulas(source: str, said: str) -> None:
    assert value(source) == said
