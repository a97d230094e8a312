"""A compiled game: every rule under the types of the facts it listens to."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from pydantic import BaseModel

from bq_server.game.attributes import Attributes
from bq_server.game.award_story import AwardStory
from bq_server.game.document.challenges import Challenge, RecurringDuration
from bq_server.game.document.criteria import Metric
from bq_server.game.document.currencies import expiries
from bq_server.game.document.definitions import Game
from bq_server.game.document.fields import expressions_in
from bq_server.game.document.leaderboards import Leaderboard
from bq_server.game.document.points import PointsRule
from bq_server.game.document.teams import attribute_of
from bq_server.game.expressions.conditions import read_of_participant
from bq_server.game.facts import (
    BADGE_AWARDED,
    CHALLENGE_ENROLLED,
    CONTEST_ENTERED,
    CONTEST_PLACED,
    FREEZE_BOUGHT,
    POINTS_AWARDED,
    POINTS_DEDUCTED,
    POINTS_EXPIRED,
    POINTS_TRANSFERRED,
    REWARD_CLAIMED,
    SHARED_CHALLENGE_REACHED,
    Fact,
    FactInContext,
    can_be_named,
)
from bq_server.game.mechanics.badges import badge_rule
from bq_server.game.mechanics.board_teams import BoardTeams
from bq_server.game.mechanics.challenges import challenge_rule
from bq_server.game.mechanics.contests import ContestRule, contest_rule
from bq_server.game.mechanics.counted_badges import counted_badge_rule
from bq_server.game.mechanics.leaderboards import (
    HIGHEST_FIRST,
    BoardOrder,
    LeaderboardRule,
    PointsBoardRule,
    leaderboard_rule,
    points_board_rule,
)
from bq_server.game.mechanics.limited_points import limited_points_rule
from bq_server.game.mechanics.points import Treasury, points_rule
from bq_server.game.mechanics.recurring_challenges import recurring_challenge_rule
from bq_server.game.mechanics.rule import Rule
from bq_server.game.mechanics.shared_challenges import SharedChallengeRule, shared_challenge_rule
from bq_server.game.mechanics.streaks import streak_rule
from bq_server.game.mechanics.team_boards import TeamBoardRule, team_board_rule
from bq_server.game.on_time.tracks import Tracks, lay_tracks
from bq_server.game.recipients import Deliveries, deliveries
from bq_server.game.state import keys


class CompiledGame(Struct, frozen=True):
    """What facts are matched against. Immutable; share it between batches."""

    game: Game
    rules: Mapping[str, Rule]
    """By key, `<kind>/<code>`."""
    listening: Mapping[str, tuple[Rule, ...]]
    """By fact type: those that award the fact's own participant."""
    receiving: Mapping[str, tuple[Rule, ...]]
    """By fact type: those that award the participants whom the fact names."""
    has_received: bool
    """Whether any facts may stand in others' stories; where none do, nothing is looked for."""
    treasury: Treasury
    places: Mapping[str, int]
    """The position of each rule, by key: rules run in the order of the document."""
    pending: frozenset[str]
    """Keys of rules whose past is still being counted: no cell doesn't mean that there is no past."""
    tracks: Tracks
    """The on-time path, while nothing is pending."""
    attributes_of_rules: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The participants' attributes that conditions and formulas of a rule read, by its key, where they read any."""
    attributes_of_facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The same by the type of the facts."""
    award_readers: frozenset[str] = frozenset()
    """The keys of the rules whose conditions and formulas read the participant's tier or badges."""

    @property
    def attributes(self) -> frozenset[str]:
        """All attributes that are read."""
        read = frozenset(name for names in self.attributes_of_facts.values() for name in names)
        return read | self.treasury.team_attributes

    @property
    def keeps_apart(self) -> bool:
        """Whether a participant's events mean nothing for others, so that those of several can be processed at once."""
        game = self.game
        meeting = (
            any(board.group_by is not None for board in game.leaderboards)
            or any(challenge.shared_by is not None for challenge in game.challenges)
            or bool(game.contests)
        )
        return not self.has_received and not self.pending and not meeting

    def seen(self, fact: Fact, attributes: Attributes | None, awards: AwardStory | None = None) -> Fact:
        """The fact with what conditions on it read of its participant, who has these attributes and awards."""
        names = self.attributes_of_facts.get(fact.fact_type, ()) if attributes is not None else ()
        if not names and awards is None:
            return fact
        moment = fact.moment
        return FactInContext(
            fact.fact_id,
            fact.seq,
            fact.fact_type,
            fact.event_name,
            fact.participant_id,
            fact.properties,
            fact.occurred_at,
            fact.received_at,
            fact.idempotency_key,
            fact.voids,
            fact.sender,
            fact.aliases,
            attributes.at(moment, names) if attributes is not None else {},
            None if awards is None else awards.tier_at(moment),
            () if awards is None else awards.badges_at(moment),
        )

    def rules_for(self, fact: Fact) -> tuple[Rule, ...]:
        """The rules that listen to a fact."""
        if fact.sender is not None:
            return tuple(rule for rule in self.receiving.get(fact.fact_type, ()) if rule.listens_to(fact))
        if fact.fact_type in (CHALLENGE_ENROLLED, SHARED_CHALLENGE_REACHED):
            rule = self.rules.get(f"challenge/{fact.properties.get('challenge_code')}")
            return (rule,) if rule is not None and _takes(rule, fact) else ()
        if fact.fact_type in (CONTEST_ENTERED, CONTEST_PLACED):
            rule = self.rules.get(f"contest/{fact.properties.get('contest_code')}")
            return (rule,) if rule is not None else ()
        return self.listening.get(fact.fact_type, ())

    def deliveries(self, facts: Iterable[Fact]) -> Deliveries:
        """Whom new facts name."""
        return deliveries(self.receiving, facts)

    def order_of(self, board: str) -> BoardOrder:
        """How a board (`leaderboard/<code>` or `challenge/<code>`) ranks, if it is none of the game's as most do."""
        rule = self.rules.get(board)
        return rule.order if isinstance(rule, LeaderboardRule | PointsBoardRule) else HIGHEST_FIRST

    def teams_of(self, board: str) -> BoardTeams | None:
        """How a board (`leaderboard/<code>`) ranks teams; None if it is none that does."""
        rule = self.rules.get(board)
        return rule.teams if isinstance(rule, TeamBoardRule | PointsBoardRule) else None

    def shown_in_contest(self, code: str, score: int) -> int | float:
        """A score in a contest as the reader sees it."""
        rule = self.rules.get(f"contest/{code}")
        return rule.measure.shown(score) if isinstance(rule, ContestRule) else score


