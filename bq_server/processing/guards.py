"""Conditions on events of our own, checked inside the transaction that would make them facts."""

from typing import Any

from bq_server.game.challenge_states import read_challenge
from bq_server.game.freeze_offers import FreezeUnavailable, period_to_freeze, price_of_freeze
from bq_server.game.mechanics.account import purse
from bq_server.game.mechanics.contests import ContestRule
from bq_server.game.state import keys
from bq_server.processing.hooks import Guard, View


class InsufficientPoints(Exception):
    """The balance is smaller than the amount to deduct."""

    def __init__(self, available: int, requested: int, currency: str | None = None) -> None:
        """`currency`: None is the default."""
        super().__init__(f"{available} {currency or 'points'} are available and {requested} were requested")
        self.available = available
        self.requested = requested


class AlreadySo(Exception):
    """What the event would bring about is already so; `cell` says since when."""

    def __init__(self, cell: Any) -> None:
        super().__init__("it is already so")
        self.cell = cell


class NoSuchChallenge(Exception):
    """The game in force has no challenge of that code: it was replaced meanwhile."""


class ContestClosed(Exception):
    """Nobody may enter the contest; the message says why."""


def no_guard(_: View) -> None:
    """No condition."""


class NoTransfers(Exception):
    """The game in force doesn't let participants give each other points."""


def may_transfer(amount: int, currency: str | None) -> Guard:
    """The game allows transfers, and the balance covers this one. Raises `NoTransfers` and `InsufficientPoints`."""

    def guard(view: View) -> None:
        if not view.game.game.transfers:
            raise NoTransfers
        enough_points(amount, currency)(view)

    return guard


def enough_points(amount: int, currency: str | None = None) -> Guard:
    """The balance of the currency covers the amount; None is the default. Raises `InsufficientPoints`."""

    def guard(view: View) -> None:
        available = max(purse(view.cells, currency)["balance"], 0)
        if available < amount:
            raise InsufficientPoints(available, amount, currency)

    return guard


def badge_not_held(code: str) -> Guard:
    """The participant lacks the badge. Raises `AlreadySo`."""

    def guard(view: View) -> None:
        cell = view.cells.get(keys.badge(code))
        if cell is not None:
            raise AlreadySo(cell)

    return guard


def another_zone(name: str) -> Guard:
    """The participant's zone is not this one already. Raises `AlreadySo`."""

    def guard(view: View) -> None:
        timeline = view.cells.get(keys.ZONE) or ()
        # A clock that was set back shows a time before zones that were set later.
        in_force = next((entry for entry in reversed(timeline) if entry[0] <= view.now), None)
        if in_force is not None and in_force[2] == name:
            raise AlreadySo(in_force)

    return guard


def otherwise_visible(*, hidden: bool) -> Guard:
    """The participant is not hidden, or shown, already. Raises `AlreadySo`."""

    def guard(view: View) -> None:
        cell = view.cells.get(keys.HIDDEN)
        if keys.is_hidden(view.cells) is hidden:
            raise AlreadySo(cell)

    return guard


def freeze_for_sale(code: str, price: int) -> Guard:
    """There is room for a freeze, and the balance covers it. Raises `FreezeUnavailable` and `InsufficientPoints`."""

    def guard(view: View) -> None:
        try:
            now_costs = price_of_freeze(view.game, code, view.cells, view.now)
        except KeyError:
            raise FreezeUnavailable("the streak is gone") from None
        if now_costs != price:
            raise FreezeUnavailable(f"it costs {now_costs} points now")
        enough_points(price)(view)

    return guard


def freeze_at_hand(code: str, starts_at: int) -> Guard:
    """A freeze may still cover the period that begins then. Raises `FreezeUnavailable`."""

    def guard(view: View) -> None:
        try:
            found = period_to_freeze(view.game, code, view.cells, view.now, starts_at)
        except KeyError:
            raise FreezeUnavailable("the streak is gone") from None
        if found != starts_at:
            raise FreezeUnavailable("that was recorded or covered meanwhile")

    return guard


def not_enrolled(code: str) -> Guard:
    """The participant has not entered the challenge by now. Raises `AlreadySo` and `NoSuchChallenge`."""

    def guard(view: View) -> None:
        cell = view.cells.get(keys.challenge(code))
        if f"challenge/{code}" not in view.game.rules:
            raise NoSuchChallenge(code)
        if cell is None:
            return
        enrolled_at = read_challenge(view.game, code, {keys.challenge(code): cell}, view.now).enrolled_at
        if enrolled_at is not None and enrolled_at <= view.now:
            raise AlreadySo(cell)

    return guard


def not_entered(code: str) -> Guard:
    """The participant has not entered the contest, and it goes on. Raises `AlreadySo` and `ContestClosed`."""

    def guard(view: View) -> None:
        rule = view.game.rules.get(f"contest/{code}")
        cell = view.cells.get(keys.contest(code))
        if cell is not None:
            raise AlreadySo(cell)
        if not isinstance(rule, ContestRule):
            raise ContestClosed("was removed")
        if rule.bounds.ends_at is not None and view.now >= rule.bounds.ends_at:
            raise ContestClosed("has ended: an entry must come before its end")

    return guard
