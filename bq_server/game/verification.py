"""Verification: what is stored compared with what the facts lead to.

Progress must equal the fold of the facts exactly. Awards must include those of the fold; others were given before a
late fact or a game change changed the story, and are kept.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from bq_server import causes
from bq_server.game.attributes import Attributes
from bq_server.game.award_story import NO_STORY, story_of
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import PointsChanged
from bq_server.game.facts import Fact
from bq_server.game.in_memory import fold
from bq_server.game.match import rematch
from bq_server.game.mechanics.account import in_currency, netted, purses, standing_entries, totals
from bq_server.game.mechanics.counted_badges import CountedBadgeRule, essence
from bq_server.game.mechanics.leaderboards import PointsBoardRule
from bq_server.game.mechanics.limited_points import LimitedPointsRule
from bq_server.game.mechanics.quest_rule import QuestRule
from bq_server.game.mechanics.recurring_challenges import RecurringChallengeRule, missing, rounds_of
from bq_server.game.mechanics.rule import LedgerEntry, RuleHistory
from bq_server.game.mechanics.runs import Runs
from bq_server.game.mechanics.streaks import StreakRule
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells
from bq_server.game.voids import voids_among


class Difference(Struct, frozen=True):
    """Something that differs from what the facts lead to."""

    key: str
    """The cell, or `ledger/<cause>`."""
    stored: Any
    expected: Any


class KeptAward(Struct, frozen=True):
    """An award that the fold of the facts known now doesn't give."""

    key: str
    """`badge/<code>`, `ledger/<cause>`, `tiers/<code>`, or the cell and the step that it awarded."""


class Verification(Struct):
    """The outcome for one participant."""

    differences: list[Difference] = field(default_factory=list)
    kept: list[KeptAward] = field(default_factory=list)


def verify(game: CompiledGame, facts: Sequence[Fact], cells: Cells, ledger: Sequence[LedgerEntry] = ()) -> Verification:
    """Compare everything stored about a participant with the fold of all their facts.

    Definitions still being counted in the background are left out, and so are cells of removed definitions.
    """
    result = Verification()
    folded = fold(game, facts)
    expected = next(iter(folded.cells.values()), {})
    for key in sorted(expected.keys() | cells.keys()):
        definition = owner(key)
        if key.startswith(keys.ATTRIBUTES):
            if cells.get(key) != expected.get(key):
                result.differences.append(Difference(key, cells.get(key), expected.get(key)))
            continue
        if key == keys.AWARDS:
            result.differences.extend(_stories(game, cells.get(key), expected.get(key)))
            continue
        if definition not in game.pending and (definition in game.rules or "/" not in key or key.startswith("badge/")):
            _compare(result, game, key, cells.get(key), expected.get(key), (cells, expected))
    paid = {effect.cause: effect.amount for effect in folded.effects if isinstance(effect, PointsChanged)}
    otherwise = paid_otherwise(game, facts, expected, ledger, paid.keys())
    paid = {cause: amount for cause, amount in paid.items() if cause not in otherwise}
    _compare_ledger(result, game, ledger, paid, cells, voids_among(facts).by)
    return result


def _stories(game: CompiledGame, stored: Cell | None, expected: Cell | None) -> Iterator[Difference]:
    """What conditions see of awards: what the facts have given."""
    told, due = ({name: (cell or {}).get(name) or [] for name in ("tiers", "badges")} for cell in (stored, expected))
    if game.award_readers and not game.pending and told != due:
        yield Difference(keys.AWARDS, stored, expected)


