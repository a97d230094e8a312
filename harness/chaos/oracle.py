"""What must follow from the events that were sent, computed without the server and its store.

The pure game folds them, each participant's in order of event time, whatever the order of arrival. What may depend on
that order is not compared: when an award was given.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from pydantic import BaseModel

from bq_server import causes
from bq_server.game import (
    BoardScore,
    Fact,
    Game,
    InMemoryGame,
    compile_game,
    read_badges,
    read_challenges,
    read_points,
    read_streaks,
    read_tier,
)
from bq_server.game.challenge_states import ChallengeState
from bq_server.game.document.leaderboards import WindowName
from bq_server.game.mechanics.board_periods import BoardPeriods
from bq_server.game.mechanics.contests import LIVE
from bq_server.game.mechanics.recurring_challenges import round_now
from bq_server.game.read_models import BadgeState, PointsState, TierState
from bq_server.game.streak_states import StreakState
from bq_server.moments import parse_timestamp
from harness.chaos.groups import Groups
from harness.chaos.history import SentEvent

Json = Any

TIMES_OF_AWARDS = frozenset({"earned_at", "achieved_at", "reached_at", "completed_at"})
NOT_COMPARED = TIMES_OF_AWARDS | {"clock"}


class State(BaseModel):
    """What `/state` returns."""

    participant_id: str
    total_events: int
    points: PointsState
    tier: TierState
    badges: list[BadgeState]
    streaks: list[StreakState]
    challenges: list[ChallengeState]
    leaderboards: list[dict[str, Any]]
    rewards: list[dict[str, Any]]


class OracleDifference(Struct, frozen=True):
    """One value that isn't what it must be. `path` says where it is."""

    path: str
    expected: Json
    actual: Json

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected!r}, found {self.actual!r}"


class Oracle:
    """The state that follows from facts, at any moment."""

    def __init__(self, game: Game, facts: Iterable[Fact], claims: Sequence[Mapping[str, Any]] = ()) -> None:
        """`claims` are the facts of claims as the server tells them, the newest first."""
        self._game = compile_game(game)
        self._claims = claims
        self._memory = InMemoryGame(self._game)
        known = list(facts)
        self._custom = Counter(fact.participant_id for fact in known if not is_system(fact))
        self._places: dict[tuple[str, str, str], list[BoardScore]] = defaultdict(list)
        # All at once: a fact of one participant may award another.
        for place in self._memory.process(known).board_scores:
            if place.score is not None:
                self._places[place.board, place.window, place.period].append(place)
        for places in self._places.values():
            places.sort(key=_rank)
        self.groups = Groups(self._game, self._memory)

    @property
    def participants(self) -> list[str]:
        """Everyone a fact names."""
        return sorted(self._memory.participants)

    def state(self, participant_id: str, now: int) -> dict[str, Json]:
        """What `/state` must return at a moment, in microseconds."""
        cells = self._memory.cells(participant_id)
        found = State(
            participant_id=participant_id,
            total_events=self._custom[participant_id],
            points=read_points(self._game, cells),
            tier=read_tier(self._game, cells),
            badges=read_badges(self._game, cells),
            streaks=read_streaks(self._game, cells, now),
            challenges=read_challenges(self._game, cells, now, self.groups.now(participant_id, cells, now)),
            leaderboards=list(self._ranks(participant_id, now)),
            rewards=[self._reward(claim) for claim in self._claims if claim["participant_id"] == participant_id],
        )
        return found.model_dump(mode="json")

    def ranking(self, code: str, window: WindowName, now: int) -> list[dict[str, Json]]:
        """The entries of a leaderboard in the period that contains a moment."""
        key = f"leaderboard/{code}"
        board = next(each for each in self._game.game.leaderboards if each.code == code)
        places = self._places.get((key, window, BoardPeriods.of(board).now(window, now)), [])
        order = self._game.order_of(key)
        return [
            {"rank": rank, "participant_id": place.participant_id, "score": order.turned(place.score)}
            for rank, place in enumerate(places, start=1)
        ]

    def progress(self, challenge: str, now: int) -> dict[str, float | int | None]:
        """The progress of everyone in the ranking of a challenge; of a recurring one in the round at a moment."""
        found = next(each for each in self._game.game.challenges if each.code == challenge)
        places = self._places.get((f"challenge/{challenge}", *round_now(found, now)), [])
        return {place.participant_id: place.score for place in places}

    def contest(self, code: str) -> list[BoardScore]:
        """The live ranking of a contest."""
        return self._places.get((f"contest/{code}", LIVE, LIVE), [])

    def earned(self, participant_id: str, currency: str) -> list[tuple[int, int]]:
        """What a participant was paid in a currency: when, by the event's time in microseconds, and how much."""
        return [
            (entry.occurred_at, entry.amount)
            for entry in self._memory.ledger(participant_id)
            if causes.currency_of(entry.cause) == currency and entry.amount > 0
        ]

    def _reward(self, claim: Mapping[str, Any]) -> dict[str, Any]:
        told = claim["properties"]
        reward = next(each for each in self._game.game.rewards if each.code == told["reward_code"])
        return {
            "claim_id": claim["fact_id"],
            "reward_id": reward.code,
            "reward_name": reward.name,
            "reward_type": reward.type,
            "code_value": told.get("code_value"),
            "points_deducted": told["cost"],
            "status": "claimed",
            "claimed_at": claim["occurred_at"],
        }

    def _ranks(self, participant_id: str, now: int) -> Iterator[dict[str, Json]]:
        for board in self._game.game.leaderboards:
            for entry in self.ranking(board.code, board.window_names[0], now):
                if entry["participant_id"] == participant_id:
                    yield {
                        "leaderboard_code": board.code,
                        "period": board.window_names[0],
                        "score": entry["score"],
                        "rank": entry["rank"],
                    }


