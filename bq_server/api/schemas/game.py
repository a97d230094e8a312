"""Schemas of `/api/v1/gamify/admin/game`: the game of an environment."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Moment, Query


class ApplyQuery(Query):
    """How to apply."""

    dry_run: bool = Field(False, description="Only return what would change.")
    backfill: bool = Field(False, description="Also count the facts already stored.")


class PaymentForecast(BaseModel):
    """What one cause would award for stored facts."""

    cause: str = Field(description="As in the ledger, without the fact's id.")
    participants: int
    points: int
    badges: int


class BackfillForecast(BaseModel):
    """What would be awarded for stored facts."""

    payments: list[PaymentForecast]
    participants: int = Field(description="How many would be awarded something.")
    examined: int = Field(description="How many participants of `total` were examined; this takes ten seconds at most.")
    total: int


class ApplyAnswer(BaseModel):
    """What applying the game changes, by `<kind>/<code>`."""

    dry_run: bool
    version: int | None = Field(description="The new version; null for a dry run.")
    added: list[str]
    changed: list[str]
    removed: list[str]
    unchanged: int
    recomputed: list[str] = Field(description="Recomputed for every participant, in the background.")
    participants_affected: int
    forecast: BackfillForecast | None = Field(description="For a dry run: what it would award for stored facts.")
    warnings: list[str] = Field(description="What probably doesn't do what was meant.")


class MistakeAnswer(BaseModel):
    """Something wrong in a game document."""

    line: int = Field(description="From 1, as is the column.")
    column: int
    path: str = Field(
        description="Where in the game: `challenges[0].objectives[1].when`; empty for the document itself."
    )
    message: str
    severity: Literal["error", "warning"]


class CheckAnswer(BaseModel):
    """What is wrong in a game document. Nothing is applied, and no state is read."""

    valid: bool = Field(description="Whether it can be applied; warnings don't prevent that.")
    mistakes: list[MistakeAnswer]


class WarningAnswer(BaseModel):
    """An expression had no usable value for facts, which therefore didn't match."""

    definition: str
    message: str
    count: int
    sample_fact_id: str
    last_at: Moment


class RefoldAnswer(BaseModel):
    """Definitions that are being recomputed, participant by participant."""

    definitions: list[str]
    done: int
    total: int
    started_at: Moment
    finished_at: Moment | None


class GameAnswer(BaseModel):
    """The current game."""

    version: int = Field(description="0 if no game was applied.")
    applied_at: Moment | None
    game: dict[str, Any]
    warnings: list[WarningAnswer]
    refolds: list[RefoldAnswer] = Field(description="Running ones first, then the newest finished ones.")


PUT_GAME_BODY: dict[str, Any] = {
    "points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}]
}
