"""`/api/v1/gamify/admin/game`: the game of an environment."""

import asyncio
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.bodies import YAML, read_body
from bq_server.api.operations import Call, DocumentedAnswer, Operation, Query, json_response
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources.facts import Moment
from bq_server.game.document.check import Mistake, check
from bq_server.game.document.definitions import Game
from bq_server.moments import format_timestamp
from bq_server.processing.game_changes import Applying
from bq_server.refusals import FieldError, Refusal
from bq_server.store import games
from bq_server.store.database import Database


class ApplyQuery(Query):
    """How to apply."""

    dry_run: bool = Field(False, description="Only tell what it would change.")
    backfill: bool = Field(False, description="Count all facts already stored too.")


class ApplyAnswer(BaseModel):
    """What applying the game changes, by `<kind>/<code>`."""

    dry_run: bool
    version: int | None = Field(description="The version now in force; null for a dry run.")
    added: list[str]
    changed: list[str]
    removed: list[str]
    unchanged: int
    recomputed: list[str] = Field(description="Computed anew for every participant, in the background.")
    participants_affected: int
    warnings: list[str] = Field(description="What will hardly do what its author meant.")


class WarningAnswer(BaseModel):
    """An expression had no usable value for facts, which therefore didn't match."""

    definition: str
    message: str
    count: int
    sample_fact_id: str
    last_at: Moment


class RefoldAnswer(BaseModel):
    """Definitions being computed anew, participant by participant."""

    definitions: list[str]
    done: int
    total: int
    started_at: Moment
    finished_at: Moment | None


class GameAnswer(BaseModel):
    """The game in force."""

    version: int = Field(description="0 where no game was applied.")
    applied_at: Moment | None
    game: dict[str, Any]
    warnings: list[WarningAnswer]
    refolds: list[RefoldAnswer] = Field(description="Under way first, then the newest that are finished.")


def operations(applying: Applying, database: Database, reading: RequestParser) -> list[Operation]:
    """The routes of this resource."""

    async def put_game(call: Call) -> Response:
        query: ApplyQuery = call.query
        body = await read_body(call.request, reading.bodies.single, reading.bodies.seconds, also=YAML)
        checked = await asyncio.to_thread(check, body)
        if checked.game is None:
            raise Refusal.of_fields([_field_error(mistake) for mistake in checked.errors])
        applied = await applying.apply(call.scope, checked.game, backfill=query.backfill, dry_run=query.dry_run)
        if not query.dry_run:
            changes = {name: getattr(applied, name) for name in ("added", "changed", "removed")}
            call.record("game_applied", version=applied.version, backfill=query.backfill, **changes)
        answer = ApplyAnswer(
            dry_run=query.dry_run,
            version=None if query.dry_run else applied.version,
            added=applied.added,
            changed=applied.changed,
            removed=applied.removed,
            unchanged=applied.unchanged,
            recomputed=applied.recomputed,
            participants_affected=applied.participants_affected,
            warnings=[str(mistake) for mistake in checked.warnings],
        )
        return json_response(answer)

    async def get_game(call: Call) -> Response:
        async with database.read() as connection:
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

    path, tag = "/api/v1/gamify/admin/game", "Game"
    return [
        Operation(
            "PUT",
            path,
            tag,
            "Put a game in force; JSON or YAML",
            put_game,
            {200: DocumentedAnswer(ApplyAnswer, "In force, or for a dry run what would be.")},
            scope="admin",
            query=ApplyQuery,
            body=Game,
            body_example={"points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}]},
        ),
        Operation(
            "GET",
            path,
            tag,
            "The game in force, its warnings, and what is being computed anew",
            get_game,
            {200: DocumentedAnswer(GameAnswer, "The game.")},
            scope="admin",
        ),
    ]


def _field_error(mistake: Mistake) -> FieldError:
    where = f"line {mistake.line}, column {mistake.column}: "
    return FieldError(mistake.path or "body", "game_mistake", where + mistake.message)
