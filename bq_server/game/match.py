"""The first phase: matching facts with the rules that listen to them. Reads no state."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from bq_server.game.attributes import Attributes, changes
from bq_server.game.award_story import AwardStory, StoryTold
from bq_server.game.compiled_game import HAND_TYPES, CompiledGame
from bq_server.game.effects import Explanation, RuleWarning
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import (
    CHALLENGE_ENROLLED,
    SYSTEM_PROPERTIES,
    TIMEZONE_CHANGED,
    VISIBILITY_CHANGED,
    BadgeAwarded,
    ContestPlaced,
    Fact,
    Moment,
    system_properties,
)
from bq_server.game.known_before import KnownBefore, rules_concerned
from bq_server.game.mechanics.measures import Hit
from bq_server.game.mechanics.rule import Rule
from bq_server.game.state import keys
from bq_server.game.voids import VoidChange


class ParticipantMatches(Struct):
    """What one participant's facts of a batch, in order, mean to the rules."""

    participant_id: str
    facts: list[Fact] = field(default_factory=list)
    hits: dict[str, list[Hit]] = field(default_factory=dict)
    """By the key of the rule, in order."""
    touched: frozenset[str] = frozenset()
    """Keys of rules to recompute from stored facts."""
    warn_until: int = 0
    """Up to this seq, stored facts that a touched rule can't read are warned about."""
    void_change: VoidChange | None = None
    """What the facts change about which are void."""
    attributes: Attributes | None = None
    """The participant's, these facts included; None if they aren't needed."""
    attributes_changed: Mapping[str, Moment] = field(default_factory=dict)
    """Which of them the facts change, each with the first moment at which one does."""
    awards: AwardStory | None = None
    """What conditions see of awards; None if none does."""
    told: StoryTold | None = None
    """The same story, where it was told anew, these facts included."""

    @property
    def voiding(self) -> VoidChange | None:
        """The same, where what was counted before is counted otherwise now."""
        return self.void_change if self.void_change is not None and self.void_change.moves else None


class Matches(Struct):
    """A batch of facts, matched."""

    game: CompiledGame
    participants: dict[str, ParticipantMatches]
    warnings: list[RuleWarning]
    explanations: list[Explanation] = field(default_factory=list)
    """Of facts that no rule was asked about."""


_NO_VOIDS: Mapping[str, VoidChange] = {}
_NOTHING_KNOWN: Mapping[str, KnownBefore] = {}


def match(
    game: CompiledGame,
    facts: Iterable[Fact],
    voids: Mapping[str, VoidChange] = _NO_VOIDS,
    known: Mapping[str, KnownBefore] = _NOTHING_KNOWN,
) -> Matches:
    """Match facts, of any participants and in any order, with the rules that listen to them.

    A fact that appears twice in a story of the batch counts once; that it wasn't in an earlier batch, the caller knows.
    `voids` says, by participant, what the facts change about which are void: void ones count nowhere. `known`
    answers `needed_before`. Where rules read awards, the batch has at most one fact of each participant.
    """
    unique = {(fact.fact_id, fact.participant_id): fact for fact in facts}
    participants: dict[str, ParticipantMatches] = {}
    warnings: dict[tuple[str, str], RuleWarning] = {}
    explanations: list[Explanation] = []
    story = sorted(unique.values(), key=lambda fact: fact.moment)
    told = _known(game, story, voids, known) if known else {}
    for fact in story:
        own = participants.get(fact.participant_id)
        if own is None:
            own = told.get(fact.participant_id) or ParticipantMatches(fact.participant_id)
            participants[fact.participant_id] = own
            own.void_change = voids.get(fact.participant_id)
        if own.void_change is not None and fact.fact_id in own.void_change.after.by:
            about = None if fact.sender is None else fact.participant_id
            explanations += [
                Explanation(fact.fact_id, rule.key, None, "voided", participant_id=about)
                for rule in game.rules_for(fact)
            ]
            continue
        own.facts.append(fact)
        if fact.fact_type in SYSTEM_PROPERTIES and system_properties(fact) is None:
            _warn(warnings, fact.fact_type, "the properties are not of this type", fact)
            continue
        variables = Variables(game.seen(fact, own.attributes, own.awards))
        for rule in game.rules_for(fact):
            hit = _hit(rule, fact, variables)
            own.hits.setdefault(rule.key, []).append(hit)
            for reading in hit.readings:
                if reading.verdict == "expression_error":
                    _warn(warnings, rule.key, reading.message or "", fact)
    for own in participants.values():
        if own.voiding is not None:
            _touch_by(game, own, own.voiding)
    return Matches(game, participants, list(warnings.values()), explanations)


def _touch_by(game: CompiledGame, own: ParticipantMatches, voiding: VoidChange) -> None:
    """Have those definitions computed anew that listen to facts which are void now or no more.

    Points rules without a limit keep nothing: the ledger takes back what they paid, and a fact that counts again is
    paid as a new one.
    """
    own.touched |= frozenset(
        rule.key
        for fact in (*voiding.struck, *voiding.restored)
        for rule in game.rules_for(fact)
        if not rule.keeps_nothing
    )
    for fact in voiding.restored:
        variables = Variables(game.seen(fact, own.attributes, own.awards))
        for rule in game.rules_for(fact):
            if rule.keeps_nothing:
                own.hits.setdefault(rule.key, []).append(_hit(rule, fact, variables))


