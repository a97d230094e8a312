"""What tier and badges a participant had before each fact, as the fold of the facts gives them: what conditions see.

What is held is no answer: awards keep the time at which they were first given, and stay when a late fact changes the
story, so they depend on the order of arrival. While facts come in order both are the same, and each adds what it
awards. Otherwise the story is told anew, fact by fact (`in_memory.tell`); conditions that see something else now are
asked again.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from msgspec import Struct

from bq_server.game.effects import BADGE, TIER, BadgeEarned, Effect, PackedEffect, TierChanged, kind_of, unpacked
from bq_server.game.facts import Fact, Moment
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

OLDER_ROUNDS = "past/challenge/"
"""The prefix of the cells, beside a participant's own, that say what was awarded."""


class AwardStory(Struct, frozen=True):
    """The awards of a participant over time."""

    newest: Moment | None
    """Of the facts that the story knows; None if there are none."""
    tiers: Sequence[tuple[Moment, str]]
    """Each higher tier, with the moment of the fact that led to it."""
    badges: Sequence[tuple[Moment, str]]
    """The same of badges."""
    is_held: bool = True
    """Whether what is held is what the story gives, so that it can go on from there."""

    @classmethod
    def load(cls, cell: Cell) -> Self:
        """The story in a cell."""
        tiers, badges = ([(Moment(at, seq), code) for at, seq, code in cell[name]] for name in ("tiers", "badges"))
        return cls(None if cell["k"] is None else Moment(*cell["k"]), tiers, badges, cell["held"])

    def dump(self) -> Cell:
        """The cell of the story."""
        tiers, badges = ([[*moment, code] for moment, code in each] for each in (self.tiers, self.badges))
        newest = None if self.newest is None else list(self.newest)
        return {"k": newest, "tiers": tiers, "badges": badges, "held": self.is_held}

    def tier_at(self, moment: Moment) -> str | None:
        """The tier that the facts before a moment have given."""
        found = [code for at, code in self.tiers if at < moment]
        return found[-1] if found else None

    def badges_at(self, moment: Moment) -> tuple[str, ...]:
        """The badges that the facts before a moment have given."""
        return tuple(code for _, code in self.badges[: bisect_left(self.badges, (moment, ""))])

    def goes_on(self, facts: Sequence[Fact]) -> bool:
        """Whether this is one fact, which comes after all others."""
        return self.is_held and len(facts) == 1 and (self.newest is None or facts[0].moment > self.newest)

    def after(self, fact: Fact, effects: Iterable[Effect]) -> "AwardStory":
        """The story with a fact after all others."""
        known = {code for _, code in self.badges}
        tiers, badges = list(self.tiers), list(self.badges)
        for effect in effects:
            if isinstance(effect, TierChanged):
                tiers.append((fact.moment, effect.code))
            elif isinstance(effect, BadgeEarned) and effect.code not in known:
                known.add(effect.code)
                badges.append((fact.moment, effect.code))
        return AwardStory(fact.moment, tiers, badges, self.is_held)

    def after_on_time(self, fact: Fact, caused: Iterable[PackedEffect]) -> "AwardStory":
        """The same, by what the on-time path says that the fact has caused."""
        who = fact.participant_id
        return self.after(fact, [unpacked(each, "", who, 0) for each in caused if kind_of(each)[0] in (BADGE, TIER)])

    def parting(self, other: "AwardStory") -> Moment | None:
        """The moment after which two stories tell different things; None if they are the same."""
        different = set(self.tiers) ^ set(other.tiers) | set(self.badges) ^ set(other.badges)
        return min((moment for moment, _ in different), default=None)


class StoryTold(Struct, frozen=True):
    """A story told anew."""

    story: AwardStory
    awards: Any
    """`awards_of` the cells that the same facts lead to."""
    before: AwardStory | None
    """The one that conditions have seen until now, if there was one."""
    facts: Sequence[Fact]
    """All facts of the participant, without void ones."""


NO_STORY = AwardStory(None, (), ())


def awards_of(cells: Cells) -> Any:
    """Everything awarded that decides about awards to come, according to all cells of a participant's own row."""
    given = {
        key: sorted(cell["given"])
        for key, cell in cells.items()
        if key.startswith(("challenge/", "streak/", OLDER_ROUNDS)) and cell.get("given")
    }
    badges = {key: cell.get("n", 1) for key, cell in cells.items() if key.startswith(keys.BADGES)}
    tiers = sorted(code for code, *_ in cells.get(keys.TIERS) or ())
    purses = {None: cells.get(keys.POINTS) or {}, **(cells.get(keys.PURSES) or {})}
    # Any may lead to tiers: the story goes on when the game has changed.
    earned = {code: purse["earned"] for code, purse in purses.items() if purse.get("earned")}
    return given, badges, tiers, earned


def in_rounds(facts: Iterable[Fact]) -> list[list[Fact]]:
    """Facts in batches that have at most one of each participant, in order of event time."""
    rounds: list[list[Fact]] = []
    turns: dict[str, int] = {}
    for fact in sorted(facts, key=lambda fact: fact.moment):
        turn = turns[fact.participant_id] = turns.get(fact.participant_id, -1) + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(fact)
    return rounds


def story_of(cells: Mapping[str, Cell]) -> AwardStory | None:
    """The story among cells, if there is one."""
    cell = cells.get(keys.AWARDS)
    return None if cell is None else AwardStory.load(cell)
