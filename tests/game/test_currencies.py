"""Several currencies: each has its balance, its tiers, its leaderboards, and what takes points back."""

from typing import Any

import pytest

from bq_server import causes
from bq_server.game import check, read_points, read_tier
from bq_server.game.document.currencies import expiries, moved_default, named
from bq_server.game.document.definitions import Game
from bq_server.game.rebuild import AwardHistory, rebuild, sound, unmarked
from tests.game.on_time_game import OnTimeGame
from tests.game.support import Story

CURRENCIES = "currencies: [{code: coins, name: Coins}, {code: gems, name: Gems, overdraft: allowed}]\n"
GAME = (
    CURRENCIES
    + """
points:
  - {code: coins, on: act, award: 10}
  - {code: gems, on: act, award: properties.gems, currency: gems}
tiers:
  - {code: low, name: Low, level: 1, min_points: 1, currency: gems}
  - {code: high, name: High, level: 2, min_points: 6, currency: gems}
leaderboards:
  - {code: coins, name: Coins, metric: points}
  - {code: gems, name: Gems, metric: points, currency: gems}
challenges:
  - code: twice
    name: Twice
    revocable: true
    objectives: [{code: o, on: act, target: 2}]
    rewards: [{points: 100}, {points: 2, currency: gems}, {points: 1, currency: gems}]
streaks:
  - {code: daily, on: act, timezone: UTC, milestones: [{at: 3, rewards: [{points: 1, currency: gems}]}]}
"""
)


def purses(story: Story) -> dict[str, int]:
    found = read_points(story.memory.game, story.memory.cells("ada")).currencies
    assert found is not None
    return {each.code: each.balance for each in found}


def test_rules_rewards_tiers_and_leaderboards_are_of_their_currency() -> None:
    story = Story(GAME)
    result = story.send("act", "2026-04-01", {"gems": 2})
    told = [(each.amount, each.balance, each.currency) for each in result.effects if each.type == "points"]
    assert told == [(10, 10, None), (2, 2, "gems")]
    assert purses(story) == {"coins": 10, "gems": 2}
    story.send("act", "2026-04-02", {"gems": 2})
    assert purses(story) == {"coins": 120, "gems": 7}
    assert [code for code, *_ in story.memory.cells("ada")["tiers"]] == ["low", "high"]
    assert (story.score("coins/all_time/all_time"), story.score("gems/all_time/all_time")) == (120, 7)
    story.send("act", "2026-04-03", {"gems": 1})
    assert purses(story) == {"coins": 130, "gems": 9}
    ledger = {entry.cause: entry.amount for entry in story.memory.ledger("ada")}
    assert ledger["challenge:twice"] == 100
    assert (ledger["gems/challenge:twice"], ledger["gems/streak:daily/3"], ledger["gems/points:gems:f1"]) == (3, 1, 2)
    assert (story.differences(), story.kept()) == ([], [])


def test_the_figures_of_each_currency_are_its_own() -> None:
    story = Story(GAME)
    story.send("act", "2026-04-01", {"gems": 9})
    story.send("system.points_deducted", "2026-04-02", {"amount": 4, "currency": "gems"})
    story.send("system.points_expired", "2026-04-02", {"amount": 1, "currency": "gems"})
    story.send("system.reward_claimed", "2026-04-02", {"reward_code": "mug", "cost": 2, "currency": "gems"})
    points = read_points(story.memory.game, story.memory.cells("ada"))
    assert (points.balance, points.total_earned, points.total_spent) == (10, 10, 0)
    assert points.currencies is not None
    _, gems = points.currencies
    assert (gems.name, gems.balance, gems.total_earned, gems.total_spent, gems.total_expired) == ("Gems", 2, 9, 6, 1)
    assert story.differences() == []


def test_points_of_another_currency_lead_to_no_tier() -> None:
    story = Story(GAME)
    story.send("system.points_awarded", "2026-04-01", {"amount": 50})
    story.send("act", "2026-04-02", {"gems": 0})
    assert "tiers" not in story.memory.cells("ada")
    state = read_tier(story.memory.game, story.memory.cells("ada"))
    assert state.next_tier is not None
    assert (state.current_tier, state.next_tier.code, state.next_tier.points_remaining) == (None, "low", 1)
    quick = OnTimeGame(story.memory.game)
    quick.take([story.fact("act", "2026-04-01", {"gems": 0})])
    assert (quick.late, "tiers" in quick.cells("ada")) == (0, False)