def _known(
    game: CompiledGame, story: Iterable[Fact], voids: Mapping[str, VoidChange], known: Mapping[str, KnownBefore]
) -> dict[str, ParticipantMatches]:
    """The matches of those of whom something is known, with the rules that read other things of the past now."""
    by_participant: dict[str, list[Fact]] = {participant_id: [] for participant_id in known}
    for fact in story:
        if fact.participant_id in by_participant:
            by_participant[fact.participant_id].append(fact)
    found: dict[str, ParticipantMatches] = {}
    for participant_id, before in known.items():
        change, facts = voids.get(participant_id), by_participant[participant_id]
        struck: Iterable[Fact] = ()
        if change is not None:
            struck = change.struck
            facts = [fact for fact in (*facts, *change.restored) if fact.fact_id not in change.after.by]
        own = found[participant_id] = _matches_of(participant_id, before)
        own.attributes = before.attributes.changed(facts, struck)
        own.attributes_changed = changes((*facts, *struck))
        own.touched = frozenset(rules_concerned(game, before, own.attributes_changed))
    return found


def _matches_of(participant_id: str, before: KnownBefore) -> ParticipantMatches:
    awards = before.awards if before.told is None else before.told.story
    return ParticipantMatches(participant_id, attributes=before.attributes, awards=awards, told=before.told)


def touch(
    game: CompiledGame,
    participant_ids: Iterable[str],
    definitions: Iterable[str],
    warn_until: int = 0,
    known: Mapping[str, KnownBefore] = _NOTHING_KNOWN,
) -> Matches:
    """A batch without facts, in which these definitions are recomputed for these participants.

    Expressions without a usable value for a stored fact up to the seq `warn_until` are warned about; for later facts
    they were when those arrived.

    It goes through the same phases as with facts; nothing already awarded is awarded again. `known` answers
    `needed_before`, of no facts.
    """
    chosen = frozenset(definitions) & game.rules.keys()
    participants: dict[str, ParticipantMatches] = {}
    for each in participant_ids:
        own = _matches_of(each, known[each]) if each in known else ParticipantMatches(each)
        own.touched = chosen.union(rules_concerned(game, known[each], {}) if each in known else ())
        own.warn_until = warn_until
        participants[each] = own
    return Matches(game, participants, [])


def rematch(
    game: CompiledGame,
    rule: Rule,
    facts: Sequence[Fact],
    variables: dict[str, Variables],
    attributes: Attributes | None,
    awards: AwardStory | None,
) -> list[Hit]:
    """Stored facts, in order, as one rule reads them. `variables` keeps what several rules share.

    `attributes` and `awards` are the participant's; None if no rule reads any.
    """
    hits = []
    for fact in facts:
        if rule.listens_to(fact) or _enrols_in(rule, fact):
            shared = variables.get(fact.fact_id)
            if shared is None:
                shared = variables[fact.fact_id] = Variables(game.seen(fact, attributes, awards))
            hits.append(_hit(rule, fact, shared))
    return hits


def cells_needed(matches: Matches) -> dict[str, set[str]]:
    """The second phase: the keys of the cells to load, by participant."""
    return {own.participant_id: _cells_of(matches.game, own) for own in matches.participants.values()}


def _cells_of(game: CompiledGame, own: ParticipantMatches) -> set[str]:
    wanted: set[str] = set()
    badges: set[str] = set()
    points = False
    for key in own.hits.keys() | own.touched:
        rule = game.rules[key]
        wanted.update(rule.cells(own.hits.get(key, ())))
        _, awarded, _ = rule.rewards
        badges.update(awarded)
        points = points or rule.pays_points
    for fact in own.facts:
        if fact.fact_type == TIMEZONE_CHANGED:
            wanted.add(keys.ZONE)
        elif fact.fact_type == VISIBILITY_CHANGED:
            wanted.add(keys.HIDDEN)
        elif fact.fact_type in HAND_TYPES:
            given = system_properties(fact)
            if isinstance(given, BadgeAwarded):
                badges.add(given.badge_code)
            elif isinstance(given, ContestPlaced):
                badges.update(() if given.badge is None else (given.badge,))
                points = points or given.points > 0
            else:
                points = True
    if own.void_change is not None:
        wanted.add(keys.VOIDS)
    if own.voiding is not None:
        points = True
        badges.update(game.treasury.revocable)
        wanted |= {keys.ZONE, keys.HIDDEN}
        for rule in game.rules.values():
            if not game.treasury.revocable.isdisjoint(rule.rewards.badges):
                wanted.update(rule.cells(()))
    teams = game.treasury.team_attributes if points else ()
    who = {} if own.attributes is None else dict(own.attributes.cells(teams))
    wanted.update(game.treasury.cells(own.facts, badges, who, points=points))
    return wanted


def _hit(rule: Rule, fact: Fact, variables: Variables) -> Hit:
    return Hit(fact, rule.read(fact, variables))


def _enrols_in(rule: Rule, fact: Fact) -> bool:
    return fact.fact_type == CHALLENGE_ENROLLED and rule.key == f"challenge/{fact.properties.get('challenge_code')}"


def warnings_of(rule: Rule, hits: Iterable[Hit], until: int) -> list[RuleWarning]:
    """The warnings that stored facts up to that seq cause for a rule."""
    found: dict[tuple[str, str], RuleWarning] = {}
    for hit in hits:
        for reading in hit.readings:
            if reading.verdict == "expression_error" and hit.fact.seq <= until:
                _warn(found, rule.key, reading.message or "", hit.fact)
    return list(found.values())


def _warn(warnings: dict[tuple[str, str], RuleWarning], definition: str, message: str, fact: Fact) -> None:
    known = warnings.get((definition, message))
    sample, count = (known.fact_id, known.count + 1) if known is not None else (fact.fact_id, 1)
    warnings[definition, message] = RuleWarning(definition, message, sample, count)
