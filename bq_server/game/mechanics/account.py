"""The account of each cause in the points ledger: what was given, taken back by a void, and given again."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from bq_server import causes
from bq_server.game.facts import Fact
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell


def netted(ledger: Iterable[LedgerEntry]) -> dict[str, LedgerEntry]:
    """One entry for each cause for which anything was ever given: as it was given first, with what is left of it.

    In the order of the ledger. What was taken back completely is listed with 0. What no single fact gave, and
    was reached, lost and reached again, is listed as it was last given.
    """
    found: dict[str, LedgerEntry] = {}
    for entry in ledger:
        cause = causes.origin(entry.cause)
        known = found.get(cause)
        if known is None or (not known.amount and causes.fact_paid(cause) is None):
            found.pop(cause, None)
            found[cause] = replace(entry, cause=cause)
        else:
            found[cause] = replace(known, amount=known.amount + entry.amount)
    return found


def empty_purse() -> dict[str, int]:
    """The figures of who has had nothing of a currency."""
    return {"balance": 0, "earned": 0, "spent": 0}


def purse(cells: Mapping[str, Cell | None], currency: str | None) -> dict[str, int]:
    """What a participant has of a currency, as kept; None is the default."""
    found: dict[str, int] | None = (
        cells.get(keys.POINTS) if currency is None else (cells.get(keys.PURSES) or {}).get(currency)
    )
    return found or empty_purse()


def standing_entries(ledger: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """What is left of each cause, where anything is."""
    return [entry for entry in netted(ledger).values() if entry.amount]


def in_currency(ledger: Iterable[LedgerEntry], currency: str | None) -> list[LedgerEntry]:
    """The entries in a currency, in order; None is the default."""
    return [entry for entry in ledger if causes.currency_of(entry.cause) == currency]


def by_currency(ledger: Iterable[LedgerEntry]) -> dict[str | None, list[LedgerEntry]]:
    """The entries in order, by the currency that they are in."""
    found: dict[str | None, list[LedgerEntry]] = {}
    for entry in ledger:
        found.setdefault(causes.currency_of(entry.cause), []).append(entry)
    return found


def purses(ledger: Iterable[LedgerEntry]) -> dict[str, dict[str, int]]:
    """The cell of the other currencies that a ledger comes to; empty if there was never anything of any."""
    return {code: totals(own) for code, own in by_currency(ledger).items() if code is not None}


def earned_entries(ledger: Iterable[LedgerEntry], currency: str | None) -> list[LedgerEntry]:
    """What is left of what was earned in a currency, in order: not what another participant gave."""
    own = standing_entries(in_currency(ledger, currency))
    return [entry for entry in own if entry.amount > 0 and not causes.is_of_transfer(entry.cause)]


def totals(ledger: Iterable[LedgerEntry]) -> dict[str, int]:
    """What a ledger of one currency comes to; what voids took back counts as never given."""
    earned = spent = expired = received = 0
    for entry in standing_entries(ledger):
        if entry.amount > 0 and causes.is_of_transfer(entry.cause):
            received += entry.amount
        elif entry.amount > 0:
            earned += entry.amount
        elif causes.is_of_expiry(entry.cause):
            expired -= entry.amount
        else:
            spent -= entry.amount
    cell = {"balance": earned + received - spent - expired, "earned": earned, "spent": spent}
    return cell | {name: some for name, some in (("expired", expired), ("received", received)) if some}


def corrections(
    ledger: Iterable[LedgerEntry], void: Mapping[str, Fact], lost: Mapping[str, Fact], by: Fact
) -> Iterator[tuple[LedgerEntry, Fact]]:
    """The entries that make the ledger what it is without void facts, each with the fact that brings it.

    `void` says by which fact each void fact is void, by its id; `lost` has the causes of what was reached and is not
    any more; `by` brings what is given again.
    """
    entries = list(ledger)
    used = {entry.cause for entry in entries}
    first = {causes.origin(entry.cause): entry.amount for entry in reversed(entries)}
    for cause, entry in netted(entries).items():
        paid = causes.fact_paid(cause)
        taker = lost.get(causes.in_any_currency(cause)) if paid is None else void.get(paid)
        if taker is not None and entry.amount:
            if causes.taken_back(cause, taker.fact_id) in used:
                taker = by  # it was taken back by that fact before, given again, and now lost by another
            yield LedgerEntry(causes.taken_back(cause, taker.fact_id), -entry.amount, *taker.moment), taker
        elif taker is None and paid is not None and not entry.amount:
            yield LedgerEntry(causes.given_again(cause, by.fact_id), first[cause], *by.moment), by
