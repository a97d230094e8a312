"""What must be known of participants before their facts are matched, where conditions read who they are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from bq_server.game.attributes import Attributes, changes
from bq_server.game.award_story import NO_STORY, AwardStory, StoryTold, story_of
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import FACT_VOIDED, SYSTEM_PROPERTIES, Fact, Moment
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell
from bq_server.game.voids import VoidChange


class NeededBefore(Struct, frozen=True):
    """What to look up of a participant."""

    cells: frozenset[str]
    """These cells, ..."""
    fact_types: frozenset[str]
    """... and the earlier facts of these types, none where it is empty, ..."""
    since: int
    """... from this event time on, microseconds."""


class KnownBefore(Struct, frozen=True):
    """What was asked for."""

    attributes: Attributes
    """Those in the cells asked for."""
    later: Sequence[Fact] = ()
    """The facts asked for, without void ones: conditions may read other attributes at them now."""
    awards: AwardStory | None = None
    """The story that the facts go on; none where the game doesn't care, or it is told anew."""
    told: StoryTold | None = None
    """The story told anew, with the facts."""


def needed_before(
    game: CompiledGame, by_participant: Mapping[str, Iterable[Fact]], voids: Mapping[str, VoidChange]
) -> dict[str, NeededBefore]:
    """Before the first phase: what to look up, by participant. Nothing for those of whom nothing matters."""
    read = game.attributes
    own = frozenset({keys.AWARDS} if game.award_readers else ())
    found: dict[str, NeededBefore] = {}
    for participant_id, facts in by_participant.items():
        change = voids.get(participant_id)
        changed = changes(facts if change is None else (*facts, *change.struck, *change.restored))
        names = read | changed.keys()
        if names or own:
            moved = changed.keys() & read
            listening = frozenset(each for each, names in game.attributes_of_facts.items() if moved.intersection(names))
            since = min((changed[name].at for name in moved), default=0)
            found[participant_id] = NeededBefore(own | set(map(keys.attribute, names)), listening, since)
    return found


def story_that_goes_on(
    game: CompiledGame, cells: Mapping[str, Cell], facts: Sequence[Fact], change: VoidChange | None, *, is_new: bool
) -> AwardStory | None:
    """The story that new facts of a participant go on; None where it must be told anew.

    `is_new`: nothing is stored about the participant.
    """
    story = story_of(cells) or (NO_STORY if is_new else None)
    if story is None or game.pending or (change is not None and change.moves):
        return None
    return story if story.goes_on(facts) else None


def types_of_story(game: CompiledGame) -> frozenset[str]:
    """The types of the facts that a story is told of."""
    return frozenset(game.listening) | game.receiving.keys() | SYSTEM_PROPERTIES.keys() - {FACT_VOIDED}


def rules_concerned(game: CompiledGame, known: KnownBefore, changed: Mapping[str, Moment]) -> Iterator[str]:
    """The keys of the rules that read something else of earlier facts now.

    `changed` has the attributes that facts change, each with the first moment at which one does.
    """
    for fact in known.later:
        for rule in game.rules_for(fact):
            names = game.attributes_of_rules.get(rule.key, ())
            if any(name in changed and changed[name] < fact.moment for name in names):
                yield rule.key
    # Scores by points follow from the ledger, each entry for the team of its moment.
    yield from (board.key for board in game.treasury.boards if board.teams and board.teams.attribute in changed)
    told = known.told
    if told is not None:
        since = None if told.before is None else told.before.parting(told.story)
        if told.before is None or since is not None:
            for fact in told.facts:
                if since is None or since < fact.moment:
                    yield from (rule.key for rule in game.rules_for(fact) if rule.key in game.award_readers)
