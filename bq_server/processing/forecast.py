"""What applying a game would award for stored facts, and to how many: computed for real, and rolled back."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct, field

from bq_server import causes
from bq_server.clock import Clocks
from bq_server.events import Scope
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import BadgeEarned, PointsChanged, unpacked
from bq_server.game.mechanics.rule import Rule
from bq_server.ids import IdSource
from bq_server.processing.game_runner import GameRunner
from bq_server.processing.game_thread import GameThread
from bq_server.processing.received_facts import deliver_past
from bq_server.store import participants
from bq_server.store.database import Database

PAGE = 50
"""Participants per transaction, which is rolled back."""

SECONDS = 10.0
"""Time limit: with more participants than fit, the forecast says how many were examined."""


class Payment(Struct, frozen=True):
    """What one cause would award."""

    cause: str
    """As in the ledger and the badges, without the id of a fact."""
    participants: int
    points: int
    badges: int


class Forecast(Struct, frozen=True):
    """What would be awarded for stored facts."""

    payments: list[Payment] = field(default_factory=list)
    participants: int = 0
    """How many would be awarded something."""
    examined: int = 0
    total: int = 0
    """How many participants were examined, and of how many."""


class Forecaster:
    """Computes forecasts."""

    def __init__(self, database: Database, ids: IdSource, clocks: Clocks) -> None:
        self._database = database
        self._ids = ids
        self._clocks = clocks
        self._game_thread = GameThread()

    async def of(
        self, scope: Scope, game: CompiledGame, definitions: Sequence[str], owed: Sequence[Rule] = ()
    ) -> Forecast:
        """What recomputing these definitions of a game would award. Raises `StoreUnavailable`.

        `owed`: the rules by which stored facts reach others than their senders first; that is rolled back, too.
        """
        if not definitions:
            return Forecast()
        async with self._database.read() as connection:
            total = await participants.count(connection, scope)
        until = asyncio.get_running_loop().time() + SECONDS
        points: dict[str, int] = defaultdict(int)
        badges: dict[str, int] = defaultdict(int)
        paid: dict[str, set[str]] = defaultdict(set)
        after, examined = "", 0
        while asyncio.get_running_loop().time() < until:
            async with self._database.transaction(undo=True) as connection:
                if owed:
                    await deliver_past(connection, scope, owed, self._clocks.now(scope))
                page = await participants.after(connection, scope, after, PAGE)
                runner = GameRunner(connection, scope, game, self._ids, self._clocks.now(scope), self._game_thread)
                caused = await runner.refold(page, definitions) if page else []
            effects = ((each[0], packed) for each in caused for packed in each[-1])
            for participant_id, packed in effects:
                effect = unpacked(packed, "", participant_id, 0)
                if not isinstance(effect, PointsChanged | BadgeEarned):
                    continue
                cause = causes.of_any_fact(effect.cause)
                paid[cause].add(participant_id)
                if isinstance(effect, PointsChanged):
                    points[cause] += effect.amount
                else:
                    badges[cause] += 1
            examined += len(page)
            if len(page) < PAGE:
                break
            after = page[-1]
        payments = [Payment(cause, len(who), points[cause], badges[cause]) for cause, who in sorted(paid.items())]
        return Forecast(payments, len(set().union(*paid.values())), examined, total)
