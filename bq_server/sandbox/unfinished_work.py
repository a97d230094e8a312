"""What an environment still has to do, and what it holds: in one look at the store, since most often it is nothing."""

from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.store import contests, dead_letter_notes, environments, expiring_points, games, group_dues


class UnfinishedWork(Struct, frozen=True):
    """What is to be done before everything accepted has had all its consequences."""

    has_noted: bool
    """Whether dead letters, of any environment, are still to be told of."""
    refolds: int
    """How many changes of the game are being computed."""
    is_due: bool
    """Whether points are to expire, results of contests to be frozen or told, or members to be told of their group."""
    facts: int
    duplicates: int
    """Messages that only repeated one."""

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to be done."""
        return not (self.has_noted or self.refolds or self.is_due)


def unfinished_work(reading: Any, scope: Scope, now: int) -> UnfinishedWork:
    """Look, on the connection's own thread. `now` is the environment's, in microseconds."""
    facts, duplicates = environments.held(reading, scope)
    return UnfinishedWork(
        has_noted=dead_letter_notes.any_noted(reading),
        refolds=games.refolds_under_way(reading, scope),
        is_due=is_due(reading, scope, now),
        facts=facts,
        duplicates=duplicates,
    )


def is_due(reading: Any, scope: Scope, now: int) -> bool:
    """Whether there is something to make facts of by that time of the environment, as `UnfinishedWork.is_due` says."""
    expires_at = expiring_points.next_due(reading, scope)
    return (
        (expires_at is not None and expires_at <= now)
        or contests.is_due(reading, scope, now)
        or bool(group_dues.due(reading, scope, 1))
    )
