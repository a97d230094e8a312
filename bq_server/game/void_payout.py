"""Payments for a batch that voids facts or restores them: what they gave is taken back or given again."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from bq_server import causes
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import AwardRevoked, FactStruck
from bq_server.game.facts import BADGE_AWARDED, CONTEST_PLACED, BadgeAwarded, ContestPlaced, Fact, system_properties
from bq_server.game.mechanics.account import corrections, netted
from bq_server.game.mechanics.badges import BadgeRule
from bq_server.game.mechanics.points import Payout, Treasury
from bq_server.game.mechanics.quests import COMPLETE
from bq_server.game.mechanics.rule import Grant, HistoryNeed, LedgerEntry, Rewards
from bq_server.game.state import keys
from bq_server.game.state.keys import Cells
from bq_server.game.voids import VoidChange


def past_of_voids(treasury: Treasury) -> HistoryNeed:
    """What paying needs: the ledger and, if a badge may be taken away, the badges awarded by hand."""
    return HistoryNeed(frozenset({BADGE_AWARDED, CONTEST_PLACED} if treasury.revocable else ()), None, ledger=True)


def pay_with_voids(
    game: CompiledGame,
    voiding: VoidChange,
    grants: Sequence[Grant],
    lost: Collection[str],
    cells: Cells,
    ledger: Sequence[LedgerEntry],
    stored: Cells,
    past: Sequence[Fact],
    places: Mapping[str, int],
) -> Payout:
    """Correct the badges held and the ledger, and pay the grants, in the order of the facts: `places`, by fact id.

    `lost` has the causes of what is no longer reached; `cells` are as the rules left them; `ledger`, `stored` cells and
    `past` facts are from before the batch, without void facts.
    """
    payout = Payout(game.treasury, cells)
    by = voiding.by
    if by is None:
        raise ValueError("no fact becomes void or counts again without a fact that says so")
    for fact in (*voiding.struck, *voiding.restored):
        taker = voiding.after.by.get(fact.fact_id, by)
        payout.effects.append(
            FactStruck(
                participant_id=by.participant_id,
                fact_id=taker.fact_id,
                occurred_at=taker.occurred_at,
                voided_fact_id=fact.fact_id,
                restored=fact.fact_id not in voiding.after.by,
            )
        )
    for cause in lost:
        if not causes.is_of_criteria(cause):
            payout.effects.append(
                AwardRevoked(
                    participant_id=by.participant_id,
                    fact_id=by.fact_id,
                    occurred_at=by.occurred_at,
                    cause=cause,
                    badge=None,
                )
            )
    giving = (BADGE_AWARDED, CONTEST_PLACED)
    by_hand = [causes.by_hand(fact.fact_id) for fact in voiding.struck if fact.fact_type in giving]
    reasons = [*lost, *by_hand]
    revocable = sorted(game.treasury.revocable)
    gone = [code for code in revocable if any(payout.remove_badge(code, each, by) for each in reasons)]
    known = netted(ledger)
    paid = [grant for grant in grants if grant.cause not in known or causes.fact_paid(grant.cause) is None]
    for code in gone:
        paid += _other_grants(game, code, by, {**cells, **payout.cells}, past)
    due: list[tuple[Fact, Grant | LedgerEntry]] = [
        (taker, entry) for entry, taker in corrections(ledger, voiding.after.by, dict.fromkeys(lost, by), by)
    ]
    due += [(grant.fact, grant) for grant in sorted(paid, key=lambda grant: grant.fact.moment)]
    for fact, each in sorted(due, key=lambda pair: places.get(pair[0].fact_id, 0)):
        if isinstance(each, Grant):
            payout.enter(each)
        else:
            payout.correct(each.cause, each.amount, fact)
    payout.rank_anew([*ledger, *payout.entries], stored, by)
    return payout


def _other_grants(game: CompiledGame, code: str, by: Fact, cells: Cells, past: Sequence[Fact]) -> Iterator[Grant]:
    """Other causes of a badge whose first cause was taken away."""
    only = Rewards(badges=(code,))
    for fact in past:
        properties = system_properties(fact)
        by_hand = isinstance(properties, BadgeAwarded) and properties.badge_code == code
        if by_hand or (isinstance(properties, ContestPlaced) and properties.badge == code):
            yield Grant(by, fact.occurred_at, causes.by_hand(fact.fact_id), only)
    for rule in game.rules.values():
        if isinstance(rule, BadgeRule) and rule.cell == keys.criteria(code):
            reached = rule.open(cells.get(rule.cell)).progress.marks.get(COMPLETE)
            if reached is not None:
                yield Grant(by, reached.at, causes.of_criteria(rule.key), only)
        else:
            given = (cells.get(rule.key) or {}).get("given", {}) if code in rule.rewards.badges else {}
            for name, cause, rewards in rule.steps():
                if name in given and code in rewards.badges:
                    yield Grant(by, given[name][0], cause, only)
