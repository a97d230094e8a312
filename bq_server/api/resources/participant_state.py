"""`/api/v1/gamify/participants/{id}/...`: what a participant's facts came to (vendor notes, 1.3 to 1.7)."""

from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, field_validator
from starlette.responses import Response

from bq_server.api.operations import Call, DocumentedAnswer, Operation, PageQuery, Query, json_response
from bq_server.api.participant_view import ParticipantView, known_participant, standing
from bq_server.api.resources.facts import Moment
from bq_server.clock import Clocks
from bq_server.game.mechanics.periods import window_period
from bq_server.game.read_models import (
    BadgeState,
    ChallengeState,
    NextTier,
    PointsState,
    StreakState,
    TierHeld,
    TierState,
    read_badges,
    read_challenges,
    read_points,
    read_streaks,
    read_tier,
)
from bq_server.moments import format_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.refusals import Code
from bq_server.store import ledger, state
from bq_server.store.database import Connection, Database

Section = Literal["points", "tier", "badges", "streaks", "challenges", "leaderboards"]


class RankState(BaseModel):
    """A place on a leaderboard, in the window that is now."""

    leaderboard_code: str
    period: str
    score: float | int
    rank: int


class StateAnswer(BaseModel):
    """Everything that a participant's facts came to; sections by `include`."""

    participant_id: str
    total_events: int
    clock: Moment | None = Field(None, description="Only where the environment has its own clock: what it shows.")
    points: PointsState | None = None
    tier: TierState | None = None
    badges: list[BadgeState] | None = None
    streaks: list[StreakState] | None = None
    challenges: list[ChallengeState] | None = None
    leaderboards: list[RankState] | None = None


class PointsAnswer(BaseModel):
    """The three figures of the ledger."""

    participant_id: str
    balance: int
    total_earned: int
    total_spent: int


class TransactionAnswer(BaseModel):
    """An entry of the points ledger."""

    transaction_id: str
    type: Literal["award", "deduction"]
    amount: int = Field(description="With its sign.")
    balance: int = Field(description="With this entry.")
    cause: str = Field(description="The rule and fact, challenge, milestone or hand that brought it.")
    fact_id: str
    occurred_at: Moment
    created_at: Moment


class TransactionsAnswer(BaseModel):
    """One page of the ledger, the newest entry first."""

    participant_id: str
    transactions: list[TransactionAnswer]
    total: int
    page: int
    page_size: int


class BadgesAnswer(BaseModel):
    """The badges of the game, held or not."""

    participant_id: str
    badges: list[BadgeState]
    total: int
    earned_count: int


class StreaksAnswer(BaseModel):
    """Every streak the participant has touched."""

    participant_id: str
    streaks: list[StreakState]


class TierAnswer(BaseModel):
    """Where the participant stands among the tiers."""

    participant_id: str
    current_tier: TierHeld | None
    next_tier: NextTier | None
    tier_history: list[TierHeld]


class ChallengesAnswer(BaseModel):
    """The participant's way through each challenge."""

    participant_id: str
    challenges: list[ChallengeState]


class StateQuery(Query):
    """Which sections."""

    include: str | None = Field(None, description=f"Sections, with commas between: {', '.join(get_args(Section))}.")

    @field_validator("include")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        unknown = set((value or "points").split(",")) - set(get_args(Section))
        if unknown:
            raise ValueError(f"has no section {', '.join(sorted(unknown))}: there are {', '.join(get_args(Section))}")
        return value


class BadgesQuery(Query):
    """Which badges."""

    earned_only: bool = False
    badge_codes: str | None = Field(None, description="Codes, with commas between.")


