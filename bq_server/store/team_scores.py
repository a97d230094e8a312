"""Rankings of teams: what members have scored, and what that makes of their teams.

The cells of participants have the scores; this is an index of them. Beside each score there is the sum of a team's
members, so that one of a hundred thousand costs as much as one of two. Called on a connection's own thread.
"""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import groupby
from typing import Any, NamedTuple

from msgspec import Struct, field

from bq_server.events import Scope
from bq_server.store import group_dues
from bq_server.store.group_dues import SHARED
from bq_server.store.queries import load
from bq_server.store.rank_sections import HIGHEST, PlacesMoved, remove_sections
from bq_server.store.references import TEAMS, Ranking, References

_queries = load("team_scores", "sqlite3")


_WHOLE = 2**53
"""Doubles tell whole numbers below this one apart; larger ones may be too large for a whole number of the store."""


class Combination(NamedTuple):
    """How the scores of members become that of their team."""

    combine: str
    """`sum`, `mean`, `best`, or `shared` for what a challenge adds up: then hidden members count as well."""
    unit: int
    """How many of the rule's own unit make 1 of a score as it is shown."""
    ascending: bool
    """Whether the lowest leads: then scores rank negated."""


class TeamScore(NamedTuple):
    """What a member has scored for a team."""

    score: float | None
    """As it ranks. None removes the member from the team."""
    reached_at: int | None
    """Microseconds since the epoch, UTC; the latest there can be for a score that nothing changed."""
    exact: int | None
    """In the rule's own unit."""


class TeamScores(Struct):
    """Changed scores of one ranking."""

    combination: Combination | None = None
    """None if the ranking is no longer one of teams."""
    scores: dict[tuple[str, str], TeamScore] = field(default_factory=dict)
    """By team and participant."""


class MemberScore(Struct, frozen=True):
    """A stored score of a member."""

    board: str
    """`teams/<code>`."""
    window: str
    period: str
    team: str
    score: TeamScore
    hidden: bool
    """Whether it is kept out of sight, and counts for nothing."""


class TeamMiscount(Struct, frozen=True):
    """A team whose place isn't what its members have scored."""

    ranking: str
    """`teams/<code>/<window>/<period>`."""
    team: str
    stored: Any
    """Members, their sum in the rule's own unit, score and when it was reached; None for nothing."""
    expected: Any


class _Team(Struct):
    """The members in sight of a team, and the sum of their scores; or how both change."""

    members: int = 0
    total: int = 0

    def add(self, exact: str | int, by: int = 1) -> None:
        """One more member with this score, or one less."""
        self.members += by
        self.total += by * int(exact)


def put(
    connection: Any,
    references: References,
    scope: int,
    changed: Mapping[Ranking, TeamScores],
    participants: Mapping[str, int],
    hidden: Iterable[str],
    now: int,
) -> None:
    """Write changed scores of participants, by their integers, and the places of their teams."""
    out_of_sight = frozenset(hidden)
    teams: dict[str, int] = {}
    for name, own in changed.items():
        ranking = references.ranking(connection, -scope, name)
        known = _combination(connection, ranking)
        combination = own.combination or known
        if combination is None:
            continue  # nothing was ever ranked there
        if combination != known:
            combine, unit, ascending = combination
            _queries.put_board(connection, ranking=ranking, combine=combine, unit=unit, ascending=int(ascending))
        moved: dict[int, _Team] = {}
        for (team_name, participant_id), score in own.scores.items():
            team = teams.get(team_name) or _number_of_team(connection, -scope, team_name, now)
            teams[team_name] = team
            is_out_of_sight = participant_id in out_of_sight and combination.combine != SHARED
            by = moved.setdefault(team, _Team())
            side = -ranking if is_out_of_sight else ranking
            _put_score(connection, ranking, side, team, participants[participant_id], score, by)
            if combination.combine == SHARED:
                group_dues.add(connection, ranking, team, participants[participant_id])
        for team, by in moved.items():
            _settle(connection, references, ranking, combination, team, by)


