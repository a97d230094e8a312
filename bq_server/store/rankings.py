"""Rankings as they are read: from the best, from any place on, around a participant; and ranks at any depth."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from bq_server.events import Scope
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.processes import MEMORY
from bq_server.store.queries import load
from bq_server.store.rank_sections import LONG, LOWEST, Sections
from bq_server.store.references import TEAMS, Ranking

_queries = load("rankings", "sqlite3")
_team_queries = load("team_scores", "sqlite3")

T = TypeVar("T")

NOWHERE = 0
"""Stands for the integer of a ranking without any places."""


class Score(Struct, frozen=True):
    """A row of a ranking."""

    participant_id: str
    score: float
    reached_at: int


class Ranked(Struct, frozen=True):
    """A row with its rank, from 1."""

    rank: int
    score: Score


class RankingView:
    """One ranking, read on the thread of a connection. Equal scores have one rank where it is to be `shared`.

    Among equal scores who reached it first stands first, then the ids decide: also where the rank is shared.
    """

    def __init__(self, connection: Any, ranking: int) -> None:
        self._connection = connection
        self._ranking = ranking
        self._sections: Sections | None = None

    @property
    def sections(self) -> Sections:
        """What ranks are counted by."""
        if self._sections is None:
            self._sections = Sections(self._connection, self._ranking)
        return self._sections

    @property
    def undivided(self) -> int | None:
        """The ranking's integer, if dividing it would have saved much counting."""
        found = self._sections
        return self._ranking if found is not None and not found.are_there and found.counted > LONG else None

    def total(self) -> int:
        """The number of places."""
        return self.sections.total()

    def best(self, limit: int, *, shared: bool = False) -> list[Ranked]:
        """The first places."""
        rows = _queries.best(self._connection, ranking=self._ranking, limit=limit)
        return self._ranked([Score(*row) for row in rows], 1, shared=shared)

    def after(self, place: Score, limit: int, *, shared: bool = False) -> list[Ranked]:
        """The places after one, which need not exist any more."""
        rows = _queries.after(self._connection, ranking=self._ranking, **_named(place), limit=limit)
        scores = [Score(*row) for row in rows]
        return self._ranked(scores, self._position(scores[0]), shared=shared) if scores else []

    def around(self, participant_id: str, near: int, *, shared: bool = False) -> list[Ranked]:
        """A participant's place with so many on each side; empty for one who has none."""
        own = self.place(participant_id)
        if own is None:
            return []
        rows = _queries.before(self._connection, ranking=self._ranking, **_named(own), limit=near)
        above = [Score(*row) for row in rows][::-1]
        rows = _queries.after(self._connection, ranking=self._ranking, **_named(own), limit=near)
        position = self._position(own)
        scores = [*above, own, *(Score(*row) for row in rows)]
        return self._ranked(scores, position - len(above), shared=shared)

    def place(self, participant_id: str) -> Score | None:
        """A participant's own place."""
        row = _queries.place(self._connection, ranking=self._ranking, participant_id=participant_id)
        return None if row is None else Score(*row)

    def members(self, team: str) -> int:
        """How many members of a team have a score, in a ranking of teams."""
        found: int | None = _team_queries.members(self._connection, ranking=self._ranking, name=team)
        return found or 0

    def rank(self, participant_id: str, *, shared: bool = False) -> Ranked | None:
        """A participant's place and rank."""
        own = self.place(participant_id)
        if own is None:
            return None
        return Ranked(self._shared_rank(own) if shared else self._position(own), own)

    def _shared_rank(self, place: Score) -> int:
        return self.sections.before(place.score, LOWEST) + 1

    def _position(self, place: Score) -> int:
        """From 1, and never shared."""
        equals: int = _queries.count_equals(self._connection, ranking=self._ranking, **_named(place))
        return self.sections.before(place.score, place.reached_at) + equals + 1

    def _ranked(self, scores: Sequence[Score], first: int, *, shared: bool) -> list[Ranked]:
        """Consecutive places, of which the first is at this position."""
        found: list[Ranked] = []
        for position, each in enumerate(scores, first):
            rank = position
            if shared and found and found[-1].score.score == each.score:
                rank = found[-1].rank
            elif shared and not found and position > 1:
                rank = self._shared_rank(each)
            found.append(Ranked(rank, each))
        return found


class Rankings:
    """Reads rankings, and has long ones divided that are asked for ranks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, scope: Scope, names: Sequence[Ranking], work: Callable[..., T]) -> T:
        """What a function makes of the views of these rankings, on a connection's thread, as of one moment.

        Raises `StoreUnavailable`.
        """

        def look(connection: Any) -> tuple[T | None, list[int]]:
            connection.execute("BEGIN")
            try:
                views = views_of(connection, scope, names)
                for view in views:
                    view.total()  # whatever is asked of a long one waits until it is divided
                long = [each for view in views if (each := view.undivided) is not None and each not in tried]
                return (None, long) if long else (work(*views), [])
            finally:
                connection.execute("ROLLBACK")

        if not names:
            return work()
        tried: list[int] = []
        while True:
            async with self._database.read() as connection:
                found, long = await connection.run(look)
            if not long:
                return found  # type: ignore[return-value]
            for ranking in long:
                tried.append(ranking)
                await self._divide(ranking)

    async def _divide(self, ranking: int) -> None:
        try:
            async with self._database.transaction() as connection:
                references = connection.references
                connection.wakes.add(MEMORY)  # that a ranking is whole, others remember as well
                await connection.run(lambda writing: references.divide(writing, ranking))
        except StoreUnavailable:
            return  # a full disk, say: ranks are counted, which takes longer


def views_of(connection: Any, scope: Scope, names: Sequence[Ranking]) -> list[RankingView]:
    """Views of these rankings; an empty one for a ranking without any places."""
    return [RankingView(connection, _number(connection, scope, name)) for name in names]


def _number(connection: Any, scope: Scope, name: Ranking) -> int:
    own = {"board": name[0], "time_window": name[1], "period": name[2]}
    look = _queries.ranking_of_teams if name[0].startswith(TEAMS) else _queries.ranking
    return look(connection, **scope._asdict(), **own) or NOWHERE


def _named(place: Score) -> dict[str, Any]:
    return {"score": place.score, "reached_at": place.reached_at, "participant_id": place.participant_id}
