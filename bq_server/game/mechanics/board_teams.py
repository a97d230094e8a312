"""Teams: who is of one at a moment, and how the scores of its members become its own.

A team is those for whom an attribute has the same text. A score belongs to the team that its participant was of when
the fact happened, so that a change of team only concerns what comes after it.
"""

from typing import Any, Self

from msgspec import Struct

from bq_server.game.attributes import Attributes
from bq_server.game.document.leaderboards import Leaderboard
from bq_server.game.document.teams import Combine, attribute_of
from bq_server.game.facts import Fact, FactInContext, Moment
from bq_server.game.state import keys
from bq_server.game.state.keys import Cells

MAX_TEAM_NAME = 255
"""Characters, as many as the id of a participant may have."""


class BoardTeams(Struct, frozen=True):
    """How a leaderboard ranks teams."""

    attribute: str
    """Whose values are the teams."""
    combine: Combine

    @classmethod
    def of(cls, board: Leaderboard) -> Self | None:
        """That of a definition; None where it ranks participants."""
        return None if board.group_by is None else cls(attribute_of(board.group_by), board.combine or "sum")

    @property
    def cell(self) -> str:
        """The key of the cell that says what the attribute was, and when."""
        return keys.attribute(self.attribute)

    def team_at(self, moment: Moment, cells: Cells) -> str | None:
        """The team of the participant of these cells at a moment; None for none."""
        told = cells.get(self.cell)
        known = Attributes({} if told is None else {self.attribute: told[1]})
        return team_named(known.at(moment).get(self.attribute))

    def team_of(self, fact: Fact) -> str | None:
        """The team of a fact's participant at that fact; None for none."""
        return team_named(fact.attributes.get(self.attribute)) if isinstance(fact, FactInContext) else None


def team_named(value: Any) -> str | None:
    """The team that a value of an attribute names; None if it can't be one's name."""
    is_name = isinstance(value, str) and 0 < len(value) <= MAX_TEAM_NAME and value.isprintable()
    return value if is_name else None
