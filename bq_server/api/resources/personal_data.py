"""`/api/v1/admin/participants`: a person's rights, exercised with the scope `admin`."""

from collections.abc import AsyncIterator

from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.groups_view import groups_now
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.participant_view import RanksNow, attributes_now, teams_now
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources.dead_letters import dead_letter_answer
from bq_server.api.resources.facts import fact_answer
from bq_server.api.resources.participant_state import transaction_answer
from bq_server.api.schemas.participant_state import StateAnswer
from bq_server.api.schemas.personal_data import (
    ERASE_BODY,
    EXPORT_BODY,
    CleanedUpAnswer,
    CleanUpIn,
    ErasedAnswer,
    EraseIn,
    ExportIn,
    PersonalDataAnswer,
    PersonalDelivery,
    PersonalFact,
    PersonalMessage,
    PersonalNotice,
    PersonalPlace,
    PersonalProfile,
    PersonalReceivedFact,
)
from bq_server.api.spooled import spooled
from bq_server.clock import Clocks
from bq_server.concurrency.time_slices import TimeSlices
from bq_server.events import Event
from bq_server.game.challenge_states import read_challenges, rounds_now
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.mechanics.leaderboards import NEVER_REACHED
from bq_server.game.read_models import read_badges, read_points, read_tier
from bq_server.game.streak_states import read_streaks
from bq_server.ingest.dead_letters import ScopedDeadLetters
from bq_server.moments import format_timestamp
from bq_server.privacy.eraser import Eraser, unknown
from bq_server.processing.compiled_games import Games
from bq_server.processing.recorded_effects import packed_effects, received_effects, shown_effects
from bq_server.processing.team_changes import definition_of
from bq_server.refusals import Code
from bq_server.sandbox.drain import Drain
from bq_server.store import erasures, feed, ledger, participants, received_facts, state, team_scores
from bq_server.store.aliases import names_of, story_of
from bq_server.store.database import Connection, Database
from bq_server.store.facts import fact_id_of
from bq_server.store.participants import Participant
from bq_server.store.rankings import views_of
from bq_server.store.team_scores import MemberScore

PATH = "/api/v1/admin/participants"
TAG = "Personal data"
FACTS = 500
"""Facts read at a time."""


