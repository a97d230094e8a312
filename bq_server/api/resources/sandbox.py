"""`/api/v1/sandbox`: what only test environments may do."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from tempfile import SpooledTemporaryFile
from time import monotonic

from starlette.responses import Response, StreamingResponse

from bq_server.api.bodies import NDJSON, read_body
from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.sandbox import (
    ADVANCE_CLOCK_BODY,
    CLOCK_ANSWER,
    DRAIN_BODY,
    IMPORT_BODY,
    PUT_CLOCK_BODY,
    RESET_BODY,
    AdvanceIn,
    ClockAnswer,
    ClockIn,
    DrainAnswer,
    DrainIn,
    ExportLine,
    ImportAnswer,
    ResetAnswer,
    ResetIn,
)
from bq_server.clock import Clocks
from bq_server.moments import format_timestamp
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.sandbox.clocks import EARLIEST, LATEST, BeyondTheCalendar, Timekeeping
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

PATH = "/api/v1/sandbox"
TAG = "Sandbox"
SHOWS = DocumentedAnswer(ClockAnswer, "What it shows.", CLOCK_ANSWER)
WAITS = (Code.STREAM_UNAVAILABLE, Code.NOT_DRAINED)


class SandboxResource:
    """Drains, resets, exports and imports a test environment, and sets its clock."""

    def __init__(
        self,
        settling: Settling,
        timekeeping: Timekeeping,
        resetting: Resetting,
        exporting: Exporting,
        importing: Importing,
        clocks: Clocks,
        parser: RequestParser,
    ) -> None:
        self._settling = settling
        self._timekeeping = timekeeping
        self._resetting = resetting
        self._exporting = exporting
        self._importing = importing
        self._clocks = clocks
        self._parser = parser
        self._turns = Turns()

    @operation(
        "POST",
        f"{PATH}/drain",
        TAG,
        {200: DocumentedAnswer(DrainAnswer, "Nothing waits.")},
        scope="read",
        body=DrainIn,
        body_example=DRAIN_BODY,
        codes=WAITS,
    )
    async def drain(self, call: Call) -> Response:
        """Wait until everything accepted before is a fact, a duplicate or a dead letter."""
        call.in_sandbox()
        sent, _ = await self._parser.model(call, DrainIn)
        start = monotonic()
        settled = await self._settling.drain(call.scope, sent.timeout_ms / 1000, webhooks=sent.webhooks)
        waited = round((monotonic() - start) * 1000)
        return json_response(
            DrainAnswer(facts=settled.facts, duplicates=settled.duplicates, dead=settled.dead, waited_ms=waited)
        )

    @operation(
        "GET",
        f"{PATH}/clock",
        TAG,
        {200: SHOWS},
        scope="read",
    )
    async def get_clock(self, call: Call) -> Response:
        """The clock of the environment."""
        call.in_sandbox()
        return self._clock(call)

    @operation(
        "PUT",
        f"{PATH}/clock",
        TAG,
        {200: SHOWS},
        scope="admin",
        body=ClockIn,
        body_example=PUT_CLOCK_BODY,
        codes=WAITS,
    )
    async def put_clock(self, call: Call) -> Response:
        """Give the environment a clock of its own."""
        call.in_sandbox()
        sent, _ = await self._parser.model(call, ClockIn)
        async with self._settled(call):
            try:
                await self._timekeeping.set(call.scope, sent.now, frozen=sent.frozen)
            except BeyondTheCalendar:
                raise _beyond("now") from None
            call.record("clock_set", now=format_timestamp(sent.now), frozen=sent.frozen)
            return self._clock(call)

    @operation(
        "DELETE",
        f"{PATH}/clock",
        TAG,
        {200: SHOWS},
        scope="admin",
        codes=WAITS,
    )
    async def delete_clock(self, call: Call) -> Response:
        """Let the environment read the real clock again."""
        call.in_sandbox()
        async with self._settled(call):
            await self._timekeeping.give_back(call.scope)
            call.record("clock_given_back")
            return self._clock(call)

    @operation(
        "POST",
        f"{PATH}/clock/advance",
        TAG,
        {200: SHOWS},
        scope="admin",
        body=AdvanceIn,
        body_example=ADVANCE_CLOCK_BODY,
        codes=WAITS,
    )
    async def advance_clock(self, call: Call) -> Response:
        """Move the environment's clock ahead, when everything accepted before has happened."""
        call.in_sandbox()
        sent, _ = await self._parser.model(call, AdvanceIn)
        async with self._settled(call):
            try:
                await self._timekeeping.advance(call.scope, sent.by)
            except BeyondTheCalendar:
                raise _beyond("by") from None
            call.record("clock_advanced", now=format_timestamp(self._clocks.now(call.scope)))
            return self._clock(call)

    @operation(
        "POST",
        f"{PATH}/reset",
        TAG,
        {200: DocumentedAnswer(ResetAnswer, "It is empty, and its clock is the real one.")},
        scope="admin",
        body=ResetIn,
        body_example=RESET_BODY,
        codes=WAITS,
    )
    async def reset(self, call: Call) -> Response:
        """Empty the environment; its game stays unless told otherwise."""
        call.in_sandbox()
        sent, _ = await self._parser.model(call, ResetIn)
        async with self._turns.take(call.scope, sent.timeout_ms / 1000):
            await self._resetting.reset(call.scope, game=sent.game, seconds=sent.timeout_ms / 1000)
            call.record("environment_reset", game=sent.game)
        return json_response(ResetAnswer(game_kept=not sent.game))

    @operation(
        "GET",
        f"{PATH}/export",
        TAG,
        {200: DocumentedAnswer(ExportLine, "One JSON object a line.", media_type="application/x-ndjson")},
        scope="read",
        codes=WAITS,
    )
    async def export(self, call: Call) -> Response:
        """The environment's game, participants and facts, as NDJSON."""
        call.in_sandbox()
        # Whole before the first byte is sent: a slow reader must neither hold the environment nor see it emptied.
        with ExitStack() as stack:
            file = stack.enter_context(SpooledTemporaryFile(MOST_EXPORT_BYTES_IN_MEMORY))
            async with self._settled(call):
                async for line in self._exporting.lines(call.scope):
                    file.write(line)
            stack.pop_all()
        return StreamingResponse(_pieces(file), media_type="application/x-ndjson")

    @operation(
        "POST",
        f"{PATH}/import",
        TAG,
        {200: DocumentedAnswer(ImportAnswer, "It is there, and all that follows from it.")},
        scope="admin",
        body=ExportLine,
        body_media_type="application/x-ndjson",
        body_example=IMPORT_BODY,
        codes=(*WAITS, Code.NOT_EMPTY),
    )
    async def import_(self, call: Call) -> Response:
        """Lay an export into the environment, which must have no facts."""
        call.in_sandbox()
        body = await read_body(call.request, MOST_IMPORT_BYTES, IMPORT_SECONDS, also=NDJSON)
        story = await read_story(body, self._parser.limits)
        async with self._turns.take(call.scope, SETTLE_SECONDS):
            laid = await self._importing.lay(call.scope, story, SETTLE_SECONDS)
            call.record("environment_imported", facts=laid.facts, participants=laid.participants, game=laid.game)
        return json_response(ImportAnswer(facts=laid.facts, participants=laid.participants, game=laid.game))

    @asynccontextmanager
    async def _settled(self, call: Call) -> AsyncIterator[None]:
        """The environment, with everything settled that was accepted before, and nobody else at it."""
        async with self._turns.take(call.scope, SETTLE_SECONDS):
            await self._settling.drain(call.scope, SETTLE_SECONDS)
            yield

    def _clock(self, call: Call) -> Response:
        own = self._clocks.own(call.scope)
        now = format_timestamp(self._clocks.now(call.scope))
        return json_response(ClockAnswer(now=now, frozen=own is not None and own.frozen, real=own is None))


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