HAND_TYPES = frozenset(
    {POINTS_AWARDED, POINTS_DEDUCTED, POINTS_EXPIRED, POINTS_TRANSFERRED, REWARD_CLAIMED}
    | {BADGE_AWARDED, FREEZE_BOUGHT, CONTEST_PLACED}
)
"""System facts that give or take by themselves."""


def compile_game(
    game: Game,
    applied: Mapping[str, int] | None = None,
    pending: frozenset[str] = frozenset(),
    *,
    has_received: bool = False,
) -> CompiledGame:
    """Compile a valid game.

    `applied` gives, per definition key (`badge/first_purchase`), the `seq` of the newest fact when the definition was
    applied: it counts only facts after that one; 0, or no entry, counts all. `pending` names the definitions whose
    stored facts are still being counted in the background. `has_received`: an earlier game may have had recipients.
    """
    seqs = applied or {}
    rules: list[Rule] = [_points(each, seqs.get(f"points/{each.code}", 0)) for each in game.points]
    rules.extend(
        (counted_badge_rule if each.is_counted else badge_rule)(each, each.criteria, seqs.get(f"badge/{each.code}", 0))
        for each in game.badges
        if each.criteria is not None
    )
    rules.extend(_challenge(each, seqs.get(f"challenge/{each.code}", 0)) for each in game.challenges)
    rules.extend(streak_rule(each, seqs.get(f"streak/{each.code}", 0)) for each in game.streaks)
    rules.extend(contest_rule(each, seqs.get(f"contest/{each.code}", 0)) for each in game.contests)
    boards: list[PointsBoardRule] = []
    for board in game.leaderboards:
        seq = seqs.get(f"leaderboard/{board.code}", 0)
        teams = BoardTeams.of(board)
        if not isinstance(board.metric, Metric):
            boards.append(points_board_rule(board, seq))
        elif teams is not None:
            rules.append(team_board_rule(board, board.metric, teams, seq))
        else:
            rules.append(leaderboard_rule(board, board.metric, seq))
    rules.extend(boards)
    listening: dict[str, list[Rule]] = {}
    receiving: dict[str, list[Rule]] = {}
    for rule in rules:
        for fact_type in rule.fact_types:
            others = rule.award_to is not None and can_be_named(fact_type)
            (receiving if others else listening).setdefault(fact_type, []).append(rule)
    reads = _reads(game)
    read = {key: names for key, (names, _) in reads.items() if names}
    treasury = Treasury(
        {badge.code: badge for badge in game.badges},
        tuple(sorted(game.tiers, key=lambda tier: tier.level)),
        tuple(boards),
        len(game.currencies) > 1,
        expiries(game),
    )
    return CompiledGame(
        game,
        {rule.key: rule for rule in rules},
        {fact_type: tuple(listeners) for fact_type, listeners in listening.items()},
        {fact_type: tuple(listeners) for fact_type, listeners in receiving.items()},
        has_received or bool(receiving) or game.transfers,
        treasury,
        {rule.key: place for place, rule in enumerate(rules)},
        pending,
        lay_tracks(listening, treasury),
        read,
        _by_type(read, rules),
        frozenset(key for key, (_, awards) in reads.items() if awards),
    )