class PersonalDataResource:
    """Exports everything that is kept about a participant, and erases it."""

    def __init__(
        self,
        database: Database,
        games: Games,
        drain: Drain,
        dead_letters: ScopedDeadLetters,
        eraser: Eraser,
        clocks: Clocks,
        parser: RequestParser,
    ) -> None:
        self._database = database
        self._games = games
        self._drain = drain
        self._dead_letters = dead_letters
        self._eraser = eraser
        self._clocks = clocks
        self._parser = parser

    @operation(
        "exportParticipant",
        "POST",
        f"{PATH}/export",
        TAG,
        {200: DocumentedAnswer(PersonalDataAnswer, "Everything there is.")},
        scope="admin",
        body=ExportIn,
        body_example=EXPORT_BODY,
        codes=(Code.NOT_FOUND, Code.STREAM_UNAVAILABLE),
    )
    async def export(self, call: Call) -> Response:
        """Everything that is kept about a participant."""
        sent, _ = await self._parser.model(call, ExportIn)
        return await spooled(self._document(call, sent.participant_id), "application/json")

    @operation(
        "eraseParticipant",
        "POST",
        f"{PATH}/erase",
        TAG,
        {200: DocumentedAnswer(ErasedAnswer, "The participant was erased.")},
        scope="admin",
        body=EraseIn,
        body_example=ERASE_BODY,
        codes=(Code.NOT_FOUND, Code.STREAM_UNAVAILABLE, Code.NOT_DRAINED),
    )
    async def erase(self, call: Call) -> Response:
        """Erase a participant: name, profile, state, and everything that facts say about them."""
        sent, _ = await self._parser.model(call, EraseIn)
        act = call.act("participant_erased")
        erased = await self._eraser.erase(act, call.scope, sent.participant_id, sent.timeout_ms / 1000)
        cleaned = await self._eraser.clean_up() if sent.clean_up else None
        return json_response(
            ErasedAnswer(
                facts=erased.facts,
                dead_letters=erased.dead_letters,
                database_clean=cleaned is not None,
                stream_clean=cleaned is not None and cleaned.stream,
            )
        )

    @operation(
        "cleanUpErasures",
        "POST",
        f"{PATH}/clean-up",
        TAG,
        {200: DocumentedAnswer(CleanedUpAnswer, "The files are clean.")},
        scope="admin",
        body=CleanUpIn,
        body_example={},
        codes=(Code.STREAM_UNAVAILABLE,),
    )
    async def clean_up(self, call: Call) -> Response:
        """Remove what is left of erased participants from the files."""
        await self._parser.model(call, CleanUpIn)
        cleaned = await self._eraser.clean_up(call.act("erasures_cleaned_up"))
        return json_response(CleanedUpAnswer(erasures=cleaned.erasures, stream_clean=cleaned.stream))

    async def _document(self, call: Call, participant_id: str) -> AsyncIterator[bytes]:
        """The answer in pieces: there may be any number of facts."""
        scope = call.scope
        # In this order nothing that settles meanwhile is missed, though it may appear twice.
        async with self._database.read() as connection:
            participant_id = await story_of(connection, scope, participant_id)
            number = await participants.reference(connection, scope, participant_id)
            names = [] if number is None else await names_of(connection, scope, number)
        everyone = (participant_id, *names)
        waiting = [event for each in everyone for event in await self._drain.waiting(scope, each)]
        letters = [letter for each in everyone for letter in await self._dead_letters.of_participant(scope, each)]
        async with self._database.read() as connection, state.snapshot(connection):
            known = await participants.find(connection, scope, participant_id)
            reference = await participants.reference(connection, scope, participant_id)
            notices = [notice for each in everyone for notice in await feed.notices_of(connection, scope, each)]
            if reference is None and not waiting and not letters and not notices:
                raise unknown(scope)
            answer = PersonalDataAnswer(
                participant_id=participant_id,
                aliases=names,
                environment=scope.environment,
                exported_at=format_timestamp(self._clocks.now(scope)),
                profile=None if known is None else await self._profile(connection, call, known),
                state=None if known is None else await self._state(connection, call, known),
                places=[] if reference is None else await self._places(connection, reference, call),
                transactions=[]
                if reference is None
                else [transaction_answer(each.entry) for each in await ledger.whole(connection, reference)],
                waiting=[_message(each) for each in waiting],
                dead_letters=[each for each in map(dead_letter_answer, letters) if each is not None],
                webhook_deliveries=[
                    PersonalDelivery(
                        delivery_id=each.delivery_id,
                        endpoint_id=each.endpoint_id,
                        event_type=each.event_type,
                        fact_id=each.fact_id,
                        created_at=format_timestamp(each.created_at),
                        state=each.state,
                    )
                    for name in everyone
                    for each in await erasures.deliveries_of(connection, scope, name)
                ],
                notices=[
                    PersonalNotice(type=each.kind, noted_at=format_timestamp(each.noted_at), data=each.data)
                    for each in notices
                ],
                received=[] if reference is None else await self._received(connection, call, participant_id, reference),
                facts=[],
            )
            head = answer.model_dump_json(by_alias=True).encode()
            yield head.removesuffix(b"]}")
            if reference is not None:
                async for piece in _facts(connection, reference):
                    yield piece
            yield b"]}"

    async def _profile(self, connection: Connection, call: Call, known: Participant) -> PersonalProfile:
        return PersonalProfile(
            display_name=known.display_name,
            avatar_url=known.avatar_url,
            attributes=await attributes_now(connection, known, self._clocks.now(call.scope)),
            created_at=format_timestamp(known.created_at),
        )

    async def _state(self, connection: Connection, call: Call, known: Participant) -> StateAnswer:
        game = await self._games.of(connection, call.scope)
        now = self._clocks.now(call.scope)
        cells = await state.cells_with(connection, call.scope, known.participant_id, rounds_now(game, now))
        groups = await groups_now(connection, call.scope, game, known, now)
        ranks = RanksNow(game, known.participant_id, now, await teams_now(connection, game, known, now))
        return StateAnswer(
            participant_id=known.participant_id,
            total_events=known.total_events,
            points=read_points(game, cells),
            tier=read_tier(game, cells),
            badges=read_badges(game, cells),
            streaks=read_streaks(game, cells, now),
            challenges=read_challenges(game, cells, now, groups),
            leaderboards=await connection.run(lambda reading: ranks.look(*views_of(reading, call.scope, ranks.names))),
        )

    async def _received(
        self, connection: Connection, call: Call, participant_id: str, reference: int
    ) -> list[PersonalReceivedFact]:
        if not (await self._games.of(connection, call.scope)).has_received:
            return []
        rows = await connection.run(lambda reading: received_facts.effects_for(reading, reference))
        return [
            PersonalReceivedFact(
                fact_id=(fact_id := fact_id_of(event_id, own_id)),
                fact_type=fact_type,
                occurred_at=format_timestamp(at),
                effects=received_effects(fact_id, participant_id, at, effects),
            )
            for _, own_id, event_id, fact_type, at, effects in rows
        ]

    async def _places(self, connection: Connection, reference: int, call: Call) -> list[PersonalPlace]:
        game = await self._games.of(connection, call.scope)
        boards = [key for key in game.rules if key.startswith(("leaderboard/", "challenge/", "contest/"))]
        places = await state.places_of(connection, reference, "", boards)
        for_teams = await connection.run(lambda reading: team_scores.of_participant(reading, reference))
        return [
            PersonalPlace(
                board=each.board,
                window=each.window,
                period=each.period,
                score=game.order_of(each.board).turned(each.score or 0),
                reached_at=None if each.reached_at is None else format_timestamp(each.reached_at),
            )
            for each in places.values()
        ] + [_place_in_team(game, each) for each in for_teams]


def _place_in_team(game: CompiledGame, told: MemberScore) -> PersonalPlace:
    board = definition_of(told.board)
    reached_at = told.score.reached_at
    return PersonalPlace(
        board=board,
        window=told.window,
        period=told.period,
        team=told.team,
        score=game.order_of(board).turned(told.score.score or 0),
        reached_at=None if reached_at in (None, NEVER_REACHED) else format_timestamp(reached_at),
    )


async def _facts(connection: Connection, reference: int) -> AsyncIterator[bytes]:
    slices = TimeSlices()
    comma = b""
    async for fact, effects in erasures.facts_with_effects(connection, reference, FACTS):
        await slices.give_way()
        caused = shown_effects(fact, packed_effects({} if effects is None else {None: effects}))
        yield comma + PersonalFact(**fact_answer(fact).model_dump(), effects=caused).model_dump_json().encode()
        comma = b","


def _message(event: Event) -> PersonalMessage:
    return PersonalMessage(
        message_id=event.message_id or "",
        event_id=event.event_id,
        event_name=event.event_name,
        properties=from_json(event.properties),
        occurred_at=format_timestamp(event.occurred_at),
        received_at=format_timestamp(event.received_at),
        idempotency_key=event.idempotency_key,
    )