def move(connection: Any, references: References, participant: int, *, hidden: bool) -> None:
    """Leave a participant's scores out of those of their teams, or count them again."""
    for row in list(_queries.of_participant(connection, participant=participant)):
        side, team, exact = row[0], row[1], row[8]
        if (side > 0) is hidden and _known(connection, abs(side)).combine != SHARED:
            _queries.turn_score(connection, ranking=side, team=team, participant=participant)
            by = _Team()
            by.add(exact, -1 if hidden else 1)
            _settle(connection, references, abs(side), _known(connection, abs(side)), team, by)


def remove_of(connection: Any, references: References, participant: int) -> None:
    """Remove all that a participant has scored for teams."""
    for row in list(_queries.of_participant(connection, participant=participant)):
        side, team, exact = row[0], row[1], row[8]
        _queries.remove_score(connection, ranking=side, team=team, participant=participant)
        by = _Team()
        if side > 0:
            by.add(exact, -1)
        _settle(connection, references, abs(side), _known(connection, abs(side)), team, by)


def remove_boards(connection: Any, scope: Scope, codes: Iterable[str]) -> None:
    """Clear the rankings of teams, and the scores, of leaderboards that no longer exist."""
    for code in codes:
        _remove_board(connection, scope, TEAMS + code, f"team/{code}")


def remove_challenges(connection: Any, scope: Scope, codes: Iterable[str]) -> None:
    """Clear what members have added to challenges that groups share no longer."""
    for code in codes:
        _remove_board(connection, scope, group_dues.BOARD + code, f"group/{code}")


def _remove_board(connection: Any, scope: Scope, board: str, cells: str) -> None:
    own = scope._asdict()
    for (ranking,) in list(_queries.rankings_of_board(connection, **own, board=board)):
        group_dues.forget_ranking(connection, ranking)
        _queries.remove_scores(connection, ranking=ranking, hidden=-ranking)
        _queries.remove_totals(connection, ranking=ranking)
        _queries.remove_standings(connection, ranking=ranking)
        _queries.remove_board(connection, ranking=ranking)
        remove_sections(connection, ranking)
    # What is left would seem to be there already, should the definition come back.
    _queries.remove_cells(connection, **own, since=f"{cells}/", until=f"{cells}0")


def of_participant(connection: Any, participant: int) -> list[MemberScore]:
    """What a participant has scored for teams."""
    return [
        MemberScore(board, window, period, team, TeamScore(score, reached_at, int(exact)), hidden=side < 0)
        for side, _, board, window, period, team, score, reached_at, exact in _queries.of_participant(
            connection, participant=participant
        )
    ]


def miscounted(
    connection: Any, scope: Scope, references: References | None = None, *, mend: bool = False
) -> Iterator[TeamMiscount]:
    """The teams whose places aren't what their members have scored; to `mend` them takes the `references`."""
    for ranking, *name in list(_queries.rankings_of_teams(connection, **scope._asdict())):
        combination = _known(connection, ranking)
        due: dict[int, _Team] = {}
        for team, rows in groupby(_queries.scores_of(connection, ranking=ranking), key=lambda row: row[0]):
            due[team] = _Team()
            for row in rows:
                due[team].add(row[1])
        totals = {row[0]: _Team(row[1], int(row[2])) for row in _queries.totals_of(connection, ranking=ranking)}
        places = {row[0]: tuple(row[1:]) for row in _queries.places_of(connection, ranking=ranking)}
        for team in sorted(due.keys() | totals.keys() | places.keys()):
            right = due.get(team)
            place = None if right is None else _place(connection, ranking, team, combination, right)
            stored, expected = _told(totals.get(team), places.get(team)), _told(right, place)
            if stored != expected:
                if mend and references is not None:
                    _put(connection, references, ranking, combination, team, right or _Team())
                    if combination.combine == SHARED:
                        group_dues.add_members(connection, ranking, team)
                yield TeamMiscount("/".join(name), _queries.name_of(connection, team=team), stored, expected)