def _rank(place: BoardScore) -> tuple[float, float, str]:
    """The highest score first, ties by who reached it first; a score that was never reached comes last."""
    reached = float("inf") if place.reached_at is None else place.reached_at
    return -(place.score or 0), reached, place.participant_id


def is_system(fact: Fact) -> bool:
    """Whether it isn't from a client's event."""
    return fact.fact_type.startswith("system.")


def fact_of_event(event: SentEvent, occurred_at: int, order: int) -> Fact:
    """The fact that an event must become."""
    return Fact(
        f"sent-{event.number}",
        order,
        f"custom.{event.event_name}",
        event.event_name,
        event.participant_id,
        event.properties,
        occurred_at,
        occurred_at,
        event.idempotency_key,
        event.voids,
    )


def fact_as_told(told: Mapping[str, Any], order: int) -> Fact:
    """A fact as the server returns it, for those that existed before the first event."""
    return Fact(
        told["fact_id"],
        order,
        told["fact_type"],
        told["event_name"],
        told["participant_id"],
        told["properties"],
        parse_timestamp(told["occurred_at"]),
        parse_timestamp(told["received_at"]),
        told["idempotency_key"],
        told["voids"] if told["fact_type"].startswith("custom.") else None,
    )


def compare(expected: Json, actual: Json, path: str = "") -> Iterator[OracleDifference]:
    """Where two states differ, apart from times of awards."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in sorted((expected.keys() | actual.keys()) - NOT_COMPARED):
            inner = f"{path}.{name}" if path else name
            both = (expected.get(name), actual.get(name))
            if name == "tier_history":
                both = (_by_code(both[0]), _by_code(both[1]))
            yield from compare(*both, inner)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for place, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from compare(one, other, f"{path}[{_name(one, place)}]")
    elif expected != actual:
        yield OracleDifference(path, expected, actual)


def _by_code(tiers: Sequence[Mapping[str, Any]] | None) -> Json:
    """Tiers reached, whatever the order: two may be reached with one fact."""
    return sorted(tiers or (), key=lambda tier: tier["code"])


def _name(item: Json, place: int) -> str:
    """What to call an item of a list."""
    if isinstance(item, dict):
        return str(item.get("code") or item.get("leaderboard_code") or place)
    return str(place)
