"""`/api/v1/gamify/participants`: who they are (vendor notes, 1.3)."""

import base64
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json
from starlette.responses import Response

from bq_server.api.call import Call, require_stored
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.participant_view import attributes_now, told_attributes, view_of_participant
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.participants import (
    CREATE_BODY,
    EDIT_BODY,
    ParticipantEdit,
    ParticipantIn,
    ParticipantPatch,
    ParticipantsAnswer,
    ParticipantsQuery,
    ParticipantSummary,
    ProfileAnswer,
)
from bq_server.clock import Clocks
from bq_server.events import Event
from bq_server.game.attributes import merged
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import ATTRIBUTES_CHANGED, TIMEZONE_CHANGED
from bq_server.game.read_models import read_badges, read_points, read_tier
from bq_server.game.state.keys import digest, is_hidden
from bq_server.game.streak_states import read_streaks
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.moments import format_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import AlreadySo, another_zone, no_guard
from bq_server.processing.hooks import Look
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import participants, reward_claims, state
from bq_server.store.aliases import names_of
from bq_server.store.database import Connection, Database
from bq_server.store.participants import Participant

PREFIX = "/api/v1/gamify/participants"
TAG = "Participants"
ONE = f"{PREFIX}/{{participant_id}}"


class ParticipantsResource:
    """Creates, edits, lists and shows participants."""

    def __init__(
        self, intake: SyncIntake, database: Database, games: Games, parser: RequestParser, clocks: Clocks
    ) -> None:
        self._intake = intake
        self._database = database
        self._games = games
        self._parser = parser
        self._clocks = clocks

    @operation(
        "createParticipant",
        "POST",
        PREFIX,
        TAG,
        {201: DocumentedAnswer(ProfileAnswer, "The participant exists now.")},
        scope="ingest",
        body=ParticipantIn,
        body_example=CREATE_BODY,
    )
    async def create(self, call: Call) -> Response:
        """Create a participant, or edit one."""
        sent, _ = await self._parser.model(call, ParticipantIn)
        await self._edit(call, sent.participant_id, sent, must_exist=False)
        return json_response(await self._profile(call, sent.participant_id), 201)

    @operation(
        "listParticipants",
        "GET",
        PREFIX,
        TAG,
        {200: DocumentedAnswer(ParticipantsAnswer, "One page.")},
        scope="read",
        query=ParticipantsQuery,
    )
    async def list_participants(self, call: Call[ParticipantsQuery]) -> Response:
        """Participants, in the order of their ids."""
        query = call.query
        after = "" if query.cursor is None else _read_cursor(query.cursor)
        async with self._database.read() as connection:
            page, last = await participants.page(connection, call.scope, query.search, after, query.limit)
            game = await self._games.of(connection, call.scope)
            states = await state.states(connection, call.scope, [each.participant_id for each in page])
        answer = ParticipantsAnswer(
            participants=[_summary(each, game, states.get(each.participant_id, {}).get("cells", {})) for each in page],
            next_cursor=None if last is None else _cursor(last),
        )
        return json_response(answer)

    @operation(
        "getParticipant",
        "GET",
        ONE,
        TAG,
        {200: DocumentedAnswer(ProfileAnswer, "The current profile.")},
        scope="read",
        codes=(Code.NOT_FOUND,),
    )
    async def get_profile(self, call: Call) -> Response:
        """A participant's profile."""
        return json_response(await self._profile(call, call.parameter("participant_id")))

    @operation(
        "updateParticipant",
        "PATCH",
        ONE,
        TAG,
        {200: DocumentedAnswer(ProfileAnswer, "The current profile.")},
        scope="ingest",
        body=ParticipantPatch,
        body_example=EDIT_BODY,
        codes=(Code.NOT_FOUND,),
    )
    async def edit(self, call: Call) -> Response:
        """Edit a participant."""
        sent, _ = await self._parser.model(call, ParticipantPatch)
        participant_id = call.parameter("participant_id")
        await self._edit(call, participant_id, sent, must_exist=True)
        return json_response(await self._profile(call, participant_id))

    async def _edit(self, call: Call, participant_id: str, sent: ParticipantEdit, *, must_exist: bool) -> None:
        async with self._database.transaction() as connection:
            known = await participants.find(connection, call.scope, participant_id)
            if known is None:
                if must_exist:
                    raise call.missing("participant", participant_id)
                known = Participant(participant_id, None, None, "{}", 0, self._clocks.now(call.scope))
            given = sent.model_fields_set
            attributes = await attributes_now(connection, known, self._clocks.now(call.scope))
            if len(to_json(merged(attributes, sent.attributes or {}))) > self._parser.limits.max_properties_bytes:
                detail = f"must not exceed {self._parser.limits.max_properties_bytes} bytes of compact JSON"
                raise Refusal.of_fields([FieldError("attributes", "too_large", detail)])
            edited = Participant(
                known.participant_id,
                sent.display_name if "display_name" in given else known.display_name,
                sent.avatar_url if "avatar_url" in given else known.avatar_url,
                known.attributes,
                known.total_events,
                known.created_at,
            )
            await participants.put(connection, call.scope, edited)
        if sent.attributes:
            await self._set_attributes(call, participant_id, sent.attributes)
        if sent.timezone is not None:
            event = self._parser.drafter.draft_system(
                call.scope, TIMEZONE_CHANGED, participant_id, {"timezone": sent.timezone}
            )
            try:
                await self._intake.record_guarded(event, another_zone(sent.timezone))
            except AlreadySo:
                return

    async def _set_attributes(self, call: Call, participant_id: str, patch: Mapping[str, Any]) -> None:
        """Make a fact of what changes; none if nothing does."""
        properties = {"attributes": patch}
        event = self._parser.drafter.draft_system(call.scope, ATTRIBUTES_CHANGED, participant_id, properties)
        try:
            await self._intake.record_guarded(event, no_guard, look=self._what_changes(call, event, patch))
        except AlreadySo:
            return

    def _what_changes(self, call: Call, event: Event, patch: Mapping[str, Any]) -> Look:
        """The look at the attributes before. Raises `AlreadySo`."""

        async def look(connection: Connection) -> Event | None:
            known = await participants.find(connection, call.scope, event.participant_id)
            before = None
            if known is not None:
                before = await told_attributes(connection, known, self._clocks.now(call.scope))
            if before is None and known is not None and (untold := from_json(known.attributes)):
                # Set by an earlier release, before they were facts: now they become one.
                properties = {"attributes": merged(untold, patch)}
                return event._replace(properties=to_json(properties).decode())
            if digest(merged(before or {}, patch)) == digest(before or {}):
                raise AlreadySo(before)
            return None

        return look

    async def _profile(self, call: Call, participant_id: str) -> ProfileAnswer:
        async with self._database.read() as connection:
            at = await view_of_participant(connection, call, self._games, participant_id)
            attributes = await attributes_now(connection, at.participant, self._clocks.now(call.scope))
            claimed = (
                await reward_claims.count_of(connection, call.scope, at.participant.participant_id)
                if at.game.game.rewards
                else 0
            )
            names = await names_of(connection, call.scope, at.participant.reference)
        streaks = [each for each in read_streaks(at.game, at.cells, self._clocks.now(call.scope)) if each.current_count]
        return ProfileAnswer(
            participant_id=at.participant.participant_id,
            aliases=names,
            display_name=at.participant.display_name,
            avatar_url=at.participant.avatar_url,
            attributes=attributes,
            points=read_points(at.game, at.cells),
            tier=read_tier(at.game, at.cells),
            badges=[badge for badge in read_badges(at.game, at.cells) if badge.earned],
            streaks=max(streaks, key=lambda each: each.current_count, default=None),
            rewards_claimed=claimed,
            total_events=at.participant.total_events,
            is_hidden=is_hidden(at.cells),
            created_at=format_timestamp(at.participant.created_at),
        )


def _summary(known: Participant, game: CompiledGame, cells: Mapping[str, Any]) -> ParticipantSummary:
    tier = read_tier(game, cells).current_tier
    return ParticipantSummary(
        participant_id=known.participant_id,
        display_name=known.display_name,
        balance=read_points(game, cells).balance,
        tier=None if tier is None else tier.name,
        total_events=known.total_events,
        created_at=format_timestamp(known.created_at),
    )


def _cursor(participant_id: str) -> str:
    return base64.urlsafe_b64encode(participant_id.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> str:
    try:
        participant_id = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True).decode()
    except ValueError:
        detail = "is not from this server: send the next_cursor of the previous page"
        raise Refusal.of_fields([FieldError("cursor", "invalid_cursor", detail)]) from None
    require_stored("cursor", participant_id)
    return participant_id