def _told(team: _Team | None, place: Any) -> Any:
    return None if team is None and place is None else [team and [team.members, team.total], place and list(place)]


def _number_of_team(connection: Any, scope: int, name: str, now: int) -> int:
    found: int | None = _queries.team(connection, scope=scope, name=name)
    if found is None:
        _queries.add_team(connection, scope=scope, name=name, now=now)
        found = _queries.team(connection, scope=scope, name=name)
    return found or 0


def _put_score(
    connection: Any, ranking: int, side: int, team: int, participant: int, score: TeamScore, by: _Team
) -> None:
    row = {"team": team, "participant": participant}
    before = _queries.own(connection, ranking=ranking, hidden=-ranking, **row)
    if before is not None and before[0] > 0:
        by.add(before[1], -1)
    if before is not None and (score.score is None or before[0] != side):
        _queries.remove_score(connection, ranking=before[0], **row)
    if score.score is not None:
        exact = score.exact or 0
        _queries.put_score(
            connection, ranking=side, **row, score=score.score, reached_at=score.reached_at, exact=str(exact)
        )
        if side > 0:
            by.add(exact)


def _settle(
    connection: Any, references: References, ranking: int, combination: Combination, team: int, by: _Team
) -> None:
    """Account for changes of members' scores, which are already written."""
    known = _queries.total(connection, ranking=ranking, team=team)
    total = _Team() if known is None else _Team(known[0], int(known[1]))
    if by.total < 0 and combination.combine == SHARED:
        group_dues.fall_back(connection, ranking, team)
    _put(connection, references, ranking, combination, team, _Team(total.members + by.members, total.total + by.total))


def _put(
    connection: Any, references: References, ranking: int, combination: Combination, team: int, total: _Team
) -> None:
    """Write what the members of a team add up to, and its place."""
    own = {"ranking": ranking, "team": team}
    if total.members:
        _queries.put_total(connection, **own, members=total.members, total=str(total.total))
    else:
        _queries.remove_total(connection, **own)
    place = _place(connection, ranking, team, combination, total)
    before = _queries.place(connection, **own)
    if place == (None if before is None else tuple(before)):
        return
    moved = None if references.is_whole(connection, ranking) else PlacesMoved(connection, ranking, [team])
    if place is None:
        _queries.remove_place(connection, **own)
    else:
        _queries.put_place(connection, **own, score=place[0], reached_at=place[1])
    if moved is not None:
        moved.end()


def _combination(connection: Any, ranking: int) -> Combination | None:
    """How a ranking combines scores; None if nothing was ever ranked there."""
    row = _queries.board(connection, ranking=ranking)
    return None if row is None else Combination(row[0], row[1], bool(row[2]))


def _known(connection: Any, ranking: int) -> Combination:
    """The same of a ranking that has scores."""
    found = _combination(connection, ranking)
    assert found is not None, f"the ranking {ranking} has scores of teams"  # noqa: S101
    return found


def _place(
    connection: Any, ranking: int, team: int, combination: Combination, total: _Team
) -> tuple[float, int] | None:
    """The score of a team as it ranks, and when it was reached; None without members."""
    if not total.members:
        return None
    match combination.combine:
        case "best":
            score, reached_at = _queries.best(connection, ranking=ranking, team=team)
            return score, reached_at
        case "sum" | "shared":
            value = Fraction(total.total, combination.unit)
        case "mean":
            value = Fraction(total.total, combination.unit * total.members)
        case unknown:
            raise ValueError(f"there is no combination {unknown}")
    newest = _queries.newest(connection, ranking=ranking, team=team, never=HIGHEST)
    ranked = -value if combination.ascending else value
    is_small = ranked.denominator == 1 and abs(ranked) < _WHOLE
    return int(ranked) if is_small else float(ranked), HIGHEST if newest is None else newest
