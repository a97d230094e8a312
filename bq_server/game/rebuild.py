"""What should be stored about a participant, computed from their facts and the awards already given.

Progress is the fold of the facts. An award names the fact that caused it and a moment at which one happened; one that
names none of the participant's was never given. Awards that were given stay, with the time at which they were first
given.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from bq_server import causes
from bq_server.game.award_story import awards_of
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import PointsChanged
from bq_server.game.facts import Fact
from bq_server.game.in_memory import Fold, fold
from bq_server.game.mechanics.account import (
    by_currency,
    corrections,
    earned_entries,
    netted,
    purses,
    standing_entries,
    totals,
)
from bq_server.game.mechanics.challenges import ChallengeRule
from bq_server.game.mechanics.contests import ContestRule
from bq_server.game.mechanics.counted_badges import CountedBadgeRule
from bq_server.game.mechanics.leaderboards import PointsBoardRule
from bq_server.game.mechanics.limited_points import LimitedPointsRule
from bq_server.game.mechanics.quest_rule import QuestRule
from bq_server.game.mechanics.recurring_challenges import RecurringChallengeRule, merged, rounds_of
from bq_server.game.mechanics.rule import LedgerEntry, Rule, RuleHistory, still_due
from bq_server.game.mechanics.runs import Runs
from bq_server.game.mechanics.streaks import StreakRule
from bq_server.game.mechanics.tiers import climb
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells
from bq_server.game.verification import owner, paid_otherwise
from bq_server.game.voids import named, voids_among

_GIVING = ChallengeRule | StreakRule | RecurringChallengeRule


class AwardHistory(Struct, frozen=True):
    """What awards can refer to."""

    fact_ids: frozenset[str]
    times: frozenset[int]

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> Self:
        """The story that facts tell."""
        known = list(facts)
        return cls(frozenset(fact.fact_id for fact in known), frozenset(fact.occurred_at for fact in known))

    def tells(self, at: Any, fact_id: Any) -> bool:
        """Whether an award with that time and fact can have been given."""
        return isinstance(at, int) and at in self.times and isinstance(fact_id, str) and fact_id in self.fact_ids


class Rebuilt(Struct, frozen=True):
    """What should be stored."""

    cells: dict[str, Cell]
    """Every cell that should exist. Those of removed definitions are unchanged."""
    ledger: list[LedgerEntry]
    """The existing entries, in order, and then the missing ones."""
    missing: list[PointsChanged]
    """The awards behind the missing entries; their balances are not those of this ledger."""


def without_pending(game: CompiledGame) -> CompiledGame:
    """The game without the definitions whose past is still being counted."""
    if not game.pending:
        return game

    def counted(by_type: Mapping[str, tuple[Rule, ...]]) -> dict[str, tuple[Rule, ...]]:
        return {
            fact_type: tuple(rule for rule in rules if rule.key not in game.pending)
            for fact_type, rules in by_type.items()
        }

    return replace(
        game,
        rules={key: rule for key, rule in game.rules.items() if key not in game.pending},
        listening=counted(game.listening),
        receiving=counted(game.receiving),
        treasury=replace(
            game.treasury, boards=tuple(board for board in game.treasury.boards if board.key not in game.pending)
        ),
        pending=frozenset(),
    )


def sound(game: CompiledGame, story: AwardHistory, cells: Cells) -> dict[str, Cell]:
    """The cells that can be read, without the awards that were never given."""
    found: dict[str, Cell] = {}
    for key, cell in cells.items():
        kind = key.partition("/")[0]
        if kind == "badge":
            told = isinstance(cell, dict) and story.tells(cell.get("at"), cell.get("fact")) and "cause" in cell
            if told and isinstance(cell.get("n", 1), int):
                found[key] = cell
        elif key == keys.TIERS:
            found[key] = list(_sound_tiers(story, cell))
        elif readable(game, key, cell):
            found[key] = cell
            if isinstance(game.rules.get(owner(key)), _GIVING) and kind in ("challenge", "streak", "past"):
                given = {step: each for step, each in cell.get("given", {}).items() if _told(story, each)}
                if given != cell.get("given", {}):
                    found[key] = {name: value for name, value in cell.items() if name != "given"}
                    found[key] |= {"given": given} if given else {}
    return found


def readable(game: CompiledGame, key: str, cell: Cell) -> bool:
    """Whether the rule that owns the cell can read it."""
    rule = game.rules.get(owner(key))
    kind, _, rest = key.partition("/")
    if rule is None:
        return True
    try:
        if isinstance(rule, LimitedPointsRule):
            return rule.is_readable(cell)
        if kind in ("score", "team"):
            _, _, _ = rest.split("/")[:3]
            if kind == "team" and not isinstance(cell["team"], str):
                return False
            numbers = isinstance(cell["score"], int) and isinstance(cell["at"], int | None)
            return numbers and isinstance(cell["rev"], str)
        if kind == "group":
            numbers = isinstance(cell["score"], int) and isinstance(cell["at"], int)
            return numbers and isinstance(cell["team"], str) and isinstance(cell["rev"], str)
        if kind == "seen" and isinstance(rule, QuestRule):
            return 0 <= int(key.split("/")[3]) < rule.quest.size and len(key.split("/")) > 4
        if isinstance(rule, RecurringChallengeRule) and kind == "challenge":
            return all(first <= last for first, last in cell["s"]) and isinstance(cell["u"], str)
        if kind == "past":
            keys.number_of_round(key)
            if not isinstance(rule, RecurringChallengeRule) or cell.get("rev") != rule.revision:
                return _has_awards(cell)
            rule = rule.challenge
        if isinstance(rule, ContestRule):
            if kind == "placed":
                return isinstance(cell["rank"], int) and len(cell["m"]) == 2
            return isinstance(cell["score"], int) and isinstance(cell["rev"], str) and len(cell["e"]) == 2
        if isinstance(rule, CountedBadgeRule):
            return isinstance(cell["v"], int) and isinstance(cell["n"], int) and isinstance(cell["rev"], str)
        if isinstance(rule, QuestRule):
            progress = rule.open(cell).progress
            progress.fraction(rule.quest)
            return len(progress.values) == rule.quest.size and _has_awards(cell)
        if isinstance(rule, StreakRule) and kind == "seen":
            first, reach = cell
            return int(reach) < int(first) <= int(key.rpartition("/")[2])
        if isinstance(rule, StreakRule):
            return Runs.load(cell).current >= 0 and _has_awards(cell)
    except (TypeError, ValueError, LookupError, AttributeError):
        return False
    return True


def _has_awards(cell: Cell) -> bool:
    """Whether what was given, and is still owed, can be read."""
    owed = cell.get("owed", {})
    return isinstance(cell.get("given", {}), dict) and all(isinstance(each, list) for each in owed.values())


def unmarked(game: CompiledGame, cells: Cells, ledger: Iterable[LedgerEntry]) -> Iterator[tuple[str, str]]:
    """The steps that were awarded according to the ledger and the badges held, but not according to their cells.

    Each as the key of the cell and the step. Otherwise they would be awarded again.
    """
    awarded = {causes.in_any_currency(entry.cause) for entry in standing_entries(ledger)}
    awarded |= {cell["cause"] for key, cell in cells.items() if key.startswith("badge/")}
    for key, rule in _giving(game, cells):
        given = (cells.get(key) or {}).get("given", {})
        for step, cause in _steps(rule):
            if cause in awarded and step not in given:
                yield key, step


def due(game: CompiledGame, facts: Sequence[Fact]) -> dict[str, PointsChanged]:
    """The ledger entries that the fold of the facts gives, by cause."""
    return {effect.cause: effect for effect in fold(game, facts).effects if isinstance(effect, PointsChanged)}


def rebuild(
    game: CompiledGame,
    facts: Sequence[Fact],
    cells: Cells,
    ledger: Sequence[LedgerEntry],
    doubtful: Collection[str] = (),
    folded: Fold | None = None,
) -> Rebuilt:
    """Compute what should be stored from what is `sound`, including definitions still being counted.

    `folded`: what the facts lead to by all definitions, where the caller knows. An amount stays as given, except one
    that is `doubtful` (by cause) or was given by hand: the facts decide those.
    """
    game = replace(game, pending=frozenset())
    folded = folded or fold(game, facts)
    expected = next(iter(folded.cells.values()), {})
    paid = {effect.cause: effect for effect in folded.effects if isinstance(effect, PointsChanged)}
    written = [
        replace(entry, amount=paid[entry.cause].amount)
        if entry.cause in paid and (entry.cause in doubtful or causes.is_by_hand(entry.cause))
        else entry
        for entry in ledger
    ]
    known = {entry.cause for entry in ledger}
    seqs = {fact.fact_id: fact.seq for fact in facts}
    otherwise = paid_otherwise(game, facts, expected, ledger, paid.keys())
    missing = [effect for cause, effect in paid.items() if cause not in known and cause not in otherwise]
    missing += _taken_back(facts, written)
    written += [LedgerEntry(each.cause, each.amount, each.occurred_at, seqs[each.fact_id]) for each in missing]
    new = {key: cell for key, cell in expected.items() if not _from_ledger(game, key)}
    due = {key: cell["n"] for key, cell in new.items() if key.startswith("badge/") and "n" in cell}
    new |= {key: cell for key, cell in cells.items() if key.startswith("badge/") or _gone(game, key)}
    new |= {key: cell for key, cell in cells.items() if key.startswith("past/") and key not in new}
    _recount(game, new, cells, due)
    _mark(game, new, cells, written, facts)
    new |= _treasury(game, cells.get(keys.TIERS, []), written, facts, new)
    if keys.AWARDS in new:
        new[keys.AWARDS] = {**new[keys.AWARDS], "held": awards_of(new) == awards_of(expected)}
    return Rebuilt(new, written, missing)


def _recount(game: CompiledGame, new: dict[str, Cell], cells: Cells, due: Mapping[str, int]) -> None:
    """How often badges were given: what the fold says, or more."""
    for key, count in due.items():
        new[key] = {**new[key], "n": max(count, new[key].get("n", 1))}
    for rule in game.rules.values():
        if isinstance(rule, CountedBadgeRule) and rule.cell in cells and rule.cell in new:
            new[rule.cell] = {**new[rule.cell], "n": max(new[rule.cell]["n"], cells[rule.cell]["n"])}


def _taken_back(facts: Sequence[Fact], ledger: Sequence[LedgerEntry]) -> Iterator[PointsChanged]:
    """What facts that void others take back, or give again."""
    void = voids_among(facts).by
    by = max((fact for fact in facts if named(fact) is not None), key=lambda fact: fact.moment, default=None)
    if by is not None:
        for entry, taker in corrections(ledger, void, {}, by):
            yield PointsChanged(
                participant_id=taker.participant_id,
                fact_id=taker.fact_id,
                occurred_at=entry.occurred_at,
                cause=entry.cause,
                amount=entry.amount,
                balance=0,
            )


def _mark(
    game: CompiledGame, new: dict[str, Cell], cells: Cells, ledger: Sequence[LedgerEntry], facts: Sequence[Fact]
) -> None:
    """Carry over what was given, instead of what the fold would give."""
    by_seq = {fact.seq: fact.fact_id for fact in facts}
    account = netted(ledger)
    paid = [(causes.in_any_currency(cause), entry) for cause, entry in account.items() if entry.amount]
    proofs = {cause: [entry.occurred_at, by_seq[entry.seq]] for cause, entry in paid}
    taken = {causes.in_any_currency(cause) for cause in account} - proofs.keys()
    proofs |= {cell["cause"]: [cell["at"], cell["fact"]] for key, cell in new.items() if key.startswith("badge/")}
    for key, rule in _giving(game, {**cells, **new}):
        reached = (new.get(key) or {}).get("given", {})
        given: dict[str, Any] = {step: proofs[cause] for step, cause in _steps(rule) if cause in proofs}
        revoked = {step for step, cause in _steps(rule) if cause in taken}
        for each in (new.get(key), cells.get(key)):
            given |= each.get("given", {}) if each is not None else {}
            revoked.update(each.get("revoked", ()) if each is not None else ())
        if given or revoked:
            progress = new.get(key) or rule.step((), {}, RuleHistory((), {}, ())).cells[key]
            steps = rule.steps()
            owed = still_due(steps, given.keys() - reached.keys(), new, ledger).left(steps, reached)
            marked = {"given": given, "owed": owed, "revoked": sorted(revoked)}
            new[key] = {**(progress or {}), **{name: each for name, each in marked.items() if each}}
    for recurring in game.rules.values():
        if isinstance(recurring, RecurringChallengeRule) and recurring.key in new and recurring.key in cells:
            own, old = new[recurring.key], cells[recurring.key]
            new[recurring.key] = {**own, "s": merged(own["s"], rounds_of(old, recurring.every))}
            if "given" in old:
                new[recurring.key]["given"] = old["given"]


def _treasury(
    game: CompiledGame, held: Sequence[list[Any]], ledger: Sequence[LedgerEntry], facts: Sequence[Fact], who: Cells
) -> dict[str, Cell]:
    if not ledger:
        return {keys.TIERS: list(held)} if held else {}
    own = by_currency(ledger)
    cells: dict[str, Cell] = {keys.POINTS: totals(own[None])} if None in own else {}
    if others := purses(ledger):
        cells[keys.PURSES] = others
    for board in game.treasury.boards:
        cells.update(board.step((), who, RuleHistory((), {}, ledger)).cells)
    by_seq = {fact.seq: fact for fact in facts}
    climbed: list[list[Any]] = []
    total = 0
    for entry in earned_entries(ledger, game.treasury.tier_currency):
        total += entry.amount
        climb(game.treasury.tiers, climbed, total, by_seq[entry.seq])
    before = {each[0]: each for each in held}
    reached = {each[0] for each in climbed}
    if not reached <= before.keys():
        held = [each for each in held if each[0] not in reached] + [before.get(each[0], each) for each in climbed]
    if held:
        cells[keys.TIERS] = list(held)
    return cells


def _giving(game: CompiledGame, cells: Cells) -> Iterator[tuple[str, ChallengeRule | StreakRule]]:
    """What awards its steps once, under the key of its cell: of a recurring challenge each round there is a cell of."""
    for rule in game.rules.values():
        if isinstance(rule, ChallengeRule | StreakRule):
            yield rule.key, rule
        elif isinstance(rule, RecurringChallengeRule):
            for key in cells:
                if key.startswith(keys.challenge_rounds(rule.code, rule.every)):
                    yield key, rule.round(keys.number_of_round(key))


def _steps(rule: object) -> Iterator[tuple[str, str]]:
    """The step and the cause of everything a challenge or a streak awards."""
    if isinstance(rule, ChallengeRule | StreakRule):
        yield from ((name, cause) for name, cause, _ in rule.steps())


def _from_ledger(game: CompiledGame, key: str) -> bool:
    return key in (keys.POINTS, keys.PURSES, keys.TIERS) or isinstance(game.rules.get(owner(key)), PointsBoardRule)


def _gone(game: CompiledGame, key: str) -> bool:
    return "/" in key and owner(key) not in game.rules and not _of_facts_alone(key)


def _of_facts_alone(key: str) -> bool:
    """Whether a cell says nothing but what the facts do: there is nothing in it to keep."""
    return key.startswith(keys.ATTRIBUTES) or key == keys.AWARDS


def _told(story: AwardHistory, given: Any) -> bool:
    return isinstance(given, list) and len(given) == 2 and story.tells(*given)


def _sound_tiers(story: AwardHistory, cell: Cell) -> Iterator[list[Any]]:
    seen: set[str] = set()
    for each in cell if isinstance(cell, list) else ():
        match each:
            case [str(code), int(), int(at)] if at in story.times and code not in seen:
                seen.add(code)
                yield each
