"""What a batch announces: which events its facts and their effects are, and to which endpoints."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal, get_args

from bq_server.events import Scope
from bq_server.game.effects import (
    BADGE,
    CHALLENGE,
    MILESTONE,
    POINTS,
    STREAK,
    TIER,
    PackedEffect,
    kind_of,
    timed,
)
from bq_server.game.facts import TIMEZONE_CHANGED
from bq_server.processing.rank_changes import RANK_CHANGED, RankChanges
from bq_server.store import outbox, watched_streaks
from bq_server.store.batch import Changes
from bq_server.store.outbox import Announcement, ListeningEndpoint
from bq_server.store.references import References
from bq_server.store.watched_streaks import WatchedStreak

EffectEventType = Literal[
    "points.changed",
    "badge.awarded",
    "challenge.progressed",
    "challenge.completed",
    "milestone.reached",
    "streak.extended",
    "streak.milestone",
    "tier.changed",
]
"""The events that effects of facts are."""

EventType = Literal[EffectEventType, "streak.broken", "leaderboard.rank_changed", "fact.created", "message.dead"]
EVENT_TYPES: frozenset[EventType] = frozenset(get_args(EventType))
STREAK_BROKEN: EventType = "streak.broken"
MESSAGE_DEAD: EventType = "message.dead"

_TYPES: dict[int, EffectEventType] = {
    POINTS: "points.changed",
    BADGE: "badge.awarded",
    STREAK: "streak.extended",
    TIER: "tier.changed",
}


class Announcer:
    """What endpoints must be told of changes: prepared before these are written, and written after them.

    Both happen in the transaction that makes the changes, on its connection's thread.
    """

    def __init__(self, connection: Any, references: References, changes: Changes) -> None:
        self._connection = connection
        self._changes = changes
        self._listeners: list[ListeningEndpoint] = []
        self._ranks: RankChanges | None = None
        if changes.facts or changes.caused or changes.places:
            self._listeners = outbox.listening(connection, changes.scope)
        tops = [each.top_ranks for each in self._listeners if RANK_CHANGED in each.event_types]
        if tops and changes.places:
            self._ranks = RankChanges(connection, references, changes, max(tops))

    def write(self) -> bool:
        """Fill the outbox; returns whether there is now something to send."""
        if not self._listeners:
            return False
        changes = self._changes
        broken: list[Announcement] = []
        watched = any(STREAK_BROKEN in each.event_types for each in self._listeners)
        if watched:
            broken = _watch_streaks(self._connection, changes)
        if self._ranks is not None:
            self._ranks.look()
        told: dict[tuple[frozenset[str], int], list[Announcement]] = {}
        for listener in self._listeners:
            key = chosen, top = listener.event_types, listener.top_ranks
            if key not in told:
                told[key] = [*(broken if STREAK_BROKEN in chosen else ()), *_happened(changes, chosen)]
                if self._ranks is not None and RANK_CHANGED in chosen:
                    told[key] += self._ranks.within(top)
            if told[key]:
                outbox.put(self._connection, listener, told[key], changes.now)
        return watched or any(told.values())


def event_type_of(effect: PackedEffect) -> EffectEventType | None:
    """The event that an effect is; None for one that isn't announced."""
    kind = effect[0] if effect[0] >= 0 else ~effect[0]
    if kind == CHALLENGE:
        return "challenge.completed" if kind_of(effect)[1][2] else "challenge.progressed"
    if kind == MILESTONE:
        return "streak.milestone" if kind_of(effect)[1][0] == "streak" else "milestone.reached"
    return _TYPES.get(kind)


def tell_broken(connection: Any, scope: Scope, streaks: Sequence[WatchedStreak], now: int) -> None:
    """Announce that these streaks broke."""
    told = [_broken(each, now) for each in streaks]
    for listener in outbox.listening(connection, scope):
        if STREAK_BROKEN in listener.event_types:
            outbox.put(connection, listener, told, now)


def _happened(changes: Changes, chosen: Collection[str]) -> Iterator[Announcement]:
    """What is announced of these events: facts first, then what they caused."""
    if "fact.created" in chosen:
        for fact in changes.facts:
            yield fact.event.participant_id, "fact.created", fact.fact_id, fact.event.occurred_at, None
    for participant_id, fact_id, occurred_at, effects in changes.caused:
        for effect in effects:
            event_type = event_type_of(effect)
            if event_type in chosen:
                yield participant_id, str(event_type), fact_id, occurred_at, effect


def _watch_streaks(connection: Any, changes: Changes) -> list[Announcement]:
    """Watch extended streaks; announces those that had broken before these facts came."""
    scope, now = changes.scope, changes.now
    broken = watched_streaks.broken_of(connection, scope, changes.counts, now)
    moved = {each.event.participant_id for each in changes.facts if each.event.fact_type == TIMEZONE_CHANGED}
    if moved:
        watched_streaks.forget_when(connection, scope, moved)
    watched_streaks.put(connection, scope, _streaks(changes))
    return [_broken(each, now) for each in broken]


def _streaks(changes: Changes) -> Iterator[WatchedStreak]:
    for participant_id, fact_id, occurred_at, effects in changes.caused:
        for effect in effects:
            if effect[0] in (STREAK, ~STREAK):
                code, _, longest = kind_of(effect)[1][:3]
                yield WatchedStreak(participant_id, code, longest, fact_id, occurred_at)


def _broken(streak: WatchedStreak, now: int) -> Announcement:
    """As a streak of length 0, at the moment at which it broke."""
    told = timed(STREAK, streak.breaks_at or now, streak.occurred_at, streak.code, 0, streak.longest)
    return streak.participant_id, STREAK_BROKEN, streak.fact_id, streak.occurred_at, told
