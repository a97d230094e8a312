"""`/api/v1/gamify/participants/{id}/...`: what a participant's facts add up to (vendor notes, 1.3 to 1.7)."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel
from starlette.responses import Response

from bq_server.api.call import Call, Q
from bq_server.api.claims_view import claims_of
from bq_server.api.groups_view import groups_now
from bq_server.api.operations import DocumentedAnswer, Handler, json_response, operation
from bq_server.api.participant_view import RanksNow, known_participant, teams_now, view_of_participant
from bq_server.api.schemas.participant_state import (
    BadgesAnswer,
    BadgesQuery,
    ChallengesAnswer,
    ExpiringAnswer,
    PointsAnswer,
    PointsToExpire,
    Section,
    StateAnswer,
    StateQuery,
    StreaksAnswer,
    TierAnswer,
    TransactionAnswer,
    TransactionsAnswer,
)
from bq_server.api.schemas.values import PageQuery, Query
from bq_server.causes import currency_of, is_of_expiry, is_taken_back
from bq_server.clock import Clocks
from bq_server.game.challenge_states import read_challenges
from bq_server.game.mechanics.account import by_currency
from bq_server.game.mechanics.expiry import NEVER, left
from bq_server.game.read_models import read_badges, read_points, read_tier
from bq_server.game.streak_states import read_streaks
from bq_server.moments import format_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.processing.participant_cells import stored_ledger
from bq_server.refusals import Code
from bq_server.store import ledger
from bq_server.store.database import Database
from bq_server.store.ledger import PointsEntry
from bq_server.store.rankings import Rankings

PREFIX = "/api/v1/gamify/participants/{participant_id}"

R = TypeVar("R")


def _read(
    operation_id: str, path: str, model: type[BaseModel], query: type[Q]
) -> Callable[[Handler[R, Q]], Handler[R, Q]]:
    """An operation of this resource; they differ only in these."""
    return operation(
        operation_id,
        "GET",
        PREFIX + path,
        "Participants",
        {200: DocumentedAnswer(model, "The current state.")},
        scope="read",
        query=query,
        codes=(Code.NOT_FOUND,),
        reads="own",
    )


def transaction_answer(entry: PointsEntry) -> TransactionAnswer:
    """An entry of the ledger as it is returned."""
    return TransactionAnswer(
        transaction_id=entry.transaction_id,
        type=_type_of(entry),
        amount=entry.amount,
        balance=entry.balance,
        cause=entry.cause,
        fact_id=entry.fact_id,
        occurred_at=format_timestamp(entry.occurred_at),
        created_at=format_timestamp(entry.created_at),
        currency=currency_of(entry.cause),
    )


def _type_of(entry: PointsEntry) -> Literal["award", "deduction", "expiry", "void"]:
    if is_taken_back(entry.cause):
        return "void"
    if entry.amount > 0:
        return "award"
    return "expiry" if is_of_expiry(entry.cause) else "deduction"


class ParticipantStateResource:
    """Shows what a participant's facts add up to."""

    def __init__(self, database: Database, games: Games, clocks: Clocks) -> None:
        self._database = database
        self._games = games
        self._clocks = clocks
        self._rankings = Rankings(database)

    @_read("getParticipantState", "/state", StateAnswer, StateQuery)
    async def get_state(self, call: Call[StateQuery]) -> Response:
        """A participant's state."""
        query = call.query
        chosen = set(query.include.split(",")) if query.include else set(get_args(Section))
        async with self._database.read() as connection:
            now = self._clocks.now(call.scope)
            at = await view_of_participant(connection, call, self._games, now=now)
            own = at.participant.participant_id
            teams = await teams_now(connection, at.game, at.participant, now) if "leaderboards" in chosen else {}
            challenges_now = "challenges" in chosen
            groups = await groups_now(connection, call.scope, at.game, at.participant, now) if challenges_now else {}
            claims = await claims_of(connection, call.scope, at.game.game, own) if "rewards" in chosen else None
        ranks = None
        if "leaderboards" in chosen:
            ranks_now = RanksNow(at.game, own, now, teams)
            ranks = await self._rankings.read(call.scope, ranks_now.names, ranks_now.look)
        sections: dict[str, Any] = {
            "points": lambda: read_points(at.game, at.cells),
            "tier": lambda: read_tier(at.game, at.cells),
            "badges": lambda: read_badges(at.game, at.cells),
            "streaks": lambda: read_streaks(at.game, at.cells, now),
            "challenges": lambda: read_challenges(at.game, at.cells, now, groups),
            "leaderboards": lambda: ranks,
            "rewards": lambda: claims,
        }
        answer = StateAnswer(
            participant_id=at.participant.participant_id,
            total_events=at.participant.total_events,
            clock=None if self._clocks.own(call.scope) is None else format_timestamp(now),
            **{name: read() for name, read in sections.items() if name in chosen},
        )
        always = {"participant_id", "total_events"} | ({"clock"} if answer.clock else set())
        body = answer.model_dump_json(include=always | chosen)
        return Response(body, media_type="application/json")

    @_read("getParticipantPoints", "/points", PointsAnswer, Query)
    async def get_points(self, call: Call) -> Response:
        """A participant's points."""
        async with self._database.read() as connection:
            at = await view_of_participant(connection, call, self._games)
        points = read_points(at.game, at.cells)
        answer = PointsAnswer(
            participant_id=at.participant.participant_id,
            balance=points.balance,
            total_earned=points.total_earned,
            total_spent=points.total_spent,
            total_expired=points.total_expired,
            owed=points.owed,
            total_received=points.total_received,
            currencies=points.currencies,
        )
        return json_response(answer)

    @_read("listExpiringPoints", "/points/expiring", ExpiringAnswer, Query)
    async def list_expiring_points(self, call: Call) -> Response:
        """Which of a participant's points expire, and when."""
        async with self._database.read() as connection:
            at = await view_of_participant(connection, call, self._games)
            entries = await stored_ledger(connection, at.participant.reference)
        now, own = self._clocks.now(call.scope), by_currency(entries)
        found = [
            (currency, each)
            for currency, expiry in at.game.treasury.expiries.items()
            for each in left(expiry, own.get(currency, ()))
        ]
        found.sort(key=lambda pair: pair[1].expires_at)
        answer = ExpiringAnswer(
            participant_id=at.participant.participant_id,
            balance=read_points(at.game, at.cells).balance,
            expiring=[
                PointsToExpire(amount=each.amount, expires_at=format_timestamp(each.expires_at), currency=currency)
                for currency, each in found
                if now < each.expires_at < NEVER
            ],
        )
        return json_response(answer)

    @_read("listPointsTransactions", "/points/transactions", TransactionsAnswer, PageQuery)
    async def list_transactions(self, call: Call[PageQuery]) -> Response:
        """A participant's points ledger."""
        query = call.query
        async with self._database.read() as connection:
            known = await known_participant(connection, call)
            page, total = await ledger.entries(
                connection, call.scope, known.participant_id, query.page_size, query.offset
            )
        transactions = [transaction_answer(entry) for entry in page]
        answer = TransactionsAnswer(
            participant_id=known.participant_id,
            transactions=transactions,
            total=total,
            page=query.page,
            page_size=query.page_size,
        )
        return json_response(answer)

    @_read("listParticipantBadges", "/badges", BadgesAnswer, BadgesQuery)
    async def list_badges(self, call: Call[BadgesQuery]) -> Response:
        """The badges, earned or not."""
        query = call.query
        async with self._database.read() as connection:
            at = await view_of_participant(connection, call, self._games)
        wanted = None if query.badge_codes is None else set(query.badge_codes.split(","))
        badges = [
            badge
            for badge in read_badges(at.game, at.cells)
            if (badge.earned or not query.earned_only) and (wanted is None or badge.code in wanted)
        ]
        answer = BadgesAnswer(
            participant_id=at.participant.participant_id,
            badges=badges,
            total=len(badges),
            earned_count=sum(badge.earned for badge in badges),
        )
        return json_response(answer)

    @_read("listParticipantStreaks", "/streaks", StreaksAnswer, Query)
    async def list_streaks(self, call: Call) -> Response:
        """A participant's streaks."""
        async with self._database.read() as connection:
            at = await view_of_participant(connection, call, self._games)
        return json_response(
            StreaksAnswer(
                participant_id=at.participant.participant_id,
                streaks=read_streaks(at.game, at.cells, self._clocks.now(call.scope)),
            )
        )

    @_read("getParticipantTier", "/tier", TierAnswer, Query)
    async def get_tier(self, call: Call) -> Response:
        """A participant's current, next and earlier tiers."""
        async with self._database.read() as connection:
            at = await view_of_participant(connection, call, self._games)
        tier = read_tier(at.game, at.cells)
        answer = TierAnswer(
            participant_id=at.participant.participant_id,
            current_tier=tier.current_tier,
            next_tier=tier.next_tier,
            tier_history=tier.tier_history,
        )
        return json_response(answer)

    @_read("listParticipantChallenges", "/challenges", ChallengesAnswer, Query)
    async def list_challenges(self, call: Call) -> Response:
        """A participant's progress in each challenge."""
        now = self._clocks.now(call.scope)
        async with self._database.read() as connection:
            at = await view_of_participant(connection, call, self._games, now=now)
            groups = await groups_now(connection, call.scope, at.game, at.participant, now)
        return json_response(
            ChallengesAnswer(
                participant_id=at.participant.participant_id,
                challenges=read_challenges(at.game, at.cells, now, groups),
            )
        )