def paid_otherwise(
    game: CompiledGame, facts: Sequence[Fact], cells: Cells, ledger: Sequence[LedgerEntry], due: Collection[str]
) -> set[str]:
    """The causes of payments that are due and not held, in whose place another was paid: a limit pays a place once."""
    void = voids_among(facts).by
    held = {entry.cause for entry in standing_entries(ledger)}
    story = sorted((fact for fact in facts if fact.fact_id not in void), key=lambda fact: fact.moment)
    found: set[str] = set()
    attributes = Attributes.of_facts(facts) if game.attributes else None
    awards = story_of(cells) or NO_STORY if game.award_readers else None
    for rule in game.rules.values():
        if isinstance(rule, LimitedPointsRule):
            hits = rematch(game, rule, story, {}, attributes, awards)
            found |= rule.paid_otherwise(hits, cells.get(keys.ZONE, ()), held, due)
    return found


def owner(key: str) -> str:
    """The key of the definition whose progress a cell contains; the key itself if there is none."""
    kind, _, rest = key.partition("/")
    match kind:
        case "limit":
            return f"points/{rest}"
        case "criteria":
            return f"badge/{rest}"
        case "group":
            return f"challenge/{rest.split('/')[0]}"
        case "score" | "team":
            return f"leaderboard/{rest.split('/')[0]}"
        case "placed":
            return f"contest/{rest}"
        case "seen" | "past":
            return "/".join(rest.split("/")[:2])
        case _:
            return key


def _compare(
    result: Verification,
    game: CompiledGame,
    key: str,
    stored: Cell | None,
    expected: Cell | None,
    all_cells: tuple[Cells, Cells],
) -> None:
    kind = key.partition("/")[0]
    rule = game.rules.get(owner(key))
    if kind in ("badge", "points", "purses", "tiers"):
        if kind == "badge" and stored is None:
            result.differences.append(Difference(key, stored, expected))
        elif kind == "badge" and expected is None:
            result.kept.append(KeptAward(key))
        elif kind == "badge":
            _compare_count(result, key, stored, expected)
        return
    if kind == "past" and not (
        isinstance(rule, RecurringChallengeRule) and key.startswith(keys.challenge_rounds(rule.code, rule.every))
    ):
        # What the challenge was before it changed: it has awarded something.
        return
    if isinstance(rule, CountedBadgeRule) and kind == "criteria":
        _compare_count(result, key, stored, expected)
        stored, expected = essence(stored), essence(expected)
    if isinstance(rule, PointsBoardRule):
        return
    if isinstance(rule, QuestRule) and kind != "group":
        if kind == "seen":
            part = int(key.split("/")[3])
            if not all(_counts_members(rule, each, part) for each in all_cells):
                return
        else:
            _compare_given(result, key, stored, expected)
            stored, expected = _essence(rule, stored), _essence(rule, expected)
    elif isinstance(rule, RecurringChallengeRule) and kind == "past":
        _compare_given(result, key, stored, expected)
        stored, expected = _essence(rule.challenge, stored), _essence(rule.challenge, expected)
    elif isinstance(rule, RecurringChallengeRule):
        _compare_rounds(result, rule, stored, expected)
        return
    elif isinstance(rule, StreakRule) and kind == "seen":
        # An earlier release dropped these periods; without them a late record replays the facts.
        if not Runs.load(all_cells[0].get(rule.key)).rows_known:
            return
    elif kind == "streak":
        _compare_given(result, key, stored, expected)
        stored, expected = _recorded(stored), _recorded(expected)
    if stored != expected:
        result.differences.append(Difference(key, stored, expected))


def _compare_count(result: Verification, key: str, stored: Cell | None, expected: Cell | None) -> None:
    """How often a badge was given: at least as often as the facts lead to."""
    least = 1 if key.startswith("badge/") else 0  # one that was awarded by hand and never earned is told as one, too
    held, due = (max(least, (cell or {}).get("n", least)) for cell in (stored, expected))
    if held < due:
        result.differences.append(Difference(f"{key}@count", held, due))
    elif held > due:
        result.kept.append(KeptAward(f"{key}@count"))