def test_a_step_that_paid_in_another_currency_only_was_awarded() -> None:
    rewards = "rewards: [{points: 2, currency: gems}]"
    story = Story(
        CURRENCIES + f"challenges: [{{code: c, name: C, objectives: [{{code: o, on: act, target: 1}}], {rewards}}}]"
    )
    story.send("act", "2026-04-01")
    cells = story.memory.cells("ada")
    assert list(unmarked(story.memory.game, cells, story.memory.ledger("ada"))) == []
    del cells["challenge/c"]["given"]
    assert list(unmarked(story.memory.game, cells, story.memory.ledger("ada"))) == [("challenge/c", "complete")]
    rebuilt = rebuild(story.memory.game, story.memory.facts("ada"), cells, story.memory.ledger("ada"))
    assert rebuilt.cells == story.memory.cells("ada")
    assert rebuilt.missing == []


def test_a_void_takes_back_each_currency_and_each_has_its_overdraft() -> None:
    story = Story(GAME)
    story.send("act", "2026-04-01", {"gems": 5})
    story.send("act", "2026-04-02", {"gems": 5})
    story.send("system.points_deducted", "2026-04-03", {"amount": 13, "currency": "gems"})
    story.send("system.points_deducted", "2026-04-03", {"amount": 120})
    story.send("system.fact_voided", "2026-04-04", {"fact_id": "f2"})
    points = read_points(story.memory.game, story.memory.cells("ada"))
    assert points.currencies is not None
    coins, gems = points.currencies
    assert (coins.balance, coins.owed) == (0, 110)
    assert (gems.balance, gems.owed, gems.total_earned) == (-8, 0, 5)
    assert (story.differences(), [each for each in story.kept() if not each.startswith("tiers/")]) == ([], [])
    story.send("system.fact_voided", "2026-04-05", {"fact_id": "f5"})
    assert purses(story) == {"coins": 0, "gems": 0}
    assert story.score("gems/all_time/all_time") == 13
    assert story.differences() == []


def test_a_game_of_one_currency_tells_of_none() -> None:
    story = Story("points: [{code: p, on: act, award: 3}]")
    (paid,) = story.send("act", "2026-04-01").effects
    assert paid.type == "points"
    assert paid.currency is None
    assert read_points(story.memory.game, story.memory.cells("ada")).currencies is None
    assert "purses" not in story.memory.cells("ada")
    assert type(story.memory.game.tracks.purse).__name__ == "Purse"


def test_the_default_by_its_name_is_the_default() -> None:
    story = Story(CURRENCIES + "points: [{code: p, on: act, award: 3, currency: coins}]")
    assert story.memory.game.game.points[0].currency is None
    story.send("act", "2026-04-01")
    assert purses(story) == {"coins": 3, "gems": 0}


def test_a_currency_that_the_game_has_no_more_keeps_what_was_paid() -> None:
    story = Story(CURRENCIES + "points: [{code: p, on: act, award: 3, currency: gems}]")
    story.send("act", "2026-04-01")
    story.change("points: [{code: p, on: act, award: 3}]")
    story.send("act", "2026-04-02")
    assert story.points() == 3
    assert story.memory.cells("ada")["purses"]["gems"]["balance"] == 3
    story.send("system.fact_voided", "2026-04-03", {"fact_id": "f1"})
    assert story.memory.cells("ada")["purses"]["gems"] == {"balance": 0, "earned": 0, "spent": 0}
    assert story.differences() == []


def test_a_rule_that_names_another_currency_pays_in_that_what_it_has_not_paid() -> None:
    story = Story(CURRENCIES + "points: [{code: p, on: act, award: 3}]")
    story.send("act", "2026-04-01")
    story.change(CURRENCIES + "points: [{code: p, on: act, award: 3, currency: gems}]")
    story.memory.refold(["points/p"])
    assert purses(story) == {"coins": 3, "gems": 3}
    assert (story.differences(), story.kept()) == ([], ["ledger/points:p:f1"])


def test_a_reward_in_another_currency_is_paid_to_those_who_reached_it() -> None:
    game = "challenges: [{code: c, name: C, objectives: [{code: o, on: act, target: 1}], rewards: [{points: 5}%s]}]"
    story = Story(CURRENCIES + game % "")
    story.send("act", "2026-04-01")
    story.change(CURRENCIES + game % ", {points: 2, currency: gems}")
    for _ in range(2):
        story.memory.refold(["challenge/c"])
        assert purses(story) == {"coins": 5, "gems": 2}
    assert (story.differences(), story.kept()) == ([], [])


