"""Schemas of `/api/v1/gamify/admin/game`: the game of an environment."""

from typing import Any

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Moment, Query


class ApplyQuery(Query):
    """How to apply."""

    dry_run: bool = Field(False, description="Only tell what it would change.")
    backfill: bool = Field(False, description="Count all facts already stored too.")


class PaymentForecast(BaseModel):
    """What one cause would award for stored facts."""

    cause: str = Field(description="As the ledger has it, without the id of a fact.")
    participants: int
    points: int
    badges: int


class BackfillForecast(BaseModel):
    """What would be awarded for facts that are stored."""

    payments: list[PaymentForecast]
    participants: int = Field(description="How many would be awarded anything.")
    examined: int = Field(description="How many participants were looked at, of `total`: it takes ten seconds at most.")
    total: int


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
    forecast: BackfillForecast | None = Field(description="Of a dry run: what it would award for stored facts.")
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


PUT_GAME_BODY: dict[str, Any] = {
    "points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}]
}
