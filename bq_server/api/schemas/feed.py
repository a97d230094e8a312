"""Schemas of `/api/v1/feed`: what happens, as it happens."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from bq_server.api.schemas.facts import FactWithEffects
from bq_server.api.schemas.values import Moment, Query
from bq_server.delivery.schemas import RankData, StreakData
from bq_server.processing.event_types import RANK_CHANGED, STREAK_BROKEN, EventType
from bq_server.store.feed import NoticeKind

POSITION = "0|[0-9]{1,18}-[0-9]{1,18}"
"""The id of an event of the feed, or of the beginning."""

FeedType = Literal["fact.created", NoticeKind, "feed.ended"]

ChosenType = Literal[EventType, "effects.recomputed", "game.changed"]

WISHED = frozenset((STREAK_BROKEN, RANK_CHANGED))
"""What is computed and sent only if it is requested."""


class DeadMessage(BaseModel):
    """A message became a dead letter; with the scope `admin`, `/admin/dead-letters/{message_id}` returns all of it."""

    message_id: str
    event_id: str
    event_name: str
    participant_id: str
    reason: str
    occurred_at: Moment | None = Field(None, description="Of the event; null for those of an older server.")


class RecomputedEffects(BaseModel):
    """What a recomputed definition newly caused for a participant's stored facts."""

    participant_id: str
    effects: list[dict[str, Any]] = Field(description="As a fact's, each with the `fact_id` that it is from.")


class GameChange(BaseModel):
    """Another game is in force: how it differs from the previous one, by `<kind>/<code>`."""

    version: int
    added: list[str]
    changed: list[str]
    removed: list[str]
    recomputed: list[str] = Field(description="What is being recomputed, in the background.")


class EnvironmentReset(BaseModel):
    """The test environment was emptied: nothing that was sent before exists any more."""

    game_removed: bool


class FeedEnd(BaseModel):
    """The server ends the feed."""

    reason: Literal["slow_reader", "key_ended", "server_stopping"]
    detail: str


class FeedMessage(BaseModel):
    """The `data` of every event of the feed."""

    type: FeedType = Field(description="Also the name of the event.")
    timestamp: Moment = Field(description="When the server processed it.")
    data: (
        FactWithEffects
        | RecomputedEffects
        | StreakData
        | RankData
        | DeadMessage
        | GameChange
        | EnvironmentReset
        | FeedEnd
    )


def _divided(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


class FeedQuery(Query):
    """What to send."""

    participant_id: str | None = Field(None, description="Only what concerns this participant.")
    event_name: str | None = Field(None, description="Only facts and dead letters of events with this name.")
    type: Annotated[list[ChosenType], BeforeValidator(_divided)] | None = Field(
        None,
        description=(
            "Only these types, separated by commas. An effect's type selects the facts that caused one. "
            "`streak.broken` and `leaderboard.rank_changed` are only sent if they are named."
        ),
    )
    follow: bool = Field(
        True, description="Whether to continue with what happens; if not, the answer ends after what exists."
    )

    @property
    def wishes(self) -> frozenset[str]:
        """What must be computed for it from now on."""
        return WISHED & {*self.type} if self.type is not None and self.follow else frozenset()