MILESTONE = "streaks: [{code: s, on: %s, timezone: UTC, milestones: [{at: 2, rewards: [{points: 5%s}]}]}]"
CHALLENGE = (
    "badges: [{code: b, name: B}]\n"
    "challenges: [{code: c, name: C, %sobjectives: [{code: o, on: %s, target: 2}], rewards: [{points: 5%s}]}]"
)
RECURRING = "duration: {type: recurring, every: week}, "


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        (MILESTONE % ("act", ""), MILESTONE % ("other", ", currency: gems"), "streak:s/2"),
        (CHALLENGE % ("", "act", ""), CHALLENGE % ("", "other", ", currency: gems"), "challenge:c"),
        (
            CHALLENGE % (RECURRING, "act", ""),
            CHALLENGE % (RECURRING, "other", ", currency: gems"),
            "challenge:c/2026-W18",
        ),
        (
            CHALLENGE % ("", "act", ""),
            CHALLENGE % ("", "other", "}, {badge: b}, {points: 5, currency: gems"),
            "challenge:c",
        ),
    ],
)
def test_what_is_reached_otherwise_now_pays_in_another_currency_when_it_is(old: str, new: str, cause: str) -> None:
    story = Story(CURRENCIES + old)
    for day in ("2026-04-27", "2026-04-28"):
        story.send("act", day)
    story.change(CURRENCIES + new)
    for _ in range(2):
        story.memory.refold(story.memory.game.rules)
        assert purses(story) == {"coins": 5, "gems": 0}, "as it counts now, nothing is reached yet"
    quick = OnTimeGame(story.memory.game)
    quick.adopt(story.memory)
    for day in ("2026-04-27", "2026-04-28", "2026-04-29"):
        fact = story.fact("other", day)
        story.memory.process([fact])
        quick.take([fact])
    assert purses(story) == {"coins": 5, "gems": 5}
    assert [entry.cause for entry in story.memory.ledger("ada")] == [cause, f"gems/{cause}"]
    assert story.differences() == []
    assert (quick.cells("ada"), quick.ledger("ada")) == (story.memory.cells("ada"), story.memory.ledger("ada"))
    story.memory.refold(story.memory.game.rules)
    assert purses(story) == {"coins": 5, "gems": 5}


def test_what_is_lost_of_a_reward_in_another_currency_is_rebuilt() -> None:
    story = Story(CURRENCIES + MILESTONE % ("act", ""))
    for day in ("2026-04-27", "2026-04-28"):
        story.send("act", day)
    story.change(CURRENCIES + MILESTONE % ("other", ", currency: gems"))
    story.memory.refold(["streak/s"])
    cells, facts, ledger = story.memory.cells("ada"), story.memory.facts("ada"), story.memory.ledger("ada")
    assert cells["streak/s"]["owed"] == {"2": ["streak:s/2"]}
    forgotten = {name: value for name, value in cells["streak/s"].items() if name != "owed"}
    unreadable = {**forgotten, "owed": {"2": 5}}
    for broken in ({"streak/s": forgotten}, {"streak/s": unreadable}, {}):
        found = sound(story.memory.game, AwardHistory.of(facts), broken)
        assert ("streak/s" in found) == (broken.get("streak/s") == forgotten)
        assert rebuild(story.memory.game, facts, found, ledger).cells["streak/s"] == cells["streak/s"]


def test_what_was_taken_back_and_given_again_in_another_currency_is_paid_once() -> None:
    game = CHALLENGE.replace("name: C, ", "name: C, revocable: true, ")
    story = Story(CURRENCIES + game % ("", "act", ""))
    for day in ("2026-04-01", "2026-04-02"):
        story.send("act", day)
    story.send("system.fact_voided", "2026-04-03", {"fact_id": "f1"})
    story.change(CURRENCIES + game % ("", "act", ", currency: gems"))
    story.send("act", "2026-04-04")
    for _ in range(2):
        story.memory.refold(story.memory.game.rules)
        assert purses(story) == {"coins": 0, "gems": 5}
    assert (story.differences(), story.kept()) == ([], [])


def test_on_time_a_limit_counts_in_its_currency() -> None:
    rule = "points: [{code: p, on: act, award: 3, currency: gems, limit: {times: 1, per: day, timezone: UTC}}]"
    quick = OnTimeGame(Story(CURRENCIES + rule).memory.game)
    story = Story(CURRENCIES + rule)
    for hour in range(3):
        quick.take([story.fact("act", f"2026-04-01T0{hour}:00")])
    assert quick.late == 0
    assert quick.cells("ada")["purses"] == {"gems": {"balance": 3, "earned": 3, "spent": 0}}