def _compare_given(result: Verification, key: str, stored: Cell | None, expected: Cell | None) -> None:
    held = set((stored or {}).get("given", {}))
    due = set((expected or {}).get("given", {}))
    result.differences.extend(Difference(f"{key}@{step}", None, "given") for step in sorted(due - held))
    result.kept.extend(KeptAward(f"{key}@{step}") for step in sorted(held - due))


def _compare_rounds(
    result: Verification, rule: RecurringChallengeRule, stored: Cell | None, expected: Cell | None
) -> None:
    """Which rounds were completed: at least those that the facts complete."""
    held, due = rounds_of(stored, rule.every), rounds_of(expected, rule.every)
    if missing(held, due) or (stored or {}).get("rev") != (expected or stored or {}).get("rev"):
        result.differences.append(Difference(rule.key, stored, expected))
    result.kept.extend(KeptAward(f"{rule.key}@{number}") for number in missing(due, held))


def _essence(rule: QuestRule, cell: Cell | None) -> Any:
    """What a quest's cell says regardless of the order of arrival: not when parts were met, nor what came after."""
    if cell is not None and cell.get("rev") != rule.revision:
        return cell
    state = rule.open(cell)
    values = [
        "met" if done else (value or 0) for value, done in zip(state.progress.values, state.progress.done, strict=True)
    ]
    enrolled = state.course.enrolled if state.course is not None and (rule.explicit or rule.rolling) else None
    return {"values": values, "reached": sorted(state.progress.marks), "enrolled": enrolled}


def _counts_members(rule: QuestRule, cells: Cells, part: int) -> bool:
    state = rule.open(cells.get(rule.cell))
    return state.course is None and state.progress.done[part] is None


def _recorded(cell: Cell | None) -> Cell | None:
    """A streak's periods; a cell without any is equal to none."""
    if not cell or not cell["k"]:
        return None
    return {name: value for name, value in cell.items() if name not in ("given", "owed", "w")}


def _compare_ledger(
    result: Verification,
    game: CompiledGame,
    ledger: Sequence[LedgerEntry],
    paid: Mapping[str, int],
    cells: Cells,
    void: Mapping[str, Fact],
) -> None:
    account = netted(ledger)
    for cause in sorted(account.keys() | paid.keys()):
        left = account[cause].amount if cause in account else None
        due = paid.get(cause)
        # A void takes back what its fact was paid, so that nothing of that is ever kept.
        exact = causes.is_by_hand(cause) or causes.fact_paid(cause) in void
        if left == due or (not left and due is None):
            continue
        if not left or exact:
            result.differences.append(Difference(f"ledger/{cause}", left, due))
        else:
            result.kept.append(KeptAward(f"ledger/{cause}"))
    for key, expected in _from_ledger(game, ledger, cells):
        stored = cells.get(key)
        if stored != expected:
            result.differences.append(Difference(key, stored, expected))
    held = {code for code, *_ in cells.get(keys.TIERS, ())}
    earned = totals(in_currency(ledger, game.treasury.tier_currency))["earned"]
    due_tiers = {tier.code for tier in game.treasury.tiers if earned and tier.min_points <= earned}
    result.differences.extend(Difference(f"tiers/{code}", None, "reached") for code in sorted(due_tiers - held))
    result.kept.extend(KeptAward(f"tiers/{code}") for code in sorted(held - due_tiers))


def _from_ledger(game: CompiledGame, ledger: Sequence[LedgerEntry], cells: Cells) -> Iterator[tuple[str, Cell | None]]:
    own = in_currency(ledger, None)
    if own or keys.POINTS in cells:
        yield keys.POINTS, totals(own)
    others = purses(ledger)
    if others or keys.PURSES in cells:
        yield keys.PURSES, others or None
    for board in game.treasury.boards:
        if board.key not in game.pending:
            known = {key: cell for key, cell in cells.items() if key.startswith(keys.every_score(board.code))}
            yield from board.step((), cells, RuleHistory((), known, ledger)).cells.items()