def operations(database: Database, games: Games, clocks: Clocks) -> list[Operation]:
    """The routes of this resource."""

    async def get_state(call: Call) -> Response:
        query: StateQuery = call.query
        chosen = set(query.include.split(",")) if query.include else set(get_args(Section))
        async with database.read() as connection:
            at = await standing(connection, call, games)
            ranks = await _ranks(connection, call, at) if "leaderboards" in chosen else None
        now = clocks.now(call.scope)
        sections: dict[str, Any] = {
            "points": lambda: read_points(at.cells),
            "tier": lambda: read_tier(at.game, at.cells),
            "badges": lambda: read_badges(at.game, at.cells),
            "streaks": lambda: read_streaks(at.game, at.cells, now),
            "challenges": lambda: read_challenges(at.game, at.cells, now),
            "leaderboards": lambda: ranks,
        }
        answer = StateAnswer(
            participant_id=at.participant.participant_id,
            total_events=at.participant.total_events,
            clock=None if clocks.own(call.scope) is None else format_timestamp(now),
            **{name: read() for name, read in sections.items() if name in chosen},
        )
        always = {"participant_id", "total_events"} | ({"clock"} if answer.clock else set())
        body = answer.model_dump_json(include=always | chosen)
        return Response(body, media_type="application/json")

    async def _ranks(connection: Connection, call: Call, at: ParticipantView) -> list[RankState]:
        found = []
        for board in at.game.game.leaderboards:
            window = board.window[0]
            period = window_period(clocks.now(call.scope), window)
            key = f"leaderboard/{board.code}"
            place = await state.rank(connection, call.scope, key, window, period, at.participant.participant_id)
            if place is not None:
                score, rank = place
                found.append(RankState(leaderboard_code=board.code, period=window, score=score.score, rank=rank))
        return found

    async def get_points(call: Call) -> Response:
        async with database.read() as connection:
            at = await standing(connection, call, games)
        points = read_points(at.cells)
        answer = PointsAnswer(
            participant_id=at.participant.participant_id,
            balance=points.balance,
            total_earned=points.total_earned,
            total_spent=points.total_spent,
        )
        return json_response(answer)

    async def list_transactions(call: Call) -> Response:
        query: PageQuery = call.query
        async with database.read() as connection:
            known = await known_participant(connection, call)
            page, total = await ledger.entries(
                connection, call.scope, known.participant_id, query.page_size, query.offset
            )
        transactions = [
            TransactionAnswer(
                transaction_id=entry.transaction_id,
                type="award" if entry.amount > 0 else "deduction",
                amount=entry.amount,
                balance=entry.balance,
                cause=entry.cause,
                fact_id=entry.fact_id,
                occurred_at=format_timestamp(entry.occurred_at),
                created_at=format_timestamp(entry.created_at),
            )
            for entry in page
        ]
        answer = TransactionsAnswer(
            participant_id=known.participant_id,
            transactions=transactions,
            total=total,
            page=query.page,
            page_size=query.page_size,
        )
        return json_response(answer)

    async def list_badges(call: Call) -> Response:
        query: BadgesQuery = call.query
        async with database.read() as connection:
            at = await standing(connection, call, games)
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

    async def list_streaks(call: Call) -> Response:
        async with database.read() as connection:
            at = await standing(connection, call, games)
        return json_response(
            StreaksAnswer(
                participant_id=at.participant.participant_id,
                streaks=read_streaks(at.game, at.cells, clocks.now(call.scope)),
            )
        )

    async def get_tier(call: Call) -> Response:
        async with database.read() as connection:
            at = await standing(connection, call, games)
        tier = read_tier(at.game, at.cells)
        answer = TierAnswer(
            participant_id=at.participant.participant_id,
            current_tier=tier.current_tier,
            next_tier=tier.next_tier,
            tier_history=tier.tier_history,
        )
        return json_response(answer)

    async def list_challenges(call: Call) -> Response:
        async with database.read() as connection:
            at = await standing(connection, call, games)
        return json_response(
            ChallengesAnswer(
                participant_id=at.participant.participant_id,
                challenges=read_challenges(at.game, at.cells, clocks.now(call.scope)),
            )
        )

    prefix, tag = "/api/v1/gamify/participants/{participant_id}", "Participants"
    reads: list[tuple[str, str, Any, type[BaseModel], type[Query]]] = [
        ("/state", "Everything a participant's facts came to", get_state, StateAnswer, StateQuery),
        ("/points", "A participant's points", get_points, PointsAnswer, Query),
        ("/points/transactions", "A participant's points ledger", list_transactions, TransactionsAnswer, PageQuery),
        ("/badges", "The badges, held or not", list_badges, BadgesAnswer, BadgesQuery),
        ("/streaks", "A participant's streaks", list_streaks, StreaksAnswer, Query),
        ("/tier", "A participant's tier, the next, and those before", get_tier, TierAnswer, Query),
        ("/challenges", "A participant's way through each challenge", list_challenges, ChallengesAnswer, Query),
    ]
    return [
        Operation(
            "GET",
            prefix + path,
            tag,
            summary,
            handle,
            {200: DocumentedAnswer(model, "As it stands now.")},
            scope="read",
            query=query,
            codes=(Code.NOT_FOUND,),
        )
        for path, summary, handle, model, query in reads
    ]
