"""Leaderboards of teams with their own metric: a member's scores, each for the team that the fact was for."""

from bq_server.game.document.criteria import Metric
from bq_server.game.document.leaderboards import Leaderboard
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import Fact
from bq_server.game.mechanics.board_teams import BoardTeams
from bq_server.game.mechanics.leaderboards import LeaderboardRule, ScoreFrame, leaderboard_rule
from bq_server.game.mechanics.measures import Hit, PartReading

TEAM = 1
"""The part that says which team the participant was of."""


class TeamBoardRule(LeaderboardRule, kw_only=True):
    """A leaderboard of teams. A participant's own score is one for each team that they were of."""

    teams: BoardTeams

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """What the metric reads, and for which team."""
        readings = LeaderboardRule.read(self, fact, variables)
        if readings[0].verdict != "matched":
            return readings
        team = self.teams.team_of(variables.fact)
        if team is None:
            return (PartReading(0, "no_team", message=f"there was no team in the attribute {self.teams.attribute}"),)
        return (*readings, PartReading(TEAM, "matched", team))

    def frames(self, hit: Hit) -> list[ScoreFrame]:
        """The scores that a hit changes, all of one team."""
        frames = LeaderboardRule.frames(self, hit)
        return [frame._replace(team=str(hit.readings[TEAM].amount)) for frame in frames]


def team_board_rule(board: Leaderboard, metric: Metric, teams: BoardTeams, applied_seq: int) -> TeamBoardRule:
    """Compile a leaderboard of teams with its own metric."""
    alone = leaderboard_rule(board, metric, applied_seq)
    return TeamBoardRule(**{name: getattr(alone, name) for name in alone.__struct_fields__}, teams=teams)
