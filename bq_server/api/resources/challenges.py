"""`/api/v1/gamify/challenges`: what there is to win, who is ahead, and entering."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from bq_server.api.operations import Call, DocumentedAnswer, Operation, Query, json_response
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources.events import INTAKE_CODES
from bq_server.clock import Clocks
from bq_server.game.document.definitions import Challenge
from bq_server.game.facts import CHALLENGE_ENROLLED
from bq_server.game.read_models import ChallengeState, read_challenge
from bq_server.ingest.acceptance import Intake
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import AlreadySo, NoSuchChallenge, not_enrolled
from bq_server.refusals import Code, Refusal
from bq_server.store import state
from bq_server.store.database import Database


class EnrolmentIn(BaseModel):
    """Who enters."""

    model_config = ConfigDict(extra="forbid", strict=True)

    participant_id: str = Field(min_length=1, max_length=255)


class EnrolmentAnswer(BaseModel):
    """The participant takes part."""

    participant_id: str
    challenge: ChallengeState


class ChallengesListAnswer(BaseModel):
    """The challenges of the game, as they are defined."""

    challenges: list[dict[str, Any]]
    total: int


class ChallengeRankingEntry(BaseModel):
    """A place among those who take part."""

    rank: int
    participant_id: str
    progress: float = Field(description="0 to 1.")


class ChallengeRankingAnswer(BaseModel):
    """Who is ahead; among equals, who got there first."""

    challenge_code: str
    entries: list[ChallengeRankingEntry]
    total_participants: int


class LimitQuery(Query):
    """How many."""

    limit: int = Field(20, ge=1, le=100)


def operations(
    intake: Intake, database: Database, games: Games, reading: RequestParser, clocks: Clocks
) -> list[Operation]:
    """The routes of this resource."""

    async def list_definitions(call: Call) -> Response:
        async with database.read() as connection:
            found = (await games.of(connection, call.scope)).game.challenges
        shown = [each.model_dump(mode="json", exclude_none=True) for each in found]
        return json_response(ChallengesListAnswer(challenges=shown, total=len(shown)))

    async def get_definition(call: Call) -> Response:
        challenge = await _challenge(call)
        body = challenge.model_dump_json(exclude_none=True)
        return Response(body, media_type="application/json")

    async def enrol(call: Call) -> Response:
        sent, _ = await reading.model(call, EnrolmentIn)
        challenge = await _challenge(call)
        if challenge.enrolment == "automatic" and challenge.duration.type != "rolling":
            return json_response(await _state(call, challenge, sent.participant_id))  # everyone takes part
        properties = {"challenge_code": challenge.code}
        event = reading.drafter.draft_system(call.scope, CHALLENGE_ENROLLED, sent.participant_id, properties)
        try:
            await intake.record(event, not_enrolled(challenge.code))
        except AlreadySo:
            pass
        except NoSuchChallenge:
            raise _unknown(call, challenge.code) from None
        return json_response(await _state(call, challenge, sent.participant_id))

    async def _state(call: Call, challenge: Challenge, participant_id: str) -> EnrolmentAnswer:
        async with database.read() as connection:
            game = await games.of(connection, call.scope)
            cells = await state.cells(connection, call.scope, participant_id)
        if f"challenge/{challenge.code}" not in game.rules:
            raise _unknown(call, challenge.code)
        found = read_challenge(game, challenge.code, cells, clocks.now(call.scope))
        return EnrolmentAnswer(participant_id=participant_id, challenge=found)

    async def get_ranking(call: Call) -> Response:
        query: LimitQuery = call.query
        challenge = await _challenge(call)
        async with database.read() as connection:
            best, total = await state.top(
                connection, call.scope, f"challenge/{challenge.code}", "all_time", "all_time", query.limit
            )
        entries = [
            ChallengeRankingEntry(rank=rank, participant_id=each.participant_id, progress=each.score)
            for rank, each in enumerate(best, start=1)
        ]
        return json_response(
            ChallengeRankingAnswer(challenge_code=challenge.code, entries=entries, total_participants=total)
        )

    async def _challenge(call: Call) -> Challenge:
        code = call.parameter("code")
        async with database.read() as connection:
            game = (await games.of(connection, call.scope)).game
        found = next((each for each in game.challenges if each.code == code), None)
        if found is None:
            raise _unknown(call, code)
        return found

    prefix, tag = "/api/v1/gamify/challenges", "Challenges"
    one = f"{prefix}/{{code}}"
    return [
        Operation(
            "GET",
            prefix,
            tag,
            "The challenges of the game",
            list_definitions,
            {200: DocumentedAnswer(ChallengesListAnswer, "As they are defined.")},
            scope="read",
        ),
        Operation(
            "GET",
            one,
            tag,
            "One challenge",
            get_definition,
            {200: DocumentedAnswer(Challenge, "As it is defined.")},
            scope="read",
            codes=(Code.NOT_FOUND,),
        ),
        Operation(
            "GET",
            f"{one}/leaderboard",
            tag,
            "Who is ahead in a challenge",
            get_ranking,
            {200: DocumentedAnswer(ChallengeRankingAnswer, "The ranking.")},
            scope="read",
            query=LimitQuery,
            codes=(Code.NOT_FOUND,),
        ),
        Operation(
            "POST",
            f"{one}/enrol",
            tag,
            "Enter a challenge; a repeat changes nothing and answers the same",
            enrol,
            {200: DocumentedAnswer(EnrolmentAnswer, "Takes part.")},
            scope="ingest",
            body=EnrolmentIn,
            body_example={"participant_id": "user_123"},
            codes=(*INTAKE_CODES, Code.NOT_FOUND),
        ),
    ]


def _unknown(call: Call, code: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"The {call.scope.environment} environment's game has no challenge {code}.")
