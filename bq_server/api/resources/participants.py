"""`/api/v1/gamify/participants`: who they are (vendor notes, 1.3)."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json, to_json
from starlette.responses import Response

from bq_server.api.operations import Call, DocumentedAnswer, Operation, json_response
from bq_server.api.participant_view import standing, unknown_participant
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources.facts import Moment
from bq_server.clock import Clocks
from bq_server.game.facts import TIMEZONE_CHANGED, TimezoneName
from bq_server.game.read_models import (
    BadgeState,
    PointsState,
    StreakState,
    TierState,
    read_badges,
    read_points,
    read_streaks,
    read_tier,
)
from bq_server.ingest.acceptance import Intake
from bq_server.moments import format_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import AlreadySo, another_zone
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import participants
from bq_server.store.database import Database
from bq_server.store.participants import Participant


class _Editable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    display_name: str | None = Field(None, max_length=255)
    avatar_url: str | None = Field(None, max_length=500)
    attributes: dict[str, Any] | None = Field(
        None, description="Merged into those there are; a null takes one away (RFC 7396)."
    )
    timezone: TimezoneName | None = Field(
        None, description="IANA name; holds for streaks from now on, never for the past."
    )


class ParticipantIn(_Editable):
    """A participant to create, or to edit."""

    participant_id: str = Field(min_length=1, max_length=255)


class ParticipantPatch(_Editable):
    """What to edit; what is left out stays."""


class ProfileAnswer(BaseModel):
    """A participant in short."""

    participant_id: str
    display_name: str | None
    avatar_url: str | None
    attributes: dict[str, Any]
    points: PointsState
    tier: TierState
    badges: list[BadgeState] = Field(description="Those earned.")
    streaks: StreakState | None = Field(description="The longest of the streaks running now.")
    rewards_claimed: int = 0
    total_events: int
    is_active: bool = True
    created_at: Moment


def operations(
    intake: Intake, database: Database, games: Games, reading: RequestParser, clocks: Clocks
) -> list[Operation]:
    """The routes of this resource."""

    async def create(call: Call) -> Response:
        sent, _ = await reading.model(call, ParticipantIn)
        await _edit(call, sent.participant_id, sent, must_exist=False)
        return json_response(await _profile(call, sent.participant_id), 201)

    async def edit(call: Call) -> Response:
        sent, _ = await reading.model(call, ParticipantPatch)
        participant_id = call.parameter("participant_id")
        await _edit(call, participant_id, sent, must_exist=True)
        return json_response(await _profile(call, participant_id))

    async def _edit(call: Call, participant_id: str, sent: _Editable, *, must_exist: bool) -> None:
        async with database.transaction() as connection:
            known = await participants.find(connection, call.scope, participant_id)
            if known is None:
                if must_exist:
                    raise unknown_participant(call, participant_id)
                known = Participant(participant_id, None, None, "{}", 0, clocks.now(call.scope))
            given = sent.model_fields_set
            attributes = _merged(from_json(known.attributes), sent.attributes or {})
            text = to_json(attributes).decode()
            if len(text) > reading.limits.max_properties_bytes:
                detail = f"must not exceed {reading.limits.max_properties_bytes} bytes of compact JSON"
                raise Refusal.of_fields([FieldError("attributes", "too_large", detail)])
            edited = Participant(
                participant_id,
                sent.display_name if "display_name" in given else known.display_name,
                sent.avatar_url if "avatar_url" in given else known.avatar_url,
                text,
                known.total_events,
                known.created_at,
            )
            await participants.put(connection, call.scope, edited)
        if sent.timezone is not None:
            event = reading.drafter.draft_system(
                call.scope, TIMEZONE_CHANGED, participant_id, {"timezone": sent.timezone}
            )
            try:
                await intake.record(event, another_zone(sent.timezone))
            except AlreadySo:
                return

    async def get_profile(call: Call) -> Response:
        return json_response(await _profile(call, call.parameter("participant_id")))

    async def _profile(call: Call, participant_id: str) -> ProfileAnswer:
        async with database.read() as connection:
            at = await standing(connection, call, games, participant_id)
        streaks = [each for each in read_streaks(at.game, at.cells, clocks.now(call.scope)) if each.current_count]
        return ProfileAnswer(
            participant_id=participant_id,
            display_name=at.participant.display_name,
            avatar_url=at.participant.avatar_url,
            attributes=from_json(at.participant.attributes),
            points=read_points(at.cells),
            tier=read_tier(at.game, at.cells),
            badges=[badge for badge in read_badges(at.game, at.cells) if badge.earned],
            streaks=max(streaks, key=lambda each: each.current_count, default=None),
            total_events=at.participant.total_events,
            created_at=format_timestamp(at.participant.created_at),
        )

    prefix, tag = "/api/v1/gamify/participants", "Participants"
    one = f"{prefix}/{{participant_id}}"
    return [
        Operation(
            "POST",
            prefix,
            tag,
            "Create a participant, or edit one",
            create,
            {201: DocumentedAnswer(ProfileAnswer, "There is such a participant now.")},
            scope="ingest",
            body=ParticipantIn,
            body_example={"participant_id": "user_123", "display_name": "Ada", "timezone": "Europe/Paris"},
        ),
        Operation(
            "GET",
            one,
            tag,
            "A participant's profile",
            get_profile,
            {200: DocumentedAnswer(ProfileAnswer, "As it stands now.")},
            scope="read",
            codes=(Code.NOT_FOUND,),
        ),
        Operation(
            "PATCH",
            one,
            tag,
            "Edit a participant",
            edit,
            {200: DocumentedAnswer(ProfileAnswer, "As it stands now.")},
            scope="ingest",
            body=ParticipantPatch,
            body_example={"attributes": {"team": "blue", "nickname": None}},
            codes=(Code.NOT_FOUND,),
        ),
    ]


def _merged(kept: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch applied (RFC 7396)."""
    for name, value in patch.items():
        if value is None:
            kept.pop(name, None)
        elif isinstance(value, dict):
            inner = kept.get(name)
            kept[name] = _merged(inner if isinstance(inner, dict) else {}, value)
        else:
            kept[name] = value
    return kept
