"""Schemas of `/api/v1/sandbox`: what only test environments may do."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Moment, RequestBody
from bq_server.ingest.models import Timestamp
from bq_server.sandbox.clocks import Duration

Milliseconds = Annotated[int, Field(ge=0, le=600_000, strict=True)]


class DrainIn(RequestBody):
    """How long to wait, and for what."""

    timeout_ms: Milliseconds = 30_000
    webhooks: bool = Field(False, strict=True, description="Also wait until each webhook that is due was tried.")


class DrainAnswer(BaseModel):
    """Every event was processed; this is what the environment holds."""

    drained: Literal[True] = True
    facts: int
    duplicates: int = Field(description="Messages that only repeated a fact.")
    dead: int = Field(description="Messages that can't be processed.")
    waited_ms: int


class ClockIn(RequestBody):
    """What to set the clock to."""

    now: Timestamp
    frozen: bool = Field(True, strict=True, description="Whether it is stopped.")


class AdvanceIn(RequestBody):
    """How far the clock moves."""

    by: Duration = Field(description="ISO 8601: weeks, days of 24 hours, hours, minutes, seconds.")


class ClockAnswer(BaseModel):
    """The environment's clock."""

    now: Moment
    frozen: bool
    real: bool = Field(description="Whether it is the server's own clock.")


class ResetIn(RequestBody):
    """What to remove."""

    game: bool = Field(False, strict=True, description="The game too.")
    clock: ClockIn | None = Field(None, description="What the clock is then set to. By default it is the real one.")
    timeout_ms: Milliseconds = Field(30_000, description="How long to wait until every accepted event is processed.")


class ResetAnswer(BaseModel):
    """The environment is empty."""

    reset: Literal[True] = True
    game_kept: bool


class ImportAnswer(BaseModel):
    """What was imported."""

    facts: int
    participants: int = Field(description="Participants with their own line.")
    game: bool = Field(description="Whether the import included a game, which is now in force.")
    warnings: list[str] = Field(description="What is odd about the lines; empty if nothing is.")


class ExportLine(BaseModel):
    """A line of an export: one of these. First a header, then game, participants, facts in order, and the end."""

    bq_export: int | None = Field(None, description="The format.")
    game: dict[str, Any] | None = Field(None, description="The current game, with `counts_after`.")
    participant: dict[str, Any] | None = Field(None, description="A participant's profile.")
    fact: dict[str, Any] | None = Field(None, description="A fact.")
    end_of_export: dict[str, Any] | None = Field(None, description="The last line: how many `lines` come before it.")


CLOCK_ANSWER: dict[str, Any] = {"now": "2026-04-02T09:00:00Z", "frozen": True, "real": False}
DRAIN_BODY: dict[str, Any] = {"timeout_ms": 5000}
PUT_CLOCK_BODY: dict[str, Any] = {"now": "2026-04-02T09:00:00Z", "frozen": True}
ADVANCE_CLOCK_BODY: dict[str, Any] = {"by": "P1D"}
RESET_BODY: dict[str, Any] = {"game": False}
IMPORT_BODY: dict[str, Any] = {"bq_export": 1, "bq_server": "0.2.0", "exported_at": "2026-04-02T09:00:00Z"}
