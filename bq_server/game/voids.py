"""Voids: facts that make another fact count as if it had never been.

A client's event names the fact of another event by its idempotency key, `system.fact_voided` any fact by its id. Only
facts of one sender void each other, and either may come first. Which facts are void is a function of the facts
alone, so the order of arrival doesn't change it: an event undoes no void, and `system.fact_voided` undoes only one that
was made before it, so there can be no cycle. Nor does an event undo what was done by hand, such as a deduction or a
claim: whoever may send events would decide what takes a scope of its own.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from bq_server.game.facts import CUSTOM_PREFIX, FACT_VOIDED, Fact, FactVoided, system_properties

Name = str
"""How a fact is named: `key/<idempotency key>` or `fact/<fact id>`."""


class Voids(Struct, frozen=True):
    """Which of some facts are void."""

    by: Mapping[str, Fact]
    """The fact that voids it, the earliest made if there are several; by the id of the void fact."""
    waiting: Sequence[Name]
    """The names of facts that will be void when they arrive, sorted."""


class VoidChange(Struct, frozen=True):
    """How new facts of a participant change which facts are void."""

    known: Sequence[Fact]
    """The earlier facts that void others or are named by any."""
    before: Voids
    after: Voids
    by: Fact | None
    """The newest of the new facts that voids another; None if the new ones are only void themselves."""
    struck: Sequence[Fact]
    """Earlier facts that are void now."""
    restored: Sequence[Fact]
    """Earlier facts that are no longer void."""

    @property
    def moves(self) -> bool:
        """Whether anything that was counted is now counted differently."""
        return bool(self.struck or self.restored)

    @property
    def cell(self) -> list[Name] | None:
        """What is stored of it with the participant."""
        return list(self.after.waiting) or None


def named(fact: Fact) -> Name | None:
    """The name of the fact that a fact voids; None if it voids nothing."""
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
    """Which facts of a story are void. `facts` must include those that void others and those that are named."""
    known = list(facts)
    targets = {(fact.author, name): fact for fact in known for name in names(fact)}
    by: dict[str, Fact] = {}
    waiting: set[Name] = set()
    # Whether a void holds depends on those made after it.
    for fact in sorted(known, key=lambda fact: fact.seq, reverse=True):
        name = named(fact)
        if name is None or fact.fact_id in by:
            continue
        target = targets.get((fact.author, name))
        if target is None:
            waiting.add(name)
        elif _reaches(fact, target):
            by[target.fact_id] = fact
    return Voids(by, sorted(waiting))


def void_change(known: Sequence[Fact], fresh: Sequence[Fact]) -> VoidChange | None:
    """What new facts change; None if neither they nor the known ones void anything.

    `known` must contain the participant's facts that void others, and those that any of these or of the new ones name.
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
    if fact.fact_type != FACT_VOIDED:
        return target.fact_type.startswith(CUSTOM_PREFIX) and target.voids is None
    return named(target) is None or fact.seq > target.seq
