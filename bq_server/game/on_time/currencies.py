"""What one fact has earned in a game of several currencies: each has its balance, its tiers and its leaderboards."""

from msgspec.structs import replace

from bq_server.game.effects import POINTS
from bq_server.game.facts import Fact
from bq_server.game.mechanics.account import empty_purse
from bq_server.game.mechanics.points import Treasury
from bq_server.game.mechanics.rule import payments
from bq_server.game.on_time.points import Purse
from bq_server.game.on_time.turn import Paid, ParticipantTurn
from bq_server.game.state import keys


def purse_of(treasury: Treasury) -> Purse:
    """What pays in a game. With one currency it is what it was before there could be several."""
    return CurrencyPurse(treasury) if treasury.has_currencies else Purse(treasury)


class CurrencyPurse(Purse):
    """Pays what one fact has earned, in any currency."""

    __slots__ = ("_of", "_whole")

    def __init__(self, treasury: Treasury) -> None:
        super().__init__(_in_currency(treasury, None))
        self._whole = treasury
        self._of: dict[str, _OtherPurse] = {}

    def pay(self, turn: ParticipantTurn, fact: Fact) -> None:
        """Enter the awards of the current fact."""
        gained: dict[str | None, int] = {}
        for award in turn.awards:
            _, badges, _ = award.rewards
            for badge in badges:
                self.give_badge(turn, fact, badge, award)
            for code, cause, points in payments(award.cause, award.amount, award.rewards):
                self._purse(code).enter(turn, fact, points, cause)
                gained[code] = gained.get(code, 0) + points
        turn.awards.clear()
        for currency, amount in gained.items():
            self._purse(currency).score(turn, fact, amount)

    def _purse(self, currency: str | None) -> Purse:
        if currency is None:
            return self
        found = self._of.get(currency)
        if found is None:
            found = self._of[currency] = _OtherPurse(self._whole, currency)
        return found


class _OtherPurse(Purse):
    """A currency that isn't the default."""

    __slots__ = ("_currency",)

    def __init__(self, treasury: Treasury, currency: str) -> None:
        super().__init__(_in_currency(treasury, currency))
        self._currency = currency

    def enter(self, turn: ParticipantTurn, fact: Fact, amount: int, cause: str) -> None:
        """Enter points into the ledger."""
        points = turn.cells.setdefault(keys.PURSES, {}).setdefault(self._currency, empty_purse())
        balance = points["balance"] = points["balance"] + amount
        turn.caused.append([POINTS, cause, amount, balance, self._currency])
        turn.paid.append(Paid(cause, amount, balance, fact))
        points["earned"] += amount  # nothing that a client sends takes points
        self.climb(turn, fact, points["earned"])


def _in_currency(treasury: Treasury, currency: str | None) -> Treasury:
    """Tiers and leaderboards by points of one currency."""
    return replace(
        treasury,
        tiers=treasury.tiers if treasury.tier_currency == currency else (),
        boards=tuple(board for board in treasury.boards if board.currency == currency),
    )
