"""The tracks of a game, by the type of the facts they fold."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from bq_server.game.facts import CUSTOM_PREFIX, Fact
from bq_server.game.mechanics.badges import BadgeRule
from bq_server.game.mechanics.challenges import ChallengeRule
from bq_server.game.mechanics.contests import ContestRule
from bq_server.game.mechanics.counted_badges import CountedBadgeRule
from bq_server.game.mechanics.leaderboards import LeaderboardRule
from bq_server.game.mechanics.limited_points import LimitedPointsRule
from bq_server.game.mechanics.points import PointsRuleCompiled, Treasury
from bq_server.game.mechanics.recurring_challenges import RecurringChallengeRule
from bq_server.game.mechanics.rule import Rule
from bq_server.game.mechanics.shared_challenges import SharedChallengeRule
from bq_server.game.mechanics.streaks import StreakRule
from bq_server.game.mechanics.team_boards import TeamBoardRule
from bq_server.game.on_time.boards import BoardTrack, TeamBoardTrack
from bq_server.game.on_time.contests import ContestTrack
from bq_server.game.on_time.counted_badges import CountedBadgeTrack
from bq_server.game.on_time.currencies import purse_of
from bq_server.game.on_time.fact_reading import FactReading, Reader, Warnings
from bq_server.game.on_time.limited_points import LimitedPointsTrack
from bq_server.game.on_time.ordered_quests import OrderedTrack
from bq_server.game.on_time.points import PointsTrack, Purse
from bq_server.game.on_time.quests import FreeTrack
from bq_server.game.on_time.recurring_challenges import RecurringChallengeTrack
from bq_server.game.on_time.shared_challenges import SharedChallengeTrack
from bq_server.game.on_time.streaks import StreakTrack
from bq_server.game.on_time.track import Track
from bq_server.game.on_time.turn import ParticipantTurn


class Tracks(Struct, frozen=True):
    """The on-time path of a compiled game."""

    readers: Mapping[str, Reader]
    """By fact type."""
    purse: Purse

    def read(self, fact: Fact, warnings: Warnings) -> FactReading:
        """What the tracks read from a fact."""
        reader = self.readers.get(fact.fact_type)
        return FactReading(fact, [], []) if reader is None else reader.read(fact, warnings)

    def advance(self, turn: ParticipantTurn, facts: Sequence[FactReading]) -> None:
        """Fold a participant's facts, in order, into the state. Raises `NotOnTime`; the turn must then be discarded."""
        for each in facts:
            fact = each.fact
            for advance, parts in each.parts:
                advance(turn, fact, parts)
            if turn.awards:
                self.purse.pay(turn, fact)
            if turn.caused:
                turn.effects[fact.fact_id] = turn.caused
                turn.caused = []


def lay_tracks(listening: Mapping[str, Sequence[Rule]], treasury: Treasury) -> Tracks:
    """The tracks of the rules that listen to clients' facts."""
    made: dict[str, Track] = {}
    readers = {
        fact_type: Reader([made.setdefault(rule.key, _track(rule)) for rule in rules], fact_type)
        for fact_type, rules in listening.items()
        if fact_type.startswith(CUSTOM_PREFIX)
    }
    return Tracks(readers, purse_of(treasury))


def _track(rule: Rule) -> Track:
    match rule:
        case LimitedPointsRule():
            return LimitedPointsTrack(rule)
        case PointsRuleCompiled():
            return PointsTrack(rule)
        case SharedChallengeRule():
            return SharedChallengeTrack(rule)
        case BadgeRule() | ChallengeRule():
            return OrderedTrack(rule) if rule.ordered else FreeTrack(rule)
        case CountedBadgeRule():
            return CountedBadgeTrack(rule)
        case RecurringChallengeRule():
            return RecurringChallengeTrack(rule)
        case ContestRule():
            return ContestTrack(rule)
        case StreakRule():
            return StreakTrack(rule)
        case TeamBoardRule():
            return TeamBoardTrack(rule)
        case LeaderboardRule():
            return BoardTrack(rule)
        case _:
            raise TypeError(f"there is no track for {type(rule).__name__}")
