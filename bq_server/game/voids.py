"""Voids: facts that say of another fact that it counts as if it had never been.

A client's event names the fact by its idempotency key, `system.fact_voided` by its id. Only facts of one participant
void each other, and either may come first. Which facts are void is a function of the facts alone, so that no order of
arrival changes it: an event undoes no void, and `system.fact_voided` only one that was made before it. No circle can
come of that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bq_server.game.facts import FACT_VOIDED, Fact, FactVoided, system_properties

Name = str
"""How a fact is named: `key/<idempotency key>` or `fact/<fact id>`."""


@dataclass(frozen=True, slots=True)
class Voids:
    """Which of some facts are void."""

    by: Mapping[str, Fact]
    """The fact that voids it, the earliest made if there are several; by the id of the void fact."""
    waiting: Sequence[Name]
    """What is void as soon as it comes, in order."""


@dataclass(frozen=True, slots=True)
class VoidChange:
    """What new facts of a participant change about which are void."""

    known: Sequence[Fact]
    """The facts from before that void others or are named by any."""
    before: Voids
    after: Voids
    by: Fact | None
    """The newest of the new facts that voids another; none where the new ones only are void themselves."""
    struck: Sequence[Fact]
    """Facts from before that are void now."""
    restored: Sequence[Fact]
    """Facts from before that are void no more."""

    @property
    def moves(self) -> bool:
        """Whether anything that was counted is counted otherwise now."""
        return bool(self.struck or self.restored)

    @property
    def cell(self) -> list[Name] | None:
        """What is kept of it with the participant."""
        return list(self.after.waiting) or None


def named(fact: Fact) -> Name | None:
    """The fact that a fact voids; none for one that voids nothing."""
    if fact.fact_type == FACT_VOIDED:
        properties = system_properties(fact)
        return f"fact/{properties.fact_id}" if isinstance(properties, FactVoided) else None
    return None if fact.voids is None else f"key/{fact.voids}"


def names(fact: Fact) -> Iterable[Name]:
    """How others may name the fact."""
    yield f"fact/{fact.fact_id}"
    if fact.idempotency_key is not None:
        yield f"key/{fact.idempotency_key}"


def voids_among(facts: Iterable[Fact]) -> Voids:
    """Which facts of a participant are void; those that void others and those that are named must be among them."""
    known = list(facts)
    targets = {name: fact for fact in known for name in names(fact)}
    by: dict[str, Fact] = {}
    waiting: set[Name] = set()
    # Whether a void holds is decided by those made after it.
    for fact in sorted(known, key=lambda fact: fact.seq, reverse=True):
        name = named(fact)
        if name is None or fact.fact_id in by:
            continue
        target = targets.get(name)
        if target is None:
            waiting.add(name)
        elif _reaches(fact, target):
            by[target.fact_id] = fact
    return Voids(by, sorted(waiting))


def void_change(known: Sequence[Fact], fresh: Sequence[Fact]) -> VoidChange | None:
    """What new facts change; none where neither they nor the known ones void anything.

    `known` must hold those facts of the participant that void others, and those that any of all these names.
    """
    if not any(named(fact) is not None for facts in (known, fresh) for fact in facts):
        return None
    before, after = voids_among(known), voids_among([*known, *fresh])
    own = {fact.fact_id for fact in after.by.values()}
    return VoidChange(
        known,
        before,
        after,
        max((fact for fact in fresh if fact.fact_id in own), key=lambda fact: fact.moment, default=None),
        [fact for fact in known if fact.fact_id in after.by and fact.fact_id not in before.by],
        [fact for fact in known if fact.fact_id in before.by and fact.fact_id not in after.by],
    )


def _reaches(fact: Fact, target: Fact) -> bool:
    if named(target) is None:
        return True
    return fact.fact_type == FACT_VOIDED and fact.seq > target.seq