@pytest.mark.parametrize(
    ("cause", "currency", "plain"),
    [
        ("points:spend:fact_1", None, "points:spend:fact_1"),
        ("challenge:spring/0.5", None, "challenge:spring/0.5"),
        ("gems/challenge:spring/0.5", "gems", "challenge:spring/0.5"),
        ("gems/points:a:b:fact_1", "gems", "points:a:b:fact_1"),
        ("void:gems/points:a:b:fact_1:fact_2", "gems", "void:gems/points:a:b:fact_1:fact_2"),
        ("again:challenge:x/y:fact_2", None, "again:challenge:x/y:fact_2"),
        ("criteria:badge/b", None, "criteria:badge/b"),
    ],
)
def test_a_cause_says_its_currency(cause: str, currency: str | None, plain: str) -> None:
    assert (causes.currency_of(cause), causes.in_any_currency(cause)) == (currency, plain)


def test_the_cause_of_a_fact_paid_by_itself_is_told_in_every_currency() -> None:
    assert causes.fact_paid("gems/points:a:fact_1") == "fact_1"
    assert causes.of_any_fact("gems/points:a:fact_1") == "gems/points:a"
    assert causes.is_by_hand("gems/manual:fact_1")
    assert causes.is_of_expiry("void:gems/expired:fact_1:fact_2")
    assert causes.unpack_cause(causes.pack_cause("gems/points:a:fact_1", "fact_1"), "fact_1") == "gems/points:a:fact_1"


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ("points: [{code: p, on: e, award: 1, currency: gold}]", "points[0].currency", "there is no currency gold"),
        (
            "streaks: [{code: s, on: e, milestones: [{at: 2, rewards: [{points: 1, currency: gold}]}]}]",
            "streaks[0].milestones[0].rewards[0].currency",
            "there is no currency gold",
        ),
        (
            "leaderboards: [{code: l, name: L, metric: {on: e}, currency: gems}]",
            "leaderboards[0]",
            "currency needs metric: points",
        ),
        (
            "tiers: [{code: a, name: A, level: 1, min_points: 1}, "
            "{code: b, name: B, level: 2, min_points: 2, currency: gems}]",
            "tiers[1]",
            "needs the currency of a: tiers are reached by points of one",
        ),
        ("rewards: [{code: r, name: R, cost: 1, currency: gold}]", "rewards[0].currency", "there is no currency gold"),
    ],
)
def test_mistakes_have_their_place(document: str, path: str, message: str) -> None:
    (mistake,) = check(CURRENCIES + document).mistakes
    assert (mistake.line, mistake.path, mistake.message) == (2, path, message)
    assert mistake.column > 1


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[{code: a}, {code: a}]", "the code a is used twice"),
        ("[{code: 'a:b'}]", "String should match pattern '^[a-z][a-z0-9_]{0,29}$'"),
        ("[{code: a, overdraft: allowed}]", "is the game's overdraft for the first currency, the default"),
        ("[{code: a, points_expire: {after: P1D}}]", "is the game's points_expire for the first currency, the default"),
    ],
)
def test_mistakes_in_currencies(document: str, message: str) -> None:
    (mistake,) = check(f"currencies: {document}").mistakes
    assert mistake.message.removeprefix("Input ").removeprefix("Value error, ") == message.removeprefix("Input ")


def test_a_badge_has_no_currency() -> None:
    rewards = "{points: 1}, {badge: b, currency: gems}"
    (mistake,) = check(
        CURRENCIES + "badges: [{code: b, name: B}]\n"
        f"challenges: [{{code: c, name: C, objectives: [{{code: o, on: e, target: 1}}], rewards: [{rewards}]}}]"
    ).mistakes
    assert mistake.message == "a badge has no currency"


def game(*codes: str, **more: Any) -> Game:
    return Game.model_validate({"currencies": [{"code": code} for code in codes], **more})


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        (["coins", "gems"], ["gems", "coins"], True),
        (["coins", "gems"], ["gems"], True),
        (["coins"], ["gems", "coins"], True),
        (["coins", "gems"], ["gold", "gems"], False),
        (["coins", "gems"], ["coins", "stars"], False),
        ([], ["coins", "gems"], False),
        (["coins", "gems"], [], False),
    ],
)
def test_the_default_may_be_renamed_but_not_change_places(old: list[str], new: list[str], moves: bool) -> None:
    assert (moved_default(game(*old), game(*new)) is not None) is moves


def test_each_currency_expires_by_itself() -> None:
    found = game(
        points_expire={"after": "P1D"},
        currencies=[{"code": "coins"}, {"code": "gems"}, {"code": "stars", "points_expire": {"after": "P2D"}}],
    )
    assert [(code, each.after.days) for code, each in expiries(found).items() if each.after] == [
        (None, 1),
        ("stars", 2),
    ]


def test_currencies_by_their_names() -> None:
    found = game("coins", "gems")
    assert [named(found, code) for code in (None, "coins", "gems")] == [None, None, "gems"]
    with pytest.raises(KeyError):
        named(found, "gold")
    with pytest.raises(KeyError):
        named(game(), "coins")
