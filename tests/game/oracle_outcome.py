"""What the second opinion says of one participant."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    earned: int = 0
    spent: int = 0
    expired: int = 0
    received: dict[str, int] = field(default_factory=dict)
    """What others gave, by currency; coins are the default."""
    purses: dict[str, list[int]] = field(default_factory=dict)
    """Of currencies other than the default, what was earned, spent and has expired."""
    badges: set[str] = field(default_factory=set)
    objectives: dict[tuple[str, str], Any] = field(default_factory=dict)
    """`met`, or the value counted."""
    completed: set[str] = field(default_factory=set)
    milestones: set[tuple[str, float]] = field(default_factory=set)
    streaks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Length of the newest run, and of the longest."""
    hidden: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    """Of badges that are counted."""
    rounds: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of recurring challenges how many rounds were completed, and how many in a row."""
    scores: dict[tuple[str, str, str], tuple[Any, int | None]] = field(default_factory=dict)
    contests: dict[str, tuple[Any, int | None]] = field(default_factory=dict)
    """The scores of those entered, and when they were reached."""
    placed: dict[str, int] = field(default_factory=dict)
    """Ranks in frozen results."""


EARNED, SPENT, EXPIRED = range(3)


def enter(out: Outcome, about: dict[str, Any], points: int, kind: int = EARNED) -> None:
    """Enter points of the currency that something names; coins are the default."""
    currency = about.get("currency", "coins")
    if currency != "coins":
        if points:
            out.purses.setdefault(currency, [0, 0, 0])[kind] += points
    elif kind == EARNED:
        out.earned += points
    elif kind == SPENT:
        out.spent += points
    else:
        out.expired += points


def reward(out: Outcome, rewards: list[dict[str, Any]]) -> None:
    for each in rewards:
        enter(out, each, each.get("points", 0))
