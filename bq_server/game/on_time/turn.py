"""One participant's turn in a batch: the state, as it changes fact by fact."""

from typing import Any, NamedTuple

from msgspec import Struct, field

from bq_server.game.effects import PackedEffect
from bq_server.game.facts import Fact
from bq_server.game.mechanics.rule import Rewards
from bq_server.game.state.keys import Cell


class NotOnTime(Exception):
    """The fact needs the past, or what only the step can do; whatever the turn changed must be discarded."""


class Paid(NamedTuple):
    """An entry for the points ledger."""

    cause: str
    """As stored, see `bq_server.causes`."""
    amount: int
    balance: int
    fact: Fact


class Award(Struct):
    """Something reached by the current fact: what it awards."""

    at: int
    cause: str
    """As stored."""
    rewards: Rewards
    amount: int = 0


ScoreOf = tuple[str, str, str]
"""A board (`<kind>/<code>`), a window and a period."""


class ParticipantTurn(Struct):
    """A participant's state while facts of a batch are folded. It is changed in place."""

    participant_id: str
    cells: dict[str, Cell]
    scores: dict[str, list[Any]]
    """For `<code>/<window>` of a leaderboard its newest period: `[period, revision, score, reached at]`."""
    apart: dict[str, Cell]
    """The cells stored apart that the facts name and that exist."""
    apart_changed: dict[str, Cell] = field(default_factory=dict)
    places: dict[ScoreOf, tuple[int | float, int, int | None]] = field(default_factory=dict)
    """Changed places in rankings: the score as shown, when it was reached, and its exact value if it differs."""
    paid: list[Paid] = field(default_factory=list)
    effects: dict[str, list[PackedEffect]] = field(default_factory=dict)
    """By fact."""
    awards: list[Award] = field(default_factory=list)
    """Of the current fact."""
    caused: list[PackedEffect] = field(default_factory=list)
    """By the current fact."""
