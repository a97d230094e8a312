"""`/api/v1/gamify/challenges`: definitions, rankings, enrolment."""

from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.challenges import (
    ENROL_BODY,
    ChallengeRankingAnswer,
    ChallengeRankingEntry,
    ChallengesListAnswer,
    EnrolmentAnswer,
    EnrolmentIn,
    LimitQuery,
)
from bq_server.clock import Clocks
from bq_server.game.challenge_states import read_challenge, rounds_now
from bq_server.game.document.challenges import Challenge
from bq_server.game.facts import CHALLENGE_ENROLLED
from bq_server.game.mechanics.recurring_challenges import round_now
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import AlreadySo, NoSuchChallenge, not_enrolled
from bq_server.refusals import Code
from bq_server.store import participants, state
from bq_server.store.aliases import story_of
from bq_server.store.database import Database
from bq_server.store.rankings import Rankings

PREFIX = "/api/v1/gamify/challenges"
TAG = "Challenges"
ONE = f"{PREFIX}/{{code}}"


class ChallengesResource:
    """Shows challenges and their rankings, and enrols participants."""

    def __init__(
        self, intake: SyncIntake, database: Database, games: Games, parser: RequestParser, clocks: Clocks
    ) -> None:
        self._intake = intake
        self._database = database
        self._games = games
        self._parser = parser
        self._clocks = clocks
        self._rankings = Rankings(database)

    @operation(
        "listChallenges",
        "GET",
        PREFIX,
        TAG,
        {200: DocumentedAnswer(ChallengesListAnswer, "The challenges.")},
        scope="read",
    )
    async def list_definitions(self, call: Call) -> Response:
        """The challenges of the game."""
        async with self._database.read() as connection:
            found = (await self._games.of(connection, call.scope)).game.challenges
        shown = [each.model_dump(mode="json", exclude_none=True) for each in found]
        return json_response(ChallengesListAnswer(challenges=shown, total=len(shown)))

    @operation(
        "getChallenge",
        "GET",
        ONE,
        TAG,
        {200: DocumentedAnswer(Challenge, "The challenge.")},
        scope="read",
        codes=(Code.NOT_FOUND,),
    )
    async def get_definition(self, call: Call) -> Response:
        """One challenge."""
        challenge = await self._challenge(call)
        body = challenge.model_dump_json(exclude_none=True)
        return Response(body, media_type="application/json")

    @operation(
        "getChallengeRanking",
        "GET",
        f"{ONE}/leaderboard",
        TAG,
        {200: DocumentedAnswer(ChallengeRankingAnswer, "The ranking.")},
        scope="read",
        query=LimitQuery,
        codes=(Code.NOT_FOUND,),
        reads="shared",
    )
    async def get_ranking(self, call: Call[LimitQuery]) -> Response:
        """The ranking of a challenge."""
        query = call.query
        challenge = await self._challenge(call)
        ranking = (f"challenge/{challenge.code}", *round_now(challenge, self._clocks.now(call.scope)))
        best, total = await self._rankings.read(
            call.scope, [ranking], lambda view: (view.best(query.limit), view.total())
        )
        entries = [
            ChallengeRankingEntry(rank=each.rank, participant_id=each.score.participant_id, progress=each.score.score)
            for each in best
        ]
        return json_response(
            ChallengeRankingAnswer(challenge_code=challenge.code, entries=entries, total_participants=total)
        )

    @operation(
        "enrolInChallenge",
        "POST",
        f"{ONE}/enrol",
        TAG,
        {200: DocumentedAnswer(EnrolmentAnswer, "Enrolled.")},
        scope="ingest",
        body=EnrolmentIn,
        body_example=ENROL_BODY,
        codes=(*INTAKE_CODES, Code.NOT_FOUND),
    )
    async def enrol(self, call: Call) -> Response:
        """Enrol in a challenge; a repeat changes nothing and gets the same answer."""
        sent, _ = await self._parser.model(call, EnrolmentIn)
        challenge = await self._challenge(call)
        if await self._said_before(call, challenge, sent.participant_id):
            return json_response(await self._state(call, challenge, sent.participant_id))
        properties = {"challenge_code": challenge.code}
        event = self._parser.drafter.draft_system(call.scope, CHALLENGE_ENROLLED, sent.participant_id, properties)
        try:
            await self._intake.record_guarded(event, not_enrolled(challenge.code))
        except AlreadySo:
            pass
        except NoSuchChallenge:
            raise call.undefined("challenge", challenge.code) from None
        return json_response(await self._state(call, challenge, sent.participant_id))

    async def _state(self, call: Call, challenge: Challenge, participant_id: str) -> EnrolmentAnswer:
        async with self._database.read() as connection:
            game = await self._games.of(connection, call.scope)
            now = self._clocks.now(call.scope)
            participant_id = await story_of(connection, call.scope, participant_id)
            cells = await state.cells_with(connection, call.scope, participant_id, rounds_now(game, now))
        if f"challenge/{challenge.code}" not in game.rules:
            raise call.undefined("challenge", challenge.code)
        found = read_challenge(game, challenge.code, cells, now)
        return EnrolmentAnswer(participant_id=participant_id, challenge=found)

    async def _said_before(self, call: Call, challenge: Challenge, participant_id: str) -> bool:
        """Whether the participant is already enrolled in a challenge in which everyone takes part.

        It changes nothing there, and counts once the challenge becomes explicit.
        """
        if challenge.enrolment == "explicit" or challenge.duration.type == "rolling":
            return False
        async with self._database.read() as connection:
            who = await story_of(connection, call.scope, participant_id)
            found = await participants.facts(connection, call.scope, who, [CHALLENGE_ENROLLED])
        return any(from_json(fact.properties)["challenge_code"] == challenge.code for fact in found)

    async def _challenge(self, call: Call) -> Challenge:
        code = call.parameter("code")
        async with self._database.read() as connection:
            game = (await self._games.of(connection, call.scope)).game
        found = next((each for each in game.challenges if each.code == code), None)
        if found is None:
            raise call.undefined("challenge", code)
        return found
