"""Which names stand for whom, and what is in which story: how these indexes are brought up to date.

Everything here is called on the writing connection's own thread, in a transaction.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field
from pydantic_core import from_json

from bq_server.events import Scope
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import Fact as GameFact
from bq_server.game.recipients import spread
from bq_server.game.voids import voids_among
from bq_server.processing.meant_names import naming_types, with_meant_names
from bq_server.processing.received_stories import stored_fact
from bq_server.processing.void_changes import known_of
from bq_server.store import aliases, received_facts, voids
from bq_server.store.aliases import NamedStory, ToldAlias
from bq_server.store.batch import Held
from bq_server.store.erasures import NOBODY
from bq_server.store.references import References


class AliasDifference(Struct):
    """How the aliases told of in a story differ from those that are stored."""

    story: int
    gone: list[NamedStory] = field(default_factory=list)
    new: list[tuple[NamedStory, ToldAlias]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.gone or self.new)

    @property
    def stories(self) -> list[int]:
        """The participants in whose stories facts are that belong elsewhere, and those whose stories grow."""
        return list(dict.fromkeys([self.story, *(name.number for name, _ in self.new if name.number)]))


class AliasChange(Struct):
    """What changed."""

    before: Sequence[int]
    """Who had a story of those that changed."""
    stories: dict[int, str]
    """Who has one now, by integer."""
    was_known: dict[int, bool]
    """Of those who have one again, whether the API knew them before they were aliases."""
    others: list[int]
    """Who has received facts that may be void now, or count again, because their sender is somebody else."""


class AliasIndex:
    """The aliases of one environment, and in whose stories facts are."""

    def __init__(self, references: References, scope: Scope, game: CompiledGame, now: int) -> None:
        self._references = references
        self._scope = scope
        self._game = game
        self._now = now

    def number(self, writing: Any) -> int:
        """The integer of the environment."""
        return self._references.scope(writing, self._scope)

    def difference(self, reading: Any, story: int) -> AliasDifference:
        """What the facts of a story say otherwise than what is stored.

        Of several facts that name one alias the first holds; one that would close a circle doesn't.
        """
        found = AliasDifference(story)
        if aliases.story_of_number(reading, story) != story:
            return found  # nothing belongs into it, and so it says nothing
        due: dict[str, ToldAlias] = {}
        for told in aliases.told(reading, story):
            due.setdefault(str(from_json(told.properties).get("alias")), told)
        stored = {each.name: each for each in aliases.names_in(reading, story) if each.number != story}
        found.gone = [each for name, each in stored.items() if name not in due or due[name].seq != each.seq]
        for name, told in due.items():
            if name in stored and stored[name].seq == told.seq:
                continue
            own = aliases.named(reading, self.number(reading), name)
            elsewhere = name not in stored and aliases.story_of_number(reading, own.number) != own.number
            if not elsewhere and aliases.story_of_number(reading, told.stands_for) != own.number:
                found.new.append((own, told))
        return found

    def apply(self, writing: Any, difference: AliasDifference) -> AliasChange:
        """Change the aliases, and put facts into the stories in which they belong."""
        before = difference.stories
        names = {each.number for number in before for each in aliases.names_in(writing, number)}
        was_known: dict[int, bool] = {}
        for gone in difference.gone:
            aliases.remove(writing, gone.number)
            was_known[gone.number] = gone.was_known
        for name, told in difference.new:
            number = aliases.number_of(writing, self.number(writing), name.name, self._now)
            known = name.was_known or was_known.pop(number, False)
            aliases.add(writing, self.number(writing), number, told, known=known)
            self._references.aliased.add(self._scope)
        aliases.move_facts(writing, sorted(names))
        after = sorted({aliases.story_of_number(writing, number) for number in names})
        stories = {number: aliases.state_of(writing, number)[0] for number in after}
        recipients = {name for number, own in stories.items() for name in self._mark(writing, number, own)}
        others = sorted(recipients - set(stories.values()))
        numbers = [aliases.number_of(writing, self.number(writing), name, self._now) for name in others]
        return AliasChange(before, stories, was_known, numbers)

    def _mark(self, writing: Any, number: int, name: str) -> set[str]:
        """Mark the void facts of a story; returns who else has received what voids others, or is named by that."""
        known = known_of(
            writing, references=self._references, scope=self._scope, who=name, own=Held(number, ""), fresh=()
        )
        void = voids_among(known).by
        due = {fact.seq: void[fact.fact_id].seq for fact in known if fact.fact_id in void}
        marked = aliases.marks(writing, number)
        wrong = {seq: due.get(seq) for seq in due.keys() | marked.keys() if due.get(seq) != marked.get(seq)}
        voids.mark(writing, wrong.items())
        return set[str]().union(*received_facts.recipients_of(writing, [fact.seq for fact in known]).values())

    def deliver(self, writing: Any, change: AliasChange) -> None:
        """Have those in whose stories it changed, and no others, receive what names them."""
        if not self._game.has_received:
            return
        types = naming_types(self._game)
        facts: dict[int, GameFact] = {}
        kept: list[tuple[int, int]] = []
        """What erased senders had sent: nothing says any more whom that named."""
        for number in change.before:
            for row in received_facts.whole_story(writing, number):
                if row[10] == NOBODY:
                    kept.append((aliases.story_of_number(writing, number), row[0]))
                else:
                    facts[row[0]] = stored_fact(row[10], row)
        for number, name in change.stories.items():
            for row in aliases.story(writing, number):
                if row[3] in types or row[9] is not None:
                    facts[row[0]] = stored_fact(name, row)
        effects = received_facts.effects_of(writing, [*facts, *(seq for _, seq in kept)])
        names = {aliases.state_of(writing, number)[0] for number in change.before}
        caused = {
            seq: next((text for who, text in each.items() if who in names), None) for seq, each in effects.items()
        }
        received_facts.remove_of(writing, [{"participant": number} for number in change.before])
        told = with_meant_names(writing, self._references, self._scope, types, list(facts.values()))
        mine = {name: number for number, name in change.stories.items()}
        due = {fact_id: who & mine.keys() for fact_id, who in self._game.deliveries(told).recipients.items()}
        by_seq = received_facts.recipients_of(writing, facts)
        there = {fact.fact_id: by_seq.get(seq, set()) for seq, fact in facts.items()}
        everyone = spread({fact_id: due.get(fact_id, set()) | there[fact_id] for fact_id in there}, told)
        rows = [(number, seq, caused.get(seq)) for number, seq in kept]
        for fact in told:
            for who in sorted(everyone.get(fact.fact_id, set()) - there[fact.fact_id]):
                if who in mine:
                    rows.append((mine[who], fact.seq, caused.get(fact.seq)))
                else:
                    other = aliases.number_of(writing, self.number(writing), who, self._now)
                    rows.append((other, fact.seq, None))
        received_facts.put(writing, rows)