def _takes(rule: Rule, fact: Fact) -> bool:
    """Whether the challenge that a fact names is concerned: by an enrolment each is, a shared one by what is told."""
    return fact.fact_type == CHALLENGE_ENROLLED or isinstance(rule, SharedChallengeRule)


def _by_type(read: Mapping[str, frozenset[str]], rules: Iterable[Rule]) -> dict[str, tuple[str, ...]]:
    """What rules read, by the types of the facts that they listen to."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        for fact_type in rule.fact_types if rule.key in read else ():
            found.setdefault(fact_type, set()).update(read[rule.key])
    return {fact_type: tuple(sorted(names)) for fact_type, names in found.items()}


def _reads(game: Game) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """The attributes and the awards that each definition reads, by its key."""
    definitions: list[tuple[str, BaseModel]] = [
        *((f"points/{each.code}", each) for each in game.points),
        *((f"badge/{each.code}", each) for each in game.badges),
        *((f"challenge/{each.code}", each) for each in game.challenges),
        *((f"streak/{each.code}", each) for each in game.streaks),
        *((f"contest/{each.code}", each) for each in game.contests),
        *((f"leaderboard/{each.code}", each) for each in game.leaderboards),
    ]
    found = {}
    for key, each in definitions:
        reads = [read_of_participant(expression) for expression in expressions_in(each)]
        attributes = frozenset(name for read in reads for name in read.attributes)
        if isinstance(each, Leaderboard) and each.group_by is not None and isinstance(each.metric, Metric):
            attributes |= {attribute_of(each.group_by)}
        if isinstance(each, Challenge) and each.shared_by is not None:
            attributes |= {attribute_of(each.shared_by)}
        found[key] = attributes, frozenset(name for read in reads for name in read.awards)
    return found


def _challenge(challenge: Challenge, applied_seq: int) -> Rule:
    if isinstance(challenge.duration, RecurringDuration):
        return recurring_challenge_rule(challenge, challenge.duration, applied_seq)
    if challenge.shared_by is not None:
        return shared_challenge_rule(challenge, challenge.shared_by, applied_seq)
    return challenge_rule(challenge, applied_seq)


def _points(rule: PointsRule, applied_seq: int) -> Rule:
    return limited_points_rule(rule, applied_seq) if rule.is_limited else points_rule(rule, applied_seq)


def prefixes(key: str) -> tuple[str, ...]:
    """The prefixes of the cells with a definition's progress, not including awards held."""
    kind, _, code = key.partition("/")
    match kind:
        case "points":
            return (keys.limit(code), keys.members(key))
        case "badge":
            return (keys.criteria(code), keys.members(key))
        case "challenge":
            rounds = keys.challenge_rounds(code, "").removesuffix("/")
            return (keys.challenge(code), keys.members(key), rounds, keys.group_shares(code))
        case "streak":
            return (keys.streak(code), keys.members(key))
        case "leaderboard":
            return (keys.scores(code), keys.members(key))
        case "contest":
            return (keys.contest(code), keys.contest_place(code))
        case _:
            return ()
