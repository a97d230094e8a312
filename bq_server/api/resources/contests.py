"""`/api/v1/contests`: entering, who leads, and the frozen result (vendor notes, 1.12)."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.participant_view import known_participant
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.contests import (
    ENTER_BODY,
    ENTRY_ANSWER,
    ContestAnswer,
    ContestEntryAnswer,
    ContestEntryIn,
    ContestEntryQuery,
    ContestPrize,
    ContestPrizesAnswer,
    ContestRankingAnswer,
    ContestRankingEntry,
    ContestRankingQuery,
    ContestsAnswer,
    ContestStatus,
)
from bq_server.api.schemas.values import Query
from bq_server.clock import Clocks
from bq_server.game.document.contests import Contest
from bq_server.game.facts import CONTEST_ENTERED
from bq_server.game.mechanics.contests import FINAL, LIVE
from bq_server.game.mechanics.leaderboards import NEVER_REACHED
from bq_server.game.mechanics.rule import micros
from bq_server.game.state import keys
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.moments import format_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import AlreadySo, ContestClosed, not_entered
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import contests, participants, state
from bq_server.store.aliases import story_of
from bq_server.store.contests import ContestEnd
from bq_server.store.database import Connection, Database
from bq_server.store.facts import StoredFact
from bq_server.store.participants import Participant
from bq_server.store.rankings import Ranked, Rankings
from bq_server.store.references import Ranking

PREFIX = "/api/v1/contests"
ONE = f"{PREFIX}/{{contest_id}}"
TAG = "Contests"


class ContestsResource:
    """Shows contests and accepts entries."""

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
        "listActiveContests",
        "GET",
        f"{PREFIX}/active",
        TAG,
        {200: DocumentedAnswer(ContestsAnswer, "The contests.")},
        scope="read",
        query=Query,
        reads="shared",
    )
    async def list_active(self, call: Call) -> Response:
        """The contests in progress."""
        async with self._database.read() as connection:
            game = (await self._games.of(connection, call.scope)).game
            ends = await contests.ends(connection, call.scope)
        found = [await self._answer(call, each, ends.get(each.code)) for each in game.contests]
        return json_response(ContestsAnswer(contests=[each for each in found if each.status == "active"]))

    @operation(
        "getContest",
        "GET",
        ONE,
        TAG,
        {200: DocumentedAnswer(ContestAnswer, "The contest.")},
        scope="read",
        query=Query,
        codes=(Code.NOT_FOUND,),
        reads="shared",
    )
    async def get_contest(self, call: Call) -> Response:
        """A contest and its status."""
        contest, end = await self._contest(call)
        return json_response(await self._answer(call, contest, end))

    @operation(
        "listContestPrizes",
        "GET",
        f"{ONE}/prizes",
        TAG,
        {200: DocumentedAnswer(ContestPrizesAnswer, "The prizes.")},
        scope="read",
        query=Query,
        codes=(Code.NOT_FOUND,),
        reads="shared",
    )
    async def list_prizes(self, call: Call) -> Response:
        """What can be won in a contest."""
        contest, _ = await self._contest(call)
        ordered = sorted(contest.prizes, key=lambda each: each.rank_from)
        prizes = [ContestPrize(**each.model_dump()) for each in ordered]
        return json_response(ContestPrizesAnswer(contest_id=contest.code, prizes=prizes))

    @operation(
        "getContestRanking",
        "GET",
        f"{ONE}/leaderboard/public",
        TAG,
        {200: DocumentedAnswer(ContestRankingAnswer, "The first places.")},
        scope="read",
        query=ContestRankingQuery,
        codes=(Code.NOT_FOUND,),
        reads="shared",
    )
    async def get_ranking(self, call: Call[ContestRankingQuery]) -> Response:
        """Who leads in a contest, or its frozen result."""
        contest, end = await self._contest(call)
        is_final = _is_final(end)
        ranking, limit = _ranking(contest, FINAL if is_final else LIVE), call.query.limit
        best, total = await self._rankings.read(call.scope, [ranking], lambda view: (view.best(limit), view.total()))
        async with self._database.read() as connection:
            who = [each.score.participant_id for each in best]
            names = await contests.names_of(connection, call.scope, who)
            states = await state.states(connection, call.scope, who) if is_final else {}
        answer = ContestRankingAnswer(
            entries=[_entry(contest, each, names, states.get(each.score.participant_id)) for each in best],
            total_entries=total,
            updated_at=format_timestamp(self._clocks.now(call.scope)),
            consistency_label="final_verified" if is_final else "realtime_estimated",
        )
        return json_response(answer)

    @operation(
        "enterContest",
        "POST",
        f"{ONE}/enter",
        TAG,
        {200: DocumentedAnswer(ContestEntryAnswer, "The entry; a repeat gets the same one.", ENTRY_ANSWER)},
        scope="ingest",
        body=ContestEntryIn,
        body_example=ENTER_BODY,
        codes=(*INTAKE_CODES, Code.NOT_FOUND),
    )
    async def enter(self, call: Call) -> Response:
        """Enter a contest, before it ends."""
        sent, _ = await self._parser.model(call, ContestEntryIn)
        contest, end = await self._contest(call)
        event = self._parser.drafter.draft_system(
            call.scope, CONTEST_ENTERED, sent.participant_id, {"contest_code": contest.code}
        )
        try:
            await self._intake.record_guarded(event, not_entered(contest.code))
        except AlreadySo:
            pass
        except ContestClosed as closed:
            raise Refusal.of_fields([FieldError("contest_id", "contest_over", f"{contest.code} {closed}")]) from None
        if sent.display_name is not None:
            await self._name(call, sent.participant_id, sent.display_name)
        return json_response(await self._entry_of(call, contest, end, sent.participant_id))

    @operation(
        "getContestEntry",
        "GET",
        f"{ONE}/me",
        TAG,
        {200: DocumentedAnswer(ContestEntryAnswer, "The entry.", ENTRY_ANSWER)},
        scope="read",
        query=ContestEntryQuery,
        codes=(Code.NOT_FOUND,),
        reads="own",
    )
    async def get_entry(self, call: Call[ContestEntryQuery]) -> Response:
        """A participant's entry in a contest, with score and rank."""
        contest, end = await self._contest(call)
        return json_response(await self._entry_of(call, contest, end, call.query.participant_id))

    async def _contest(self, call: Call[Any]) -> tuple[Contest, ContestEnd | None]:
        """The contest that the path names. Raises `Refusal`."""
        code = call.parameter("contest_id")
        async with self._database.read() as connection:
            game = (await self._games.of(connection, call.scope)).game
            ends = await contests.ends(connection, call.scope)
        found = next((each for each in game.contests if each.code == code), None)
        if found is None:
            raise call.undefined("contest", code)
        return found, ends.get(code)

    async def _answer(self, call: Call[Any], contest: Contest, end: ContestEnd | None) -> ContestAnswer:
        ranking, now = _ranking(contest, FINAL if _is_final(end) else LIVE), self._clocks.now(call.scope)
        entries = await self._rankings.read(call.scope, [ranking], lambda view: view.total())
        nothing_left = end is not None and end.due_at <= now and not entries
        return ContestAnswer(
            id=contest.code,
            name=contest.name,
            description=contest.description,
            status="completed" if nothing_left else _status(contest, end, now),
            starts_at=format_timestamp(micros(contest.starts_at) or 0),
            ends_at=format_timestamp(micros(contest.ends_at) or 0),
            entry_count=entries,
        )

    async def _entry_of(
        self, call: Call[Any], contest: Contest, end: ContestEnd | None, participant_id: str
    ) -> ContestEntryAnswer:
        async with self._database.read() as connection:
            participant_id = await story_of(connection, call.scope, participant_id)
            fact = await self._entry_fact(connection, call, contest, participant_id)
            game = await self._games.of(connection, call.scope)
            cells = await state.cells(connection, call.scope, participant_id)
        place = cells.get(keys.contest_place(contest.code))
        entry = ContestEntryAnswer(
            entry_id=fact.fact_id,
            contest_id=contest.code,
            participant_id=participant_id,
            entered_at=format_timestamp(fact.occurred_at),
            score=0,
            rank=None,
        )
        if _is_final(end):
            return entry if place is None else entry.model_copy(update={"score": place["score"], "rank": place["rank"]})
        cell = cells.get(keys.contest(contest.code))
        if cell is None or cell["at"] is None:
            return entry
        shown = game.shown_in_contest(contest.code, cell["score"])
        ranking = _ranking(contest, LIVE)
        ranked = await self._rankings.read(call.scope, [ranking], lambda view: view.rank(participant_id))
        return entry.model_copy(update={"score": shown, "rank": None if ranked is None else ranked.rank})

    async def _entry_fact(
        self, connection: Connection, call: Call[Any], contest: Contest, participant_id: str
    ) -> StoredFact:
        """The first fact, not void, by which the participant entered. Raises `Refusal`."""
        known = await known_participant(connection, call, participant_id)
        own = await participants.facts(connection, call.scope, known.participant_id, [CONTEST_ENTERED])
        for fact in own:
            if fact.voided_by is None and from_json(fact.properties).get("contest_code") == contest.code:
                return fact
        raise Refusal(Code.NOT_FOUND, f"{participant_id} has not entered {contest.code}.")

    async def _name(self, call: Call[Any], participant_id: str, display_name: str) -> None:
        async with self._database.transaction() as connection:
            known = await participants.find(connection, call.scope, participant_id)
            if known is None:
                known = Participant(participant_id, None, None, "{}", 0, self._clocks.now(call.scope))
            if known.display_name != display_name:
                await participants.put(connection, call.scope, replace(known, display_name=display_name))


def _ranking(contest: Contest, name: str) -> Ranking:
    return f"contest/{contest.code}", name, name


def _is_final(end: ContestEnd | None) -> bool:
    return end is not None and end.frozen_at is not None and not end.untold


def _status(contest: Contest, end: ContestEnd | None, now: int) -> ContestStatus:
    if _is_final(end):
        return "completed"
    if now < (micros(contest.starts_at) or 0):
        return "scheduled"
    return "active" if now < (micros(contest.ends_at) or 0) else "scoring"


def _entry(
    contest: Contest, ranked: Ranked, names: Mapping[str, str | None], own: Mapping[str, Any] | None
) -> ContestRankingEntry:
    """A row of the ranking; `own` is the state of the participant, if the ranking is the frozen one."""
    who = ranked.score.participant_id
    rank, score, at = ranked.rank, ranked.score.score, ranked.score.reached_at
    if own is not None:
        place = own["cells"][keys.contest_place(contest.code)]
        rank, score = place["rank"], place["score"]
    return ContestRankingEntry(
        rank=rank,
        display_name=names.get(who) or who,
        score=score,
        last_scored_at=None if at == NEVER_REACHED else format_timestamp(at),
    )
