"""What a batch announces: which events its facts and their effects are, and to whom."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from bq_server.events import Scope
from bq_server.game.effects import STREAK, kind_of, timed
from bq_server.game.facts import FREEZE_BOUGHT, FREEZE_USED, TIMEZONE_CHANGED
from bq_server.game.mechanics.leaderboards import BoardOrder
from bq_server.processing.announcement_data import data_of
from bq_server.processing.event_types import RANK_CHANGED, STREAK_BROKEN, EventType, event_type_of
from bq_server.processing.rank_changes import RankChanges
from bq_server.store import feed, feed_wishes, outbox, watched_streaks
from bq_server.store.batch import Changes
from bq_server.store.feed import NewNotice, NoticeKind
from bq_server.store.outbox import Announcement, ListeningEndpoint
from bq_server.store.references import References
from bq_server.store.watched_streaks import WatchedStreak

FEED_RANKS = 10
"""Down to which rank a feed is notified of leaderboards."""

_MOVES_ENDS = frozenset({TIMEZONE_CHANGED, FREEZE_BOUGHT, FREEZE_USED})
"""The types of facts that move when streaks end, without a record."""


class Announcer:
    """What to announce to endpoints and feeds about changes: prepared before these are written, and written after them.

    Both happen in the transaction that makes the changes, on its connection's thread.
    """

    def __init__(
        self, connection: Any, references: References, changes: Changes, order_of: Callable[[str], BoardOrder]
    ) -> None:
        """`order_of`: how a board of the game ranks."""
        self._connection = connection
        self._changes = changes
        self._listeners: list[ListeningEndpoint] = []
        self._wished: frozenset[str] = frozenset()
        self._broken: list[Announcement] = []
        self._ranks: RankChanges | None = None
        if changes.facts or changes.caused or changes.places:
            self._listeners = outbox.listening(connection, changes.scope)
            self._wished = feed_wishes.of(connection, changes.scope)
        if self._watches:
            self._broken = _watch_streaks(connection, changes)
            if STREAK_BROKEN in self._wished:
                _note(connection, changes.scope, STREAK_BROKEN, self._broken, changes.now)
        tops = [each.top_ranks for each in self._listeners if RANK_CHANGED in each.event_types]
        tops += [FEED_RANKS] * (RANK_CHANGED in self._wished)
        if tops and changes.places:
            self._ranks = RankChanges(connection, references, changes, max(tops), order_of)

    @property
    def _watches(self) -> bool:
        return STREAK_BROKEN in self._wished or any(STREAK_BROKEN in each.event_types for each in self._listeners)

    def write(self) -> set[str]:
        """Fill the outbox; returns who now has something to do, see `Database.outbox`."""
        changes = self._changes
        wakes = {watched_streaks.NAME} if self._watches else set()
        if self._ranks is not None:
            self._ranks.look()
            if RANK_CHANGED in self._wished:
                _note(self._connection, changes.scope, RANK_CHANGED, [*self._ranks.within(FEED_RANKS)], changes.now)
        told: dict[tuple[frozenset[str], int], list[Announcement]] = {}
        for listener in self._listeners:
            key = chosen, top = listener.event_types, listener.top_ranks
            if key not in told:
                told[key] = [*(self._broken if STREAK_BROKEN in chosen else ()), *_happened(changes, chosen)]
                if self._ranks is not None and RANK_CHANGED in chosen:
                    told[key] += self._ranks.within(top)
            if told[key]:
                outbox.put(self._connection, listener, told[key], changes.now)
                wakes.add(listener.endpoint_id)
        return wakes


def tell_broken(connection: Any, scope: Scope, streaks: Sequence[WatchedStreak], now: int) -> set[str]:
    """Announce that these streaks broke; returns who has something to do, see `Database.outbox`."""
    told = [_broken(each, now) for each in streaks]
    if STREAK_BROKEN in feed_wishes.of(connection, scope):
        _note(connection, scope, STREAK_BROKEN, told, now)
    return tell(connection, scope, STREAK_BROKEN, told, now)


def tell(connection: Any, scope: Scope, event_type: EventType, told: Sequence[Announcement], now: int) -> set[str]:
    """Announce something to the endpoints that chose it; returns who has something to do, see `Database.outbox`."""
    listeners = [each for each in outbox.listening(connection, scope) if event_type in each.event_types]
    for each in listeners:
        outbox.put(connection, each, told, now)
    return {each.endpoint_id for each in listeners}


def forget_unheard(connection: Any, scope: Scope) -> bool:
    """Stop watching streaks if nobody is notified when they end; returns whether nobody is.

    What extends a streak meanwhile isn't noted, so a later listener would be given the wrong fact.
    """
    listeners = outbox.listening(connection, scope)
    heard = any(STREAK_BROKEN in each.event_types for each in listeners)
    if heard or STREAK_BROKEN in feed_wishes.of(connection, scope):
        return False
    watched_streaks.remove_all(connection, scope)
    return True


def _note(connection: Any, scope: Scope, kind: NoticeKind, told: Sequence[Announcement], now: int) -> None:
    """Announce these in the feed."""
    if told:
        notices = [NewNotice(scope, kind, now, data_of(each), participant_id=each[0]) for each in told]
        feed.write_notices(connection, notices)


def _happened(changes: Changes, chosen: Collection[str]) -> Iterator[Announcement]:
    """What to announce for these events: facts first, then what they caused."""
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
    moved = {each.event.participant_id for each in changes.facts if each.event.fact_type in _MOVES_ENDS}
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
