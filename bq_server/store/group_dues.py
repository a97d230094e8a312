"""Who is to be told how far their group has come in a challenge that it shares, and how far groups have.

What members add, and what that adds up to, is in `team_scores`. Called on a connection's own thread.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.store.queries import load
from bq_server.store.references import TEAMS

_queries = load("group_dues", "sqlite3")

NAME = "groups"
"""Under which `Database.outbox` wakes who makes facts of it."""

SHARED = "shared"
"""The combination of a challenge that groups share: a sum, hidden members included."""

BOARD = f"{TEAMS}challenge/"
"""Prefix of the boards of such challenges. Codes have no slash, so no leaderboard's is the same."""


class GroupDue(Struct, frozen=True):
    """Somebody to look at."""

    ranking: int
    team: int
    participant: int
    challenge_code: str
    group: str
    participant_id: str
    total: int
    """What the members have added up, in the measure's own unit."""


class GroupShare(Struct, frozen=True):
    """A group for which a participant has added something."""

    challenge_code: str
    group: str
    total: int
    """What the group has added up, in the measure's own unit."""
    ranking: int
    team: int
    is_due: bool
    """Whether any member of it is still to be looked at."""


def add(connection: Any, ranking: int, team: int, participant: int) -> None:
    """Have somebody looked at."""
    _queries.add(connection, ranking=ranking, team=team, participant=participant)


def add_members(connection: Any, ranking: int, team: int) -> None:
    """Have everybody looked at who took part."""
    _queries.add_members(connection, ranking=ranking, team=team)


def scopes(connection: Any) -> list[Scope]:
    """The environments in which somebody is to be looked at."""
    return [Scope(*row) for row in _queries.scopes(connection)]


def due(connection: Any, scope: Scope, limit: int) -> list[GroupDue]:
    """The next ones to look at."""
    return [
        GroupDue(ranking, team, participant, board.removeprefix(BOARD), group, participant_id, int(total or 0))
        for ranking, team, participant, board, group, participant_id, total in _queries.due(
            connection, **scope._asdict(), limit=limit
        )
    ]


def remove(connection: Any, some: Iterable[GroupDue]) -> None:
    """These were looked at."""
    rows = [{"ranking": each.ranking, "team": each.team, "participant": each.participant} for each in some]
    _queries.remove(connection, rows)


def took_part(connection: Any, due: GroupDue) -> bool:
    """Whether the participant has added anything, and not all of it is void or of another group by now."""
    row = {"ranking": due.ranking, "team": due.team, "participant": due.participant}
    return _queries.took_part(connection, **row) is not None


def newest(connection: Any, due: GroupDue) -> int | None:
    """When the newest event was that added something for the group, in microseconds since the epoch, UTC."""
    found: int | None = _queries.newest(connection, ranking=due.ranking, team=due.team)
    return found


def come_to(connection: Any, due: GroupDue, revision: str, reached: str | None) -> None:
    """Note how far a group has come by a definition: where that is news, everybody who took part is looked at."""
    own = {"ranking": due.ranking, "team": due.team}
    if reached is None:
        _queries.remove_step(connection, **own)
        return
    known = _queries.step(connection, **own)
    if known is None or tuple(known) != (revision, reached):
        _queries.put_step(connection, **own, revision=revision, reached=reached)
        add_members(connection, **own)


def fall_back(connection: Any, ranking: int, team: int) -> None:
    """A total is less than it was: when it comes as far again, everybody is looked at again."""
    _queries.remove_step(connection, ranking=ranking, team=team)


def forget_participant(connection: Any, participant: int) -> None:
    """Look at a participant no more."""
    _queries.remove_of(connection, participant=participant)


def forget_ranking(connection: Any, ranking: int) -> None:
    """Forget a challenge."""
    _queries.remove_dues(connection, ranking=ranking)
    _queries.remove_steps(connection, ranking=ranking)


def shares_of(connection: Any, participant: int) -> list[GroupShare]:
    """The groups for which a participant has added something."""
    return [
        GroupShare(board.removeprefix(BOARD), group, int(added), ranking, team, bool(is_due))
        for board, group, added, ranking, team, is_due in _queries.shares_of(connection, participant=participant)
    ]


def total(connection: Any, scope: Scope, challenge_code: str, group: str) -> tuple[int, int]:
    """What the members of a group have added up, in the measure's own unit, and how many have added something."""
    row = _queries.total(connection, **scope._asdict(), board=BOARD + challenge_code, name=group)
    return (0, 0) if row is None else (int(row[0]), row[1])
