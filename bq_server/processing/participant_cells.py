"""A participant's cells and past, wherever they are stored."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic_core import from_json

from bq_server.events import Scope
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import Fact as GameFact
from bq_server.game.mechanics.leaderboards import NEVER_REACHED, LeaderboardRule, PointsBoardRule
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.state.keys import Cell
from bq_server.game.state.packed import APART, SCORE, score_cell, slot_of
from bq_server.store import batch, ledger, state
from bq_server.store.batch import Place
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact
from bq_server.store.references import Ranking

Wanted = Mapping[str, Iterable[str]]
"""Keys of cells by participant."""


class ParticipantCells:
    """Reads the cells that aren't in participants' own rows. For a transaction on the writing connection."""

    def __init__(self, connection: Connection, scope: Scope, game: CompiledGame) -> None:
        self._connection = connection
        self._scope = scope
        self._game = game

    async def named(
        self, references: Mapping[str, int], wanted: Wanted, known: Mapping[str, Mapping[str, Cell]]
    ) -> dict[str, dict[str, Cell]]:
        """Those of the cells that exist and are not `known`, by participant. `references` are the participants'."""
        apart: list[tuple[int, str]] = []
        older: list[tuple[int, Ranking]] = []
        names = {reference: participant_id for participant_id, reference in references.items()}
        for participant_id, keys in wanted.items():
            reference = references.get(participant_id)
            if reference is None:
                continue
            for key in keys:
                if key.startswith(APART):
                    apart.append((reference, key))
                elif key.startswith(SCORE) and key not in known[participant_id]:
                    older.append((reference, ranking_of(key)))
        found: dict[str, dict[str, Cell]] = {}
        if apart:
            kept = await self._connection.run(lambda reading: batch.cells(reading, apart))
            found = {names[reference]: own for reference, own in kept.items()}
        if older:
            places = await self._connection.run(
                lambda reading: batch.places(reading, self._connection.references, self._scope, older)
            )
            for (reference, ranking), (score, reached_at, exact) in places.items():
                who = names[reference]
                place = Place(*ranking, who, score, reached_at, None if exact is None else int(exact))
                key, cell = score_of(self._game, place, known[who])
                found.setdefault(who, {})[key] = cell
        return found

    async def under(
        self, participant_id: str, reference: int, prefixes: Sequence[str], known: Mapping[str, Cell]
    ) -> dict[str, Cell]:
        """All cells of a participant whose keys start with one of these; `known` are those of the own row."""
        found = {key: cell for key, cell in known.items() if key.startswith(tuple(prefixes))}
        apart = [prefix for prefix in prefixes if prefix.startswith(APART)]
        found |= await state.cells_apart(self._connection, reference, apart)
        boards = [f"leaderboard/{prefix.split('/')[1]}" for prefix in prefixes if prefix.startswith(SCORE)]
        if boards:
            places = await state.places_of(self._connection, reference, participant_id, boards)
            for place in places.values():
                key, cell = score_of(self._game, place, known)
                found.setdefault(key, cell)
        return found


def ranking_of(key: str) -> Ranking:
    """The ranking in which a score's cell has a place."""
    slot, period = slot_of(key)
    code, window = slot.split("/")
    return f"leaderboard/{code}", window, period


def score_of(game: CompiledGame, place: Place, known: Mapping[str, Cell]) -> tuple[str, Cell]:
    """The cell of a score that is stored only as a place, and its key.

    All scores of a leaderboard have one revision, that of the scores in the participant's own row, `known`.
    """
    prefix = f"{SCORE}{place.board.partition('/')[2]}/"
    rule = game.rules.get(place.board)
    revision: str | None = next((cell["rev"] for key, cell in known.items() if key.startswith(prefix)), None)
    if revision is None:
        revision = rule.revision if isinstance(rule, LeaderboardRule | PointsBoardRule) else ""
    told = game.order_of(place.board).turned(place.score or 0)
    score = rule.untold(told, place.exact) if isinstance(rule, LeaderboardRule) else int(told)
    at = None if place.reached_at == NEVER_REACHED else place.reached_at
    return f"{prefix}{place.window}/{place.period}", score_cell(revision, score, at)


def game_fact(fact: StoredFact) -> GameFact:
    """A stored fact as the game sees it."""
    return GameFact(
        fact.fact_id,
        fact.seq,
        fact.fact_type,
        fact.event_name,
        fact.participant_id,
        from_json(fact.properties),
        fact.occurred_at,
        fact.received_at,
        fact.idempotency_key,
        fact.voids,
    )


async def stored_ledger(connection: Connection, reference: int) -> list[LedgerEntry]:
    """The points ledger of a participant as the game sees it."""
    return await connection.run(lambda reading: [LedgerEntry(*row) for row in ledger.amounts(reading, reference)])
