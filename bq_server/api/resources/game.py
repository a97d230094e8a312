"""`/api/v1/gamify/admin/game`: the game of an environment."""

import asyncio

from msgspec.structs import asdict
from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.bodies import YAML, read_body
from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.game import (
    PUT_GAME_BODY,
    ApplyAnswer,
    ApplyQuery,
    BackfillForecast,
    CheckAnswer,
    GameAnswer,
    MistakeAnswer,
    PaymentForecast,
    RefoldAnswer,
    WarningAnswer,
)
from bq_server.game.document.check import Mistake, check
from bq_server.game.document.definitions import Game
from bq_server.moments import format_timestamp
from bq_server.processing.forecast import Forecast
from bq_server.processing.game_changes import DefaultMoved, GameChanges
from bq_server.refusals import FieldError, Refusal
from bq_server.store import games
from bq_server.store.database import Database

PATH = "/api/v1/gamify/admin/game"
TAG = "Game"


class GameResource:
    """Applies a game, and shows the current one."""

    def __init__(self, game_changes: GameChanges, database: Database, parser: RequestParser) -> None:
        self._game_changes = game_changes
        self._database = database
        self._parser = parser

    @operation(
        "applyGame",
        "PUT",
        PATH,
        TAG,
        {200: DocumentedAnswer(ApplyAnswer, "Applied; for a dry run, what would change.")},
        scope="admin",
        query=ApplyQuery,
        body=Game,
        body_example=PUT_GAME_BODY,
    )
    async def put_game(self, call: Call[ApplyQuery]) -> Response:
        """Apply a game (JSON or YAML)."""
        query = call.query
        body = await read_body(call.request, self._parser.bodies.single, self._parser.bodies.seconds, also=YAML)
        checked = await asyncio.to_thread(check, body)
        if checked.game is None:
            raise Refusal.of_fields([_field_error(mistake) for mistake in checked.errors])
        act = call.act("game_applied")
        try:
            applied = await self._game_changes.apply(
                call.scope, checked.game, backfill=query.backfill, dry_run=query.dry_run, act=act
            )
        except DefaultMoved as moved:
            raise Refusal.of_fields([FieldError("currencies", "game_mistake", str(moved))]) from None
        answer = ApplyAnswer(
            dry_run=query.dry_run,
            version=None if query.dry_run else applied.version,
            added=applied.added,
            changed=applied.changed,
            removed=applied.removed,
            unchanged=applied.unchanged,
            recomputed=applied.recomputed,
            participants_affected=applied.participants_affected,
            forecast=None if applied.forecast is None else _forecast(applied.forecast),
            warnings=[*(str(mistake) for mistake in checked.warnings), *applied.pays_again],
        )
        return json_response(answer)

    @operation(
        "checkGame",
        "POST",
        f"{PATH}/check",
        TAG,
        {200: DocumentedAnswer(CheckAnswer, "The mistakes found, including invalid YAML.")},
        scope="admin",
        body=Game,
        body_example=PUT_GAME_BODY,
    )
    async def check_game(self, call: Call) -> Response:
        """Find every mistake in a game (JSON or YAML), for editors."""
        body = await read_body(call.request, self._parser.bodies.single, self._parser.bodies.seconds, also=YAML)
        checked = await asyncio.to_thread(check, body)
        mistakes = [MistakeAnswer(**asdict(each)) for each in checked.mistakes]
        return json_response(CheckAnswer(valid=checked.game is not None, mistakes=mistakes))

    @operation(
        "getGame",
        "GET",
        PATH,
        TAG,
        {200: DocumentedAnswer(GameAnswer, "The game.")},
        scope="admin",
    )
    async def get_game(self, call: Call) -> Response:
        """The current game, its warnings, and what is being recomputed."""
        async with self._database.read() as connection:
            stored = await games.current(connection, call.scope)
            warnings = await games.warnings(connection, call.scope)
            refolds = await games.refolds(connection, call.scope)
        answer = GameAnswer(
            version=0 if stored is None else stored.version,
            applied_at=None if stored is None else format_timestamp(stored.applied_at),
            game={} if stored is None else from_json(stored.document),
            warnings=[
                WarningAnswer(
                    definition=each.definition,
                    message=each.message,
                    count=each.count,
                    sample_fact_id=each.fact_id,
                    last_at=format_timestamp(each.last_at),
                )
                for each in warnings
            ],
            refolds=[
                RefoldAnswer(
                    definitions=list(each.definitions),
                    done=each.done,
                    total=each.total,
                    started_at=format_timestamp(each.started_at),
                    finished_at=None if each.finished_at is None else format_timestamp(each.finished_at),
                )
                for each in refolds
            ],
        )
        return json_response(answer)


def _forecast(found: Forecast) -> BackfillForecast:
    return BackfillForecast(
        payments=[PaymentForecast(**asdict(each)) for each in found.payments],
        participants=found.participants,
        examined=found.examined,
        total=found.total,
    )


def _field_error(mistake: Mistake) -> FieldError:
    where = f"line {mistake.line}, column {mistake.column}: "
    return FieldError(mistake.path or "body", "game_mistake", where + mistake.message)
