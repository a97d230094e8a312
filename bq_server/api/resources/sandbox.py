"""`/api/v1/sandbox`: what only test environments may do."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from tempfile import SpooledTemporaryFile
from time import monotonic
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from bq_server.api.bodies import NDJSON, read_body
from bq_server.api.operations import Call, DocumentedAnswer, Operation, json_response
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources.facts import Moment
from bq_server.clock import Clocks
from bq_server.ingest.models import Timestamp
from bq_server.moments import format_timestamp
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.sandbox.clocks import EARLIEST, LATEST, BeyondTheCalendar, Duration, Timekeeping
from bq_server.sandbox.drain import Settling
from bq_server.sandbox.exclusive import Turns
from bq_server.sandbox.export import Exporting
from bq_server.sandbox.exported_environment import read_story
from bq_server.sandbox.reset import Resetting
from bq_server.sandbox.story_import import Importing

SETTLE_SECONDS = 30.0
"""Longest that a move of the clock, an export or an import waits for what was accepted before."""

MOST_EXPORT_BYTES_IN_MEMORY = 8 << 20
PIECE_BYTES = 64 << 10
"""What of an export is kept in memory before a temporary file takes it, and what is sent at once."""

MOST_IMPORT_BYTES = 64 << 20
IMPORT_SECONDS = 60.0
"""How large an import may be, and how long it may take to arrive."""

Milliseconds = Annotated[int, Field(ge=0, le=600_000, strict=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DrainIn(_Body):
    """How long to wait."""

    timeout_ms: Milliseconds = 30_000


class DrainAnswer(BaseModel):
    """Nothing waits; this is what the environment holds."""

    drained: Literal[True] = True
    facts: int
    duplicates: int = Field(description="Messages that only repeated a fact.")
    dead: int = Field(description="Messages that can't be processed.")
    waited_ms: int


class ClockIn(_Body):
    """What the clock shows from now on."""

    now: Timestamp
    frozen: bool = Field(True, strict=True, description="Whether it stands still.")


class AdvanceIn(_Body):
    """How far the clock moves."""

    by: Duration = Field(description="ISO 8601: weeks, days of 24 hours, hours, minutes, seconds.")


class ClockAnswer(BaseModel):
    """The clock that every «now» in the environment reads."""

    now: Moment
    frozen: bool
    real: bool = Field(description="Whether it is the server's own clock.")


class ResetIn(_Body):
    """What to remove."""

    game: bool = Field(False, strict=True, description="The game too.")
    timeout_ms: Milliseconds = Field(30_000, description="How long to wait until what was accepted is settled.")


class ResetAnswer(BaseModel):
    """The environment is empty."""

    reset: Literal[True] = True
    game_kept: bool


class ImportAnswer(BaseModel):
    """What was laid into the environment."""

    facts: int
    participants: int = Field(description="Those with a line of their own.")
    game: bool = Field(description="Whether a game came with them and is in force.")


class ExportLine(BaseModel):
    """A line of an export: one of these. The first says what they are; then game, participants, facts in order."""

    bq_export: int | None = Field(None, description="The format.")
    game: dict[str, Any] | None = Field(None, description="The game in force, with `counts_after` beside it.")
    participant: dict[str, Any] | None = Field(None, description="What is known of a participant beside their facts.")
    fact: dict[str, Any] | None = Field(None, description="A fact.")


def operations(
    settling: Settling,
    timekeeping: Timekeeping,
    resetting: Resetting,
    exporting: Exporting,
    importing: Importing,
    clocks: Clocks,
    reading: RequestParser,
) -> list[Operation]:
    """The routes of this resource."""
    turns = Turns()

    @asynccontextmanager
    async def settled(call: Call) -> AsyncIterator[None]:
        """The environment, with everything settled that was accepted before, and nobody else at it."""
        async with turns.take(call.scope, SETTLE_SECONDS):
            await settling.drain(call.scope, SETTLE_SECONDS)
            yield

    async def drain(call: Call) -> Response:
        call.in_sandbox()
        sent, _ = await reading.model(call, DrainIn)
        start = monotonic()
        settled = await settling.drain(call.scope, sent.timeout_ms / 1000)
        waited = round((monotonic() - start) * 1000)
        return json_response(
            DrainAnswer(facts=settled.facts, duplicates=settled.duplicates, dead=settled.dead, waited_ms=waited)
        )

    async def get_clock(call: Call) -> Response:
        call.in_sandbox()
        return _clock(call)

    async def put_clock(call: Call) -> Response:
        call.in_sandbox()
        sent, _ = await reading.model(call, ClockIn)
        async with settled(call):
            try:
                await timekeeping.set(call.scope, sent.now, frozen=sent.frozen)
            except BeyondTheCalendar:
                raise _beyond("now") from None
            call.record("clock_set", now=format_timestamp(sent.now), frozen=sent.frozen)
            return _clock(call)

    async def delete_clock(call: Call) -> Response:
        call.in_sandbox()
        async with settled(call):
            await timekeeping.give_back(call.scope)
            call.record("clock_given_back")
            return _clock(call)

    async def advance_clock(call: Call) -> Response:
        call.in_sandbox()
        sent, _ = await reading.model(call, AdvanceIn)
        async with settled(call):
            try:
                await timekeeping.advance(call.scope, sent.by)
            except BeyondTheCalendar:
                raise _beyond("by") from None
            call.record("clock_advanced", now=format_timestamp(clocks.now(call.scope)))
            return _clock(call)

    def _clock(call: Call) -> Response:
        own = clocks.own(call.scope)
        now = format_timestamp(clocks.now(call.scope))
        return json_response(ClockAnswer(now=now, frozen=own is not None and own.frozen, real=own is None))

    async def reset(call: Call) -> Response:
        call.in_sandbox()
        sent, _ = await reading.model(call, ResetIn)
        async with turns.take(call.scope, sent.timeout_ms / 1000):
            await resetting.reset(call.scope, game=sent.game, seconds=sent.timeout_ms / 1000)
            call.record("environment_reset", game=sent.game)
        return json_response(ResetAnswer(game_kept=not sent.game))

    async def export(call: Call) -> Response:
        call.in_sandbox()
        # Whole before the first byte is sent: a slow reader must neither hold the environment nor see it emptied.
        with ExitStack() as stack:
            file = stack.enter_context(SpooledTemporaryFile(MOST_EXPORT_BYTES_IN_MEMORY))
            async with settled(call):
                async for line in exporting.lines(call.scope):
                    file.write(line)
            stack.pop_all()
        return StreamingResponse(_pieces(file), media_type="application/x-ndjson")

    async def import_(call: Call) -> Response:
        call.in_sandbox()
        body = await read_body(call.request, MOST_IMPORT_BYTES, IMPORT_SECONDS, also=NDJSON)
        story = await read_story(body, reading.limits)
        async with turns.take(call.scope, SETTLE_SECONDS):
            laid = await importing.lay(call.scope, story, SETTLE_SECONDS)
            call.record("environment_imported", facts=laid.facts, participants=laid.participants, game=laid.game)
        return json_response(ImportAnswer(facts=laid.facts, participants=laid.participants, game=laid.game))

    path, tag = "/api/v1/sandbox", "Sandbox"
    shows = DocumentedAnswer(
        ClockAnswer, "What it shows.", {"now": "2026-04-02T09:00:00Z", "frozen": True, "real": False}
    )
    waits = (Code.STREAM_UNAVAILABLE, Code.NOT_DRAINED)
    return [
        Operation(
            "POST",
            f"{path}/drain",
            tag,
            "Wait until everything accepted before is a fact, a duplicate or a dead letter",
            drain,
            {200: DocumentedAnswer(DrainAnswer, "Nothing waits.")},
            scope="read",
            body=DrainIn,
            body_example={"timeout_ms": 5000},
            codes=waits,
        ),
        Operation(
            "GET",
            f"{path}/clock",
            tag,
            "The clock of the environment",
            get_clock,
            {200: shows},
            scope="read",
        ),
        Operation(
            "PUT",
            f"{path}/clock",
            tag,
            "Give the environment a clock of its own",
            put_clock,
            {200: shows},
            scope="admin",
            body=ClockIn,
            body_example={"now": "2026-04-02T09:00:00Z", "frozen": True},
            codes=waits,
        ),
        Operation(
            "DELETE",
            f"{path}/clock",
            tag,
            "Let the environment read the real clock again",
            delete_clock,
            {200: shows},
            scope="admin",
            codes=waits,
        ),
        Operation(
            "POST",
            f"{path}/clock/advance",
            tag,
            "Move the environment's clock ahead, when everything accepted before has happened",
            advance_clock,
            {200: shows},
            scope="admin",
            body=AdvanceIn,
            body_example={"by": "P1D"},
            codes=waits,
        ),
        Operation(
            "POST",
            f"{path}/reset",
            tag,
            "Empty the environment; its game stays unless told otherwise",
            reset,
            {200: DocumentedAnswer(ResetAnswer, "It is empty, and its clock is the real one.")},
            scope="admin",
            body=ResetIn,
            body_example={"game": False},
            codes=waits,
        ),
        Operation(
            "GET",
            f"{path}/export",
            tag,
            "The environment's game, participants and facts, as NDJSON",
            export,
            {200: DocumentedAnswer(ExportLine, "One JSON object a line.", media_type="application/x-ndjson")},
            scope="read",
            codes=waits,
        ),
        Operation(
            "POST",
            f"{path}/import",
            tag,
            "Lay an export into the environment, which must have no facts",
            import_,
            {200: DocumentedAnswer(ImportAnswer, "It is there, and all that follows from it.")},
            scope="admin",
            body=ExportLine,
            body_media_type="application/x-ndjson",
            body_example={"bq_export": 1, "bq_server": "0.1.0", "exported_at": "2026-04-02T09:00:00Z"},
            codes=(*waits, Code.NOT_EMPTY),
        ),
    ]


async def _pieces(file: "SpooledTemporaryFile[bytes]") -> AsyncIterator[bytes]:
    """The whole file, which is closed then."""
    with file:
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece


def _beyond(name: str) -> Refusal:
    between = f"{format_timestamp(EARLIEST)} and {format_timestamp(LATEST)}"
    return Refusal.of_fields(
        [FieldError(name, "beyond_the_calendar", f"the clock must show a moment between {between}")]
    )
