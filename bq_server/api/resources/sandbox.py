"""`/api/v1/sandbox`: what only test environments may do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from starlette.responses import Response

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
from bq_server.api.spooled import spooled
from bq_server.clock import Clocks
from bq_server.moments import format_timestamp
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.sandbox.clocks import EARLIEST, LATEST, BeyondTheCalendar, SandboxClocks
from bq_server.sandbox.drain import Drain
from bq_server.sandbox.exclusive import Turns
from bq_server.sandbox.exported_environment import read_export
from bq_server.sandbox.exporter import Exporter
from bq_server.sandbox.importer import Importer
from bq_server.sandbox.resetter import Resetter

DRAIN_SECONDS = 30.0
"""Longest that a change of the clock, an export or an import waits for what was accepted before."""

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
        drain: Drain,
        sandbox_clocks: SandboxClocks,
        resetter: Resetter,
        exporter: Exporter,
        importer: Importer,
        clocks: Clocks,
        parser: RequestParser,
        turns: Turns,
    ) -> None:
        self._drain = drain
        self._sandbox_clocks = sandbox_clocks
        self._resetter = resetter
        self._exporter = exporter
        self._importer = importer
        self._clocks = clocks
        self._parser = parser
        self._turns = turns

    @operation(
        "drainSandbox",
        "POST",
        f"{PATH}/drain",
        TAG,
        {200: DocumentedAnswer(DrainAnswer, "Everything is processed.")},
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
        drained = await self._drain.wait(call.scope, sent.timeout_ms / 1000, webhooks=sent.webhooks)
        waited = round((monotonic() - start) * 1000)
        return json_response(
            DrainAnswer(facts=drained.facts, duplicates=drained.duplicates, dead=drained.dead, waited_ms=waited)
        )

    @operation(
        "getSandboxClock",
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
        "setSandboxClock",
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
        """Set the environment's clock."""
        call.in_sandbox()
        sent, _ = await self._parser.model(call, ClockIn)
        async with self._drained(call):
            try:
                await self._sandbox_clocks.set(call.act("clock_set"), call.scope, sent.now, frozen=sent.frozen)
            except BeyondTheCalendar:
                raise _beyond("now") from None
            return self._clock(call)

    @operation(
        "resetSandboxClock",
        "DELETE",
        f"{PATH}/clock",
        TAG,
        {200: SHOWS},
        scope="admin",
        codes=WAITS,
    )
    async def delete_clock(self, call: Call) -> Response:
        """Return the environment to the real clock."""
        call.in_sandbox()
        async with self._drained(call):
            await self._sandbox_clocks.give_back(call.act("clock_given_back"), call.scope)
            return self._clock(call)

    @operation(
        "advanceSandboxClock",
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
        """Move the environment's clock ahead, once everything accepted before is processed."""
        call.in_sandbox()
        sent, _ = await self._parser.model(call, AdvanceIn)
        async with self._drained(call):
            try:
                await self._sandbox_clocks.advance(call.act("clock_advanced"), call.scope, sent.by)
            except BeyondTheCalendar:
                raise _beyond("by") from None
            return self._clock(call)

    @operation(
        "resetSandbox",
        "POST",
        f"{PATH}/reset",
        TAG,
        {200: DocumentedAnswer(ResetAnswer, "The environment is empty, and on the real clock unless told otherwise.")},
        scope="admin",
        body=ResetIn,
        body_example=RESET_BODY,
        codes=WAITS,
    )
    async def reset(self, call: Call) -> Response:
        """Empty the environment; its game stays by default."""
        call.in_sandbox()
        sent, _ = await self._parser.model(call, ResetIn)
        async with self._turns.take(call.scope, sent.timeout_ms / 1000):
            act, clock = call.act("environment_reset"), None
            if sent.clock is not None:
                try:
                    clock = self._sandbox_clocks.at(sent.clock.now, frozen=sent.clock.frozen)
                except BeyondTheCalendar:
                    raise _beyond("clock.now") from None
            await self._resetter.reset(act, call.scope, game=sent.game, clock=clock, seconds=sent.timeout_ms / 1000)
        return json_response(ResetAnswer(game_kept=not sent.game))

    @operation(
        "exportSandbox",
        "GET",
        f"{PATH}/export",
        TAG,
        {200: DocumentedAnswer(ExportLine, "One JSON object per line.", media_type="application/x-ndjson")},
        scope="read",
        codes=WAITS,
    )
    async def export(self, call: Call) -> Response:
        """The environment's game, participants and facts, as NDJSON."""
        call.in_sandbox()
        async with self._drained(call):
            return await spooled(self._exporter.lines(call.scope), "application/x-ndjson")

    @operation(
        "importSandbox",
        "POST",
        f"{PATH}/import",
        TAG,
        {200: DocumentedAnswer(ImportAnswer, "Imported, with everything that follows from it.")},
        scope="admin",
        body=ExportLine,
        body_media_type="application/x-ndjson",
        body_example=IMPORT_BODY,
        codes=(*WAITS, Code.NOT_EMPTY),
    )
    async def import_(self, call: Call) -> Response:
        """Import an export into the environment, which must have no facts."""
        call.in_sandbox()
        body = await read_body(call.request, MOST_IMPORT_BYTES, IMPORT_SECONDS, also=NDJSON)
        exported = await read_export(body, self._parser.limits)
        async with self._turns.take(call.scope, DRAIN_SECONDS):
            imported = await self._importer.run(call.act("environment_imported"), call.scope, exported, DRAIN_SECONDS)
        return json_response(
            ImportAnswer(
                facts=imported.facts,
                participants=imported.participants,
                game=imported.game,
                warnings=exported.warnings,
            )
        )

    @asynccontextmanager
    async def _drained(self, call: Call) -> AsyncIterator[None]:
        """The environment, once everything accepted before is settled, and with exclusive access to it."""
        async with self._turns.take(call.scope, DRAIN_SECONDS):
            await self._drain.wait(call.scope, DRAIN_SECONDS)
            yield

    def _clock(self, call: Call) -> Response:
        own = self._clocks.own(call.scope)
        now = format_timestamp(self._clocks.now(call.scope))
        return json_response(ClockAnswer(now=now, frozen=own is not None and own.frozen, real=own is None))


def _beyond(name: str) -> Refusal:
    between = f"{format_timestamp(EARLIEST)} and {format_timestamp(LATEST)}"
    return Refusal.of_fields([FieldError(name, "beyond_the_calendar", f"the clock must show a time between {between}")])
