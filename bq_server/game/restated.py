"""A participant's state told anew, because other facts than before are in their story: aliases came or went.

What the game in force gives is what the fold of the new story gives. What the facts of before didn't lead to and
was held nevertheless, such as points by a rule that has changed since, goes with the fact for which it was given.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from bq_server import causes
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import PointsChanged
from bq_server.game.facts import Fact
from bq_server.game.in_memory import fold
from bq_server.game.mechanics.account import in_currency, netted, totals
from bq_server.game.mechanics.challenges import ChallengeRule
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.mechanics.streaks import StreakRule
from bq_server.game.rebuild import AwardHistory, Rebuilt, rebuild, sound
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells
from bq_server.game.voids import voids_among


class HeldAwards(Struct):
    """What is carried from the stories of before to those of now."""

    cells: dict[str, Cell] = field(default_factory=dict)
    """Badges, steps of challenges and streaks, and tiers that the facts didn't lead to."""
    ledger: list[LedgerEntry] = field(default_factory=list)
    """Points that they didn't lead to."""
    amounts: dict[str, int] = field(default_factory=dict)
    """What was paid for each cause: an amount stays as given, where it is still due."""


def held_awards(game: CompiledGame, facts: Sequence[Fact], cells: Cells, ledger: Sequence[LedgerEntry]) -> HeldAwards:
    """What a participant holds, seen from the story of before."""
    game = replace(game, pending=frozenset())
    seqs = {fact.seq for fact in facts}
    ledger = [entry for entry in ledger if entry.seq in seqs]  # others were never given
    folded = fold(game, facts)
    expected = next(iter(folded.cells.values()), {})
    paid = {effect.cause for effect in folded.effects if isinstance(effect, PointsChanged)}
    void = voids_among(facts).by
    account = netted(ledger)
    kept = {
        cause
        for cause, entry in account.items()
        if entry.amount and cause not in paid and not causes.is_by_hand(cause) and causes.fact_paid(cause) not in void
    }
    held = HeldAwards(ledger=[entry for entry in ledger if causes.origin(entry.cause) in kept])
    held.amounts = {cause: entry.amount for cause, entry in account.items() if entry.amount and cause in paid}
    for key, cell in sound(game, AwardHistory.of(facts), cells).items():
        if key.startswith("badge/"):
            if key not in expected:
                held.cells[key] = cell
        elif isinstance(game.rules.get(key), ChallengeRule | StreakRule):
            due_steps = (expected.get(key) or {}).get("given", {})
            given = {step: each for step, each in cell.get("given", {}).items() if step not in due_steps}
            if given:
                held.cells[key] = {"given": given}
    earned = totals(in_currency(ledger, game.treasury.tier_currency))["earned"]
    reached = {tier.code for tier in game.treasury.tiers if earned and tier.min_points <= earned}
    tiers = [each for each in cells.get(keys.TIERS, ()) if each[0] not in reached]
    if tiers:
        held.cells[keys.TIERS] = tiers
    return held


def restate(game: CompiledGame, facts: Sequence[Fact], held: Iterable[HeldAwards]) -> Rebuilt:
    """What should be stored now. `held` is what was held in the stories of before, the participant's own first."""
    story = AwardHistory.of(facts)
    seqs = {fact.fact_id: fact.seq for fact in facts}
    known = frozenset(seqs.values())
    cells: dict[str, Cell] = {}
    ledger: dict[str, list[LedgerEntry]] = {}
    amounts: dict[str, int] = {}
    for each in held:
        _take_cells(cells, each.cells, story)
        own: dict[str, list[LedgerEntry]] = {}
        for entry in each.ledger:
            if entry.seq in known:
                own.setdefault(causes.origin(entry.cause), []).append(entry)
        ledger = {**own, **ledger}
        amounts = {**each.amounts, **amounts}
    carried = [entry for entries in ledger.values() for entry in entries]
    folded = fold(replace(game, pending=frozenset()), facts)
    due = {effect.cause: effect for effect in folded.effects if isinstance(effect, PointsChanged)}
    carried += _as_given(due, amounts, seqs, ledger.keys())
    return rebuild(game, facts, cells, carried, folded=folded)


def _as_given(
    paid: Mapping[str, PointsChanged], amounts: Mapping[str, int], seqs: Mapping[str, int], kept: Iterable[str]
) -> list[LedgerEntry]:
    """What is due and was paid before, with the amount of then."""
    return [
        LedgerEntry(cause, amounts[cause], effect.occurred_at, seqs[effect.fact_id])
        for cause, effect in paid.items()
        if cause in amounts
        and cause not in kept
        and amounts[cause] != effect.amount
        and not causes.is_by_hand(cause)
        and not causes.is_of_transfer(cause)
    ]


def _take_cells(cells: dict[str, Cell], more: Cells, story: AwardHistory) -> None:
    """Add what was held for facts of the story; what is there already stays."""
    for key, cell in more.items():
        if key.startswith("badge/"):
            if story.tells(cell["at"], cell["fact"]):
                cells.setdefault(key, cell)
        elif key == keys.TIERS:
            known = cells.setdefault(key, [])
            held = {each[0] for each in known}
            known += [each for each in cell if each[2] in story.times and each[0] not in held]
        else:
            given = {step: each for step, each in cell["given"].items() if story.tells(*each)}
            if given:
                cells[key] = {"given": {**given, **cells.get(key, {}).get("given", {})}}
    if not cells.get(keys.TIERS, True):
        del cells[keys.TIERS]
