"""Events of the feed: what happened, as it is sent to those it concerns."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel

from bq_server.api.resources.facts import fact_with_effects
from bq_server.api.schemas.feed import (
    WISHED,
    DeadMessage,
    EnvironmentReset,
    FeedEnd,
    FeedMessage,
    FeedQuery,
    GameChange,
    RecomputedEffects,
)
from bq_server.delivery.schemas import RankData, StreakData
from bq_server.moments import format_timestamp
from bq_server.processing.event_types import event_type_of, type_of_shown
from bq_server.processing.recorded_effects import packed_effects
from bq_server.store.feed import FactHappened, Happened, NoticeHappened, NoticeKind, Position

_BREAKS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What JSON may contain unescaped, and many clients take for the end of a line."""

_NOTICES: dict[NoticeKind, type[BaseModel]] = {
    "effects.recomputed": RecomputedEffects,
    "streak.broken": StreakData,
    "leaderboard.rank_changed": RankData,
    "message.dead": DeadMessage,
    "game.changed": GameChange,
    "environment.reset": EnvironmentReset,
}


@dataclass(frozen=True)
class FeedEvent:
    """Something that happened. It is serialized once, by whichever feed sends it first."""

    happened: Happened

    @property
    def position(self) -> Position:
        """The place after it."""
        return self.happened.position

    def concerns(self, wanted: FeedQuery) -> bool:
        """Whether it is sent. A reset of the environment always is: it invalidates all that was sent before."""
        happened = self.happened
        if isinstance(happened, NoticeHappened) and happened.kind == "environment.reset":
            return True
        about = happened.fact if isinstance(happened, FactHappened) else happened
        return (
            self._is_chosen(wanted.type)
            and (wanted.participant_id in (None, about.participant_id) or wanted.participant_id in self._others)
            and wanted.event_name in (None, about.event_name)
        )

    def _is_chosen(self, types: Collection[str] | None) -> bool:
        return WISHED.isdisjoint(self._types) if types is None else not self._types.isdisjoint(types)

    @cached_property
    def _others(self) -> frozenset[str | None]:
        """For whom a fact of another's caused something, and the alias under which it was sent."""
        if not isinstance(self.happened, FactHappened):
            return frozenset()
        return frozenset((*self.happened.effects, self.happened.fact.sent_as)) - {None}

    @cached_property
    def encoded(self) -> bytes:
        """As it is sent."""
        happened = self.happened
        if isinstance(happened, FactHappened):
            fact = happened.fact
            body = fact_with_effects(fact, packed_effects(happened.effects))
            told = FeedMessage(type="fact.created", timestamp=format_timestamp(fact.processed_at), data=body)
        else:
            told = FeedMessage(
                type=happened.kind,
                timestamp=format_timestamp(happened.noted_at),
                data=_NOTICES[happened.kind].model_validate(happened.data),
            )
        return encode(told, happened.position)

    @cached_property
    def _types(self) -> frozenset[str]:
        """What a reader may have selected it by."""
        happened = self.happened
        if isinstance(happened, NoticeHappened):
            recomputed = {type_of_shown(each) for each in happened.data.get("effects", ())}
            return frozenset((happened.kind, *(each for each in recomputed if each is not None)))
        effects = {event_type_of(each) for _, each in packed_effects(happened.effects)}
        return frozenset(("fact.created", *(each for each in effects if each is not None)))


def feed_event(happened: Happened) -> FeedEvent:
    """What feeds send about what happened."""
    return FeedEvent(happened)


def encode(message: FeedMessage, position: Position | None = None) -> bytes:
    """An event of a stream (WHATWG HTML, Server-sent events) whose data is one line."""
    identity = "" if position is None else f"id: {written(position)}\n"
    data = message.model_dump_json()
    for each, escaped in _BREAKS.items():
        data = data.replace(each, escaped)
    return f"{identity}event: {message.type}\ndata: {data}\n\n".encode()


def last_word(end: FeedEnd, now: int) -> bytes:
    """The event after which a feed ends; `now` in microseconds since the epoch, UTC."""
    return encode(FeedMessage(type="feed.ended", timestamp=format_timestamp(now), data=end))


def written(position: Position) -> str:
    """The id of an event."""
    return f"{position.seq}-{position.notice}"


def read_position(text: str) -> Position:
    """The position that an id names, if it matches `POSITION`."""
    seq, _, notice = text.partition("-")
    return Position(int(seq), int(notice or 0))
