"""`/api/v1/admin/participants/visibility`: keeping a participant off leaderboards, by whoever has the scope `admin`."""

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.participant_view import known_participant
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.visibility import VISIBILITY_BODY, VisibilityAnswer, VisibilityIn
from bq_server.game.facts import VISIBILITY_CHANGED
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.moments import format_timestamp
from bq_server.processing.guards import AlreadySo, otherwise_visible
from bq_server.refusals import Code
from bq_server.store.database import Database


class VisibilityResource:
    """Hides participants on leaderboards, and shows them again."""

    def __init__(self, intake: SyncIntake, database: Database, parser: RequestParser) -> None:
        self._intake = intake
        self._database = database
        self._parser = parser

    @operation(
        "changeVisibility",
        "POST",
        "/api/v1/admin/participants/visibility",
        "Leaderboards",
        {200: DocumentedAnswer(VisibilityAnswer, "So it is now, or was already.")},
        scope="admin",
        body=VisibilityIn,
        body_example=VISIBILITY_BODY,
        codes=(*INTAKE_CODES, Code.NOT_FOUND),
    )
    async def change(self, call: Call) -> Response:
        """Keep a participant off all leaderboards, or show one again."""
        sent, _ = await self._parser.model(call, VisibilityIn)
        async with self._database.read() as connection:
            await known_participant(connection, call, sent.participant_id)
        properties = {"hidden": sent.hidden, "reason": sent.reason}
        event = self._parser.drafter.draft_system(call.scope, VISIBILITY_CHANGED, sent.participant_id, properties)
        note = call.act("participant_hidden" if sent.hidden else "participant_shown").of_fact()
        since: int | None
        try:
            made = await self._intake.record_guarded(event, otherwise_visible(hidden=sent.hidden), note)
        except AlreadySo as already:
            since = already.cell[-1][0] if already.cell else None
        else:
            since = made.fact.occurred_at
        answer = VisibilityAnswer(
            participant_id=sent.participant_id,
            hidden=sent.hidden,
            since=None if since is None else format_timestamp(since),
        )
        return json_response(answer)
